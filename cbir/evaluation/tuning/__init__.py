"""Which flags suit these images? One thing after the other is tried on a sample of them.

    network ─► input and pooling ─► views ─► comparison ─► reranking

Each stage starts from what the last one chose. A costlier setting must be better beyond chance.
"""

from cbir.evaluation.tuning.search import BACKBONES, Tuning, tune
from cbir.evaluation.tuning.trial import Setting, Trial

__all__ = ["BACKBONES", "Setting", "Trial", "Tuning", "tune"]
