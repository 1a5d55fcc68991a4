"""Vector indexes: nearest-neighbour search structures, derived from the catalogue."""
