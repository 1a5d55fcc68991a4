"""Metadata in the catalogue: filtering, facets, field types, whole columns."""
