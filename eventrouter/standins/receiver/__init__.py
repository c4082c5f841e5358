"""A stand-in for Fluent Bit's forward input."""
