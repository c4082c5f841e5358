"""Keeps the positions: how far all has left the buffer, where to resume, and who leads."""
