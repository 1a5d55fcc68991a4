"""What finds the nearest vectors: derived from the catalogue, and never the truth."""
