"""cbir: a search engine for images by their content."""
