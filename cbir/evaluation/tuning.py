"""Which embedding space suits a gallery best: a grid, measured on a sample of its images.

Every image is decoded once and seen by each network in four views (centre, whole, and both
mirrored); all mixtures of views and all whitenings are then arithmetic on those vectors.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from os import PathLike

import numpy as np

from cbir.config import EmbeddingSpec, View, Whitening, available_cores
from cbir.embedding import Embedder, load_embedder, resolve_spec
from cbir.embedding.vectors import unit_rows
from cbir.errors import BackboneError, CbirError, ImageError
from cbir.evaluation.alteration import altered
from cbir.evaluation.metrics import average_precision, bootstrap_interval
from cbir.evaluation.result import Interval
from cbir.images import decode_views, open_rgb
from cbir.sources import SourceImage, open_source
from cbir.storage.projection import fit
from cbir.storage.vectors import Vectors

__all__ = ["BACKBONES", "Trial", "tune"]

log = logging.getLogger(__name__)

BACKBONES = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
"""Tried by default, as far as their weights are at hand."""

VIEWS: tuple[tuple[tuple[View, ...], bool], ...] = (
    (("crop",), False),
    (("crop",), True),
    (("crop", "whole"), False),
    (("crop", "whole"), True),
)
WHITENINGS: tuple[Whitening | None, ...] = (
    None,
    Whitening(),
    Whitening(power=0.25, shrink=0.5),
    Whitening(power=0.5, shrink=0.5),
)

NEARLY = 0.003
"""A cheaper setting this close to the best mAP is preferred: no sample tells them apart."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting and how well it found what belongs together."""

    spec: EmbeddingSpec
    whitening: Whitening | None
    map: Interval
    precision_at_1: float

    @property
    def passes(self) -> int:
        """How often the network runs per image."""
        return len(self.spec.views) * (2 if self.spec.flip else 1)

    def commands(self, source: str) -> list[str]:
        """The command lines that make a gallery of this setting."""
        flags = [f"--backbone {self.spec.backbone}"]
        flags += [f"--{view}" for view in self.spec.views if view != "crop"]
        flags += ["--flip"] * self.spec.flip
        lines = [f"cbir index {source} {' '.join(flags)}"]
        if self.whitening is not None:
            power, shrink = self.whitening.power, self.whitening.shrink
            options = f" --power {power:g} --shrink {shrink:g}" if power else ""
            lines.append(f"cbir whiten{options}")
        return lines


def tune(
    source: str | PathLike[str],
    *,
    label: str | None = None,
    backbones: Sequence[str] = BACKBONES,
    sample: int = 500,
    progress: Callable[[int], None] | None = None,
) -> list[Trial]:
    """Try every setting on a sample of `source`; the recommended one first, the rest by mAP.

    With `label`, a metadata column, images of one value should find each other: whole groups are
    drawn. Without, each image should be found by a version of itself that is cropped, turned and
    recoloured. `progress` is told how many images have been embedded. Raises SourceError for a
    source that cannot be read, CbirError when too few of its images say anything.
    """
    images = _sample(list(_images(source)), label, sample)
    groups = _groups(images, label)
    done = 0
    trials: list[Trial] = []
    for backbone in backbones:
        try:
            spec, origin = resolve_spec(backbone)
            embedder = load_embedder(spec, weights_from=origin, streams=available_cores())
        except BackboneError as error:
            if backbones is not BACKBONES:
                raise
            log.info("%s left out: %s", backbone, error)
            continue
        see = partial(_see, embedder=embedder, augment=label is None)
        seen = []
        with ThreadPoolExecutor(embedder.parallelism) as pool:
            for vectors in pool.map(see, images):
                seen.append(vectors)
                done += 1
                if progress is not None:
                    progress(done)
        readable = [i for i, vectors in enumerate(seen) if vectors is not None]
        if len(readable) < 2:
            raise CbirError("no two images of the sample can be read; try another source")
        known = np.stack([vectors for vectors in seen if vectors is not None])
        trials += _trials(spec, known, groups[readable], queries_apart=label is None)
    return _recommended_first(trials)


def _images(source: str | PathLike[str]) -> Iterator[SourceImage]:
    return (image for image in open_source(source) if isinstance(image, SourceImage))


