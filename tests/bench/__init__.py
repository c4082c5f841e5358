"""The bench: what the pair costs, measured on the real programs. `make bench` runs it."""
