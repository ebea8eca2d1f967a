"""The terminal app's package."""