def _sample(images: list[SourceImage], label: str | None, count: int) -> list[SourceImage]:
    """About `count` images: whole groups where there are labels, else any."""
    rng = np.random.default_rng(0)
    if label is None:
        chosen = rng.permutation(len(images))[:count]
        return [images[i] for i in sorted(chosen)]
    by_label: dict[object, list[SourceImage]] = defaultdict(list)
    for image in images:
        if label in image.metadata:
            by_label[image.metadata[label]].append(image)
    groups = [group for group in by_label.values() if len(group) > 1]
    if not groups:
        raise CbirError(f"no two images have the same {label!r}; name another column with --label")
    # A few of each of many groups say more than all of a few.
    per_group = max(2, -(-count // len(groups)))
    drawn = [groups[i] for i in rng.permutation(len(groups))[: max(1, count // 2)]]
    return [group[i] for group in drawn for i in sorted(rng.permutation(len(group))[:per_group])]


def _groups(images: Sequence[SourceImage], label: str | None) -> np.ndarray:
    """A number per image; equal numbers belong together."""
    if label is None:
        return np.arange(len(images))
    _, numbers = np.unique([str(image.metadata[label]) for image in images], return_inverse=True)
    return np.asarray(numbers)


def _see(image: SourceImage, *, embedder: Embedder, augment: bool) -> Vectors | None:
    """Centre, whole, and both mirrored: (4, D); with `augment` (8, D), the altered image behind.

    None for an image that cannot be read.
    """
    try:
        data = image.read()
        versions = [decode_views(data, embedder.spec.preprocessing, ("crop", "whole")).pixels]
        if augment:
            version = altered(open_rgb(data, max_side=1024), seed=len(data))
            versions.append(
                decode_views(version, embedder.spec.preprocessing, ("crop", "whole")).pixels
            )
    except ImageError as error:
        log.info("%s left out: %s", image.name, error)
        return None
    squares = [view for v in versions for view in (*v, *v[:, :, ::-1])]
    return embedder.embed(squares)


def _trials(
    spec: EmbeddingSpec, seen: Vectors, groups: np.ndarray, *, queries_apart: bool
) -> Iterator[Trial]:
    """All mixtures of the views in `seen`, (N, 4 or 8, D), with all whitenings."""
    for (views, flip), whitening in product(VIEWS, WHITENINGS):
        chosen = [0, 1][: len(views)] + [2, 3][: len(views)] * flip
        gallery = unit_rows(seen[:, chosen].mean(axis=1))
        queries = (
            unit_rows(seen[:, [4 + i for i in chosen]].mean(axis=1)) if queries_apart else None
        )
        if whitening is not None:
            try:
                projection = fit(gallery, whitening)
            except ValueError:  # too few images to fit on
                continue
            gallery = projection.apply(gallery)
            queries = None if queries is None else projection.apply(queries)
        precisions, firsts = _judge(gallery, queries, groups)
        yield Trial(
            replace(spec, views=views, flip=flip),
            whitening,
            Interval(float(np.mean(precisions)), *bootstrap_interval(precisions)),
            float(np.mean(firsts)),
        )


def _judge(
    gallery: Vectors, queries: Vectors | None, groups: np.ndarray
) -> tuple[list[float], list[bool]]:
    """Average precision and whether the first hit is right, per query."""
    similarities = (gallery if queries is None else queries) @ gallery.T
    if queries is None:
        np.fill_diagonal(similarities, -np.inf)
    precisions, firsts = [], []
    for query, row in enumerate(similarities):
        order = np.argsort(-row, kind="stable")[: len(row) - (queries is None)]
        relevant = groups[order] == groups[query]
        if not relevant.any():  # the others of its group could not be read
            continue
        precisions.append(average_precision(relevant))
        firsts.append(bool(relevant[0]))
    return precisions, firsts


def _recommended_first(trials: Sequence[Trial]) -> list[Trial]:
    ordered = sorted(trials, key=lambda trial: -trial.map.value)
    near = [trial for trial in ordered if trial.map.value >= ordered[0].map.value - NEARLY]
    chosen = min(near, key=lambda trial: trial.passes)
    return [chosen, *(trial for trial in ordered if trial is not chosen)]
