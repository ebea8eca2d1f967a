"""What everything in the package speaks: records, events, options, errors."""
