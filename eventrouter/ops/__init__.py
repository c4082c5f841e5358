"""What an operator sees: metrics, health, logs and the HTTP server that shows them."""
