"""The method's decisions: pure functions that do no input or output."""
