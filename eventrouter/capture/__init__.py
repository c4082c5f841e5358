"""From the API server's events to queued records: list, watch, resume, shape."""
