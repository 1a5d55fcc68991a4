"""The truth in SQL: every image of a gallery with its metadata and embedding, by generation."""
