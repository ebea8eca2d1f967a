"""Evidence: every method on the same problems, models and machine, with error bars."""
