"""The stages of tuning: each tries several settings and passes the chosen one to the next."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike

import numpy as np

from cbir.arrays import Vectors
from cbir.config import EmbeddingSpec, Pooling, View, Whitening
from cbir.embedding import resolve_spec
from cbir.embedding.vectors import unit_rows
from cbir.embedding.whitening import MIN_IMAGES, fit
from cbir.errors import BackboneError, CbirError, ImageError
from cbir.evaluation.tuning.embed_sample import (
    Clock,
    OutOfTimeError,
    Square,
    embed_sample,
    poolings_of,
)
from cbir.evaluation.tuning.reranked import rerankings
from cbir.evaluation.tuning.sample import Sample, draw
from cbir.evaluation.tuning.trial import Measured, Scores, Setting, Trial, decide
from cbir.reranking import RERANKERS
from cbir.types import StageProgress

__all__ = ["BACKBONES", "Tuning", "tune"]

log = logging.getLogger(__name__)

BACKBONES = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
"""Networks tried by default if their weights are on this machine; the cheapest first."""

LARGER = 2**0.5
"""Factor of the larger input size: twice the pixels, to a multiple of 32, the usual stride."""

VIEWS: tuple[tuple[tuple[View, ...], bool], ...] = (
    (("crop",), False),
    (("crop",), True),
    (("crop", "whole"), False),
    (("crop", "zoom"), False),
    (("crop", "whole", "zoom"), False),
    (("crop", "whole"), True),
    (("crop", "zoom"), True),
    (("crop", "whole", "zoom"), True),
)
SQUARES: tuple[Square, ...] = (
    ("crop", False),
    ("crop", True),
    ("whole", False),
    ("whole", True),
    ("zoom", False),
    ("zoom", True),
)
WHITENINGS: tuple[Whitening | None, ...] = (
    None,
    Whitening(),
    *(Whitening(power, shrink) for power in (0.25, 0.5, 0.75, 1.0) for shrink in (0.0, 0.5)),
)
DIMS = (256, 512)
"""Numbers of dimensions kept, tried with the best whitening."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """The trials of all stages, and the recommended setting."""

    trials: tuple[Trial, ...]
    """By stage, in the order in which they were tried."""
    setting: Setting
    """The recommended setting, chosen by the last stage."""
    images: int
    """Number of images in the sample."""
    left_out: tuple[str, ...] = ()
    """Settings that were not tried, with the reason."""


def tune(
    source: str | PathLike[str],
    *,
    label: str | None = None,
    backbones: Sequence[str] = BACKBONES,
    sample: int = 500,
    rerankers: Sequence[str] | None = None,
    budget: float | None = None,
    progress: StageProgress | None = None,
) -> Tuning:
    """Find the best setting for the images of `source`, on a sample, stage by stage.

    With `label`, a metadata column, images of one value should find each other: whole groups are
    drawn. Without, each image should be found by a version of itself that is cropped, turned and
    recoloured. `backbones` are ordered by their cost. `rerankers` are all by default; without any
    the last stage is left out. A trial that would not end within `budget` seconds is left out,
    except the first network. `progress` is called with a step's name, the number done, and the
    total.

    Raises SourceError for a source that cannot be read, CbirError when too few of its images can be
    used, BackboneError and WeightsError for a network given by name.
    """
    rerankers = tuple(RERANKERS) if rerankers is None else rerankers
    clock, report = Clock(budget), progress or _silent
    drawn = draw(source, label, sample)
    readable = drawn.readable(lambda done: report("reading", done, len(drawn)))
    tuner = _Tuner(readable, clock, report)
    tuner.choose_network(backbones)
    tuner.choose_input()
    tuner.choose_views()
    tuner.choose_comparison()
    if rerankers:
        tuner.choose_reranking(rerankers)
    return Tuning(tuple(tuner.trials), tuner.setting, len(tuner.sample), tuple(tuner.left_out))


@dataclass(slots=True)
class _Tuner:
    """The state of a search between its stages."""

    sample: Sample
    clock: Clock
    progress: StageProgress
    trials: list[Trial] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    origin: str | None = None
    """Where the weights of the chosen network came from."""
    embeddings: dict[tuple[int, Pooling], Vectors] = field(default_factory=dict)
    """Embeddings of the chosen network by input size and pooling, (N, versions, S, D), with S = 1
    square, the centre, until the views are chosen."""
    mixed: Vectors | None = None
    """(N, versions, D) embeddings of the chosen views."""

    @property
    def setting(self) -> Setting:
        """The choice of the last stage."""
        return next(trial.setting for trial in reversed(self.trials) if trial.chosen)

    def choose_network(self, backbones: Sequence[str]) -> None:
        measured: list[Measured] = []
        embedded: dict[str, tuple[str | None, dict[tuple[int, Pooling], Vectors]]] = {}
        for number, backbone in enumerate(backbones):
            with_limit = bool(embedded)
            try:
                spec, origin = resolve_spec(backbone)
                maps = self._embed(spec, origin, SQUARES[:1], poolings_of(backbone), with_limit)
            except BackboneError as error:
                if backbones is not BACKBONES:
                    raise
                log.info("%s left out: %s", backbone, error)
                continue
            except OutOfTimeError:
                self.left_out.append(f"{backbone}: no time")
                continue
            embedded[backbone] = origin, {(spec.preprocessing.crop, p): v for p, v in maps.items()}
            setting = Setting(spec, self._centring())
            scores = self._score(maps[spec.pooling].mean(axis=2), setting.whitening)
            measured.append(Measured(setting, (number,), scores))
        if not measured:
            raise CbirError(
                "no network has its weights here; 'cbir models' lists where they come from"
            )
        self._decide("network", measured)
        self.origin, self.embeddings = embedded[self.setting.spec.backbone]

    def choose_input(self) -> None:
        """Try all poolings, each at the default and at a larger input size."""
        base = self.setting
        try:
            spec = self._larger(base.spec)
            maps = self._embed(spec, self.origin, SQUARES[:1], poolings_of(spec.backbone))
            self.embeddings |= {(spec.preprocessing.crop, p): v for p, v in maps.items()}
        except BackboneError as error:  # of one input size only
            log.info("a larger input is left out: %s", error)
        except OutOfTimeError:
            self.left_out.append("a larger input: no time")
        except ImageError as error:
            self.left_out.append(f"a larger input: {error}")
        measured = []
        for (size, pooling), vectors in self.embeddings.items():
            spec, _ = resolve_spec(
                base.spec.backbone, weights=self.origin, pooling=pooling, input_size=size
            )
            scores = self._score(vectors.mean(axis=2), base.whitening)
            cost = size, int(pooling != base.spec.pooling)
            measured.append(Measured(replace(base, spec=spec), cost, scores))
        self._decide("input", measured)

    def choose_views(self) -> None:
        base = self.setting
        key = base.spec.preprocessing.crop, base.spec.pooling
        centre = self.embeddings[key]
        self.mixed = unit_rows_of(centre)
        try:
            others = self._embed(base.spec, self.origin, SQUARES[1:], [base.spec.pooling])
        except OutOfTimeError:
            self.left_out.append("views: no time")
            return
        except ImageError as error:
            self.left_out.append(f"views: {error}")
            return
        squares = np.concatenate([centre, others[base.spec.pooling]], axis=2)
        measured, mixtures = [], []
        for views, flip in VIEWS:
            chosen = [
                number
                for number, (view, mirrored) in enumerate(SQUARES)
                if view in views and (flip or not mirrored)
            ]
            mixtures.append(unit_rows_of(squares[:, :, chosen]))
            setting = replace(base, spec=replace(base.spec, views=views, flip=flip))
            scores = self._score(mixtures[-1], base.whitening)
            measured.append(Measured(setting, (setting.passes,), scores))
        self._decide("views", measured)
        self.mixed = mixtures[VIEWS.index((self.setting.spec.views, self.setting.spec.flip))]

    def choose_comparison(self) -> None:
        base, vectors = self.setting, self._mixed()
        if len(self.sample) < MIN_IMAGES:
            self.left_out.append(f"whitening: it takes {MIN_IMAGES} images")
            return
        measured = [self._compared(base, whitening) for whitening in WHITENINGS]
        best = max(measured[1:], key=lambda trial: trial.scores.precisions.mean()).setting.whitening
        assert best is not None
        fewer = [dims for dims in DIMS if dims < min(vectors.shape[0], vectors.shape[2])]
        measured += [self._compared(base, replace(best, dims=dims)) for dims in fewer]
        self._decide("comparison", measured, begun_with=WHITENINGS.index(base.whitening))

    def choose_reranking(self, methods: Sequence[str]) -> None:
        measured: list[Measured] = []
        tried = rerankings(
            self.sample,
            self.setting,
            self._mixed()[:, 0],
            methods,
            weights_from=self.origin,
            watch=self._watch,
        )
        try:
            for trial in tried:
                measured.append(trial)
        except OutOfTimeError:
            self.left_out.append("further reranking: no time")
        except ImageError as error:
            self.left_out.append(f"reranking: {error}")
        if measured:
            self._decide("reranking", measured)

    def _compared(self, base: Setting, whitening: Whitening | None) -> Measured:
        cost = int(whitening is not None and whitening != Whitening())
        scores = self._score(self._mixed(), whitening)
        return Measured(replace(base, whitening=whitening), (cost,), scores)

    def _centring(self) -> Whitening | None:
        """Centring, if the sample is large enough: it helps nearly everywhere, so settings are
        compared with it."""
        return Whitening() if len(self.sample) >= MIN_IMAGES else None

    def _score(self, vectors: Vectors, whitening: Whitening | None) -> Scores:
        """Score embeddings (N, versions, D), compared as in a gallery of the sample."""
        vectors = unit_rows_of(vectors[:, :, None])
        if whitening is not None:
            projection = fit(vectors[:, 0], whitening)
            projected = projection.apply(vectors.reshape(-1, vectors.shape[2]))
            vectors = projected.reshape(*vectors.shape[:2], -1)
        return self.sample.score(vectors)

    def _embed(
        self,
        spec: EmbeddingSpec,
        origin: str | None,
        squares: Sequence[Square],
        poolings: Sequence[Pooling],
        limited: bool = True,
    ) -> dict[Pooling, Vectors]:
        what = f"embedding, {spec.backbone} at {spec.preprocessing.crop}"
        watch = self._watch if limited else self._report
        progress = watch(what, len(self.sample))
        return embed_sample(
            self.sample, spec, squares, poolings, weights_from=origin, progress=progress
        )

    def _report(self, what: str, total: int) -> Callable[[int], None]:
        return lambda done: self.progress(what, done, total)

    def _watch(self, what: str, total: int) -> Callable[[int], None]:
        return self.clock.watch(self._report(what, total), total)

    def _larger(self, spec: EmbeddingSpec) -> EmbeddingSpec:
        """The spec at a larger input. Raises BackboneError where there is none."""
        size = 32 * round(spec.preprocessing.crop * LARGER / 32)
        return resolve_spec(spec.backbone, weights=self.origin, input_size=size)[0]

    def _mixed(self) -> Vectors:
        assert self.mixed is not None, "the views come first"
        return self.mixed

    def _decide(self, stage: str, measured: Sequence[Measured], *, begun_with: int = 0) -> None:
        self.trials += decide(stage, measured, begun_with=begun_with)


def unit_rows_of(squares: Vectors) -> Vectors:
    """(N, versions, S, D) → (N, versions, D): the mean of the squares, of unit norm."""
    means: Vectors = squares.mean(axis=2)
    return np.asarray(unit_rows(means.reshape(-1, means.shape[2])).reshape(means.shape))


def _silent(what: str, done: int, total: int) -> None:
    """A progress callback that does nothing."""
