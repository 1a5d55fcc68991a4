"""Metadata as rows of an index: what filters ask, what fields hold, whole columns."""
