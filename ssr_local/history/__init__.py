"""What was done on this machine: every run, check and hint, kept in one SQLite file.

Nothing leaves the machine, and ``[history] save = false`` in the settings file or
``--no-save`` keeps nothing.
"""
