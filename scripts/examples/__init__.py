"""Example data with known answers, and the demo that indexes it."""
