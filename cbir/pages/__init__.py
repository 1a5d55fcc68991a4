"""Self-contained HTML: what cbir writes for people to look at, all in one style."""
