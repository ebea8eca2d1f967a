"""Child processes: how one is started and spoken to, and how its end is told."""
