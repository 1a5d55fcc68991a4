"""How good are the answers? Ground truth, metrics, and a run of one over the other."""
