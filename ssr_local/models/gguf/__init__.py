"""What a GGUF file says of itself, read without any library and without trust."""
