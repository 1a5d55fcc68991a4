"""Evaluation of retrieval: ground truth, metrics, and evaluation runs.

>>> from cbir.evaluation import evaluate, from_labels
>>> evaluation = evaluate(retriever, from_labels(gallery, "label"))  # doctest: +SKIP
>>> evaluation.metrics["mAP"]  # doctest: +SKIP
Interval(value=0.902, low=0.891, high=0.913)
"""

from cbir.evaluation.ground_truth import GroundTruth, JudgedQuery, from_labels
from cbir.evaluation.ranking import Search
from cbir.evaluation.result import Evaluation, Interval, LabelResult, Latency, QueryResult
from cbir.evaluation.revisited import from_revisited
from cbir.evaluation.run import evaluate
from cbir.evaluation.truth_file import from_file

__all__ = [
    "Evaluation",
    "GroundTruth",
    "Interval",
    "JudgedQuery",
    "LabelResult",
    "Latency",
    "QueryResult",
    "Search",
    "evaluate",
    "from_file",
    "from_labels",
    "from_revisited",
]
