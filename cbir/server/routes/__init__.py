"""What can be asked, one module per topic; each has a `router`."""
