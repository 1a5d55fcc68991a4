"""Tuning: tries settings on a sample of images, stage by stage, and recommends the best.

    network ─► input and pooling ─► views ─► comparison ─► reranking

Each stage starts from the choice of the last one. A costlier setting must be better beyond chance.
"""

from cbir.evaluation.tuning.search import BACKBONES, Tuning, tune
from cbir.evaluation.tuning.trial import Setting, Trial

__all__ = ["BACKBONES", "Setting", "Trial", "Tuning", "tune"]
