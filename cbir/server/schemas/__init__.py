"""Models of requests and responses, one module per topic."""
