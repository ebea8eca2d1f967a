"""How a request reaches the session that works on it."""
