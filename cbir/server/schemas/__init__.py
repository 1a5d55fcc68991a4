"""What goes over the wire, made from the library's values; one module per topic."""
