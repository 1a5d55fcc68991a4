"""Routes of the HTTP API, one module per topic; each has a `router`."""
