"""Child processes: how one is started, spoken to, and mourned."""
