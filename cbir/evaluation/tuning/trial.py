"""Settings, their scores, and the choice of one setting of a stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cbir.config import EmbeddingSpec, Whitening
from cbir.embedding.registry import find_backbone
from cbir.evaluation.metrics import bootstrap_interval
from cbir.evaluation.result import Interval
from cbir.messages import command

__all__ = ["Measured", "Scores", "Setting", "Trial", "decide"]

NEARLY = 0.003
"""Difference of mAP up to which a cheaper setting is preferred, even if it is significant."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Options of embedding, whitening and reranking."""

    spec: EmbeddingSpec
    whitening: Whitening | None = None
    rerank: str | None = None

    @property
    def passes(self) -> int:
        """Forward passes of the network per image."""
        return len(self.spec.views) * (2 if self.spec.flip else 1)

    def commands(self, source: str, gallery: str | Path | None = None) -> list[str]:
        """The command lines that index `source` with this setting into a gallery, and search it."""
        spec, backbone = self.spec, find_backbone(self.spec.backbone)
        flags = ["--backbone", spec.backbone]
        if spec.pooling != backbone.default_pooling:
            flags += ["--pooling", spec.pooling]
        if spec.preprocessing.crop != backbone.preprocessing.crop:
            flags += ["--input-size", str(spec.preprocessing.crop)]
        flags += [f"--{view}" for view in spec.views if view != "crop"]
        flags += ["--flip"] * spec.flip
        lines = [command("index", source, *flags, gallery=gallery)]
        if self.whitening is not None:
            given = {"power": self.whitening.power, "shrink": self.whitening.shrink}
            given["dims"] = self.whitening.dims or 0
            options = [(f"--{name}", f"{value:g}") for name, value in given.items() if value]
            lines.append(command("whiten", *chain.from_iterable(options), gallery=gallery))
        if self.rerank:
            lines.append(command("search", "IMAGE", "--rerank", self.rerank, gallery=gallery))
        return lines


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Scores of Q queries under one setting; every setting of a stage has the same queries."""

    precisions: npt.NDArray[np.float64]
    """(Q,) average precision."""
    firsts: npt.NDArray[np.bool_]
    """(Q,) whether the first hit is relevant."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """A setting with its relative cost within its stage, and its scores."""

    setting: Setting
    cost: tuple[int, ...]
    scores: Scores


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting of one stage, with its mAP and its gain over the stage's first setting."""

    stage: str
    setting: Setting
    map: Interval
    precision_at_1: float
    gain: Interval
    """Gain in mAP over the setting that the stage began with, paired by query."""
    chosen: bool


def decide(stage: str, measured: Sequence[Measured], *, begun_with: int = 0) -> list[Trial]:
    """Choose one setting of a stage and return the trials of all.

    The chosen one is the cheapest of those that are not significantly worse than the best (the 95 %
    interval of the differences, paired by query, reaches 0), or worse by 0.003 at most; of equally
    cheap ones the best.
    """
    maps = [float(trial.scores.precisions.mean()) for trial in measured]
    best, start = measured[int(np.argmax(maps))].scores, measured[begun_with].scores
    rivals = []
    for number, trial in enumerate(measured):
        deficit = _mean(best.precisions - trial.scores.precisions)
        if deficit.low <= 0 or deficit.value <= NEARLY:
            rivals.append(number)
    chosen = min(rivals, key=lambda number: (measured[number].cost, -maps[number]))
    return [
        Trial(
            stage,
            trial.setting,
            _mean(trial.scores.precisions),
            float(trial.scores.firsts.mean()),
            _mean(trial.scores.precisions - start.precisions),
            number == chosen,
        )
        for number, trial in enumerate(measured)
    ]


def _mean(values: npt.NDArray[np.float64]) -> Interval:
    return Interval(float(values.mean()), *bootstrap_interval(values))
