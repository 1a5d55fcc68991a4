"""Where a gallery lives: the catalogue (SQL, the truth) and the vector indexes derived from it."""
