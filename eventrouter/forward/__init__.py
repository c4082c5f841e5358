"""Everything that meets the sidecar: batches, the queue, the forward protocol and its acks."""
