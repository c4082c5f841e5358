"""What the pair costs on an ordinary day, beside two peers on the same stream."""
