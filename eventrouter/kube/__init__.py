"""All that meets the API server: requests, events, the Lease, and reading what comes back."""
