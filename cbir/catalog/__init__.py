"""The catalogue: the SQL database of a gallery's images, their metadata and embeddings."""
