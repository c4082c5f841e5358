"""Where to resume after a restart, who may write it down, and what has left the buffer."""
