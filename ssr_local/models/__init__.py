"""Which models there are, where they come from, and what their files say."""
