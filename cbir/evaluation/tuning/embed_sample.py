"""Embeds a sample: the network runs once per image and input size, for all poolings."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TypeAlias

import numpy as np

from cbir.arrays import Pixels, Vectors
from cbir.config import EmbeddingSpec, Pooling, View, available_cores
from cbir.embedding import Embedder, load_embedder, resolve_spec
from cbir.embedding.registry import find_backbone
from cbir.embedding.vectors import unit_rows
from cbir.errors import BackboneError
from cbir.evaluation.tuning.sample import Sample
from cbir.images import decode_views

__all__ = ["Clock", "OutOfTimeError", "Square", "embed_sample", "poolings_of"]

Square: TypeAlias = tuple[View, bool]
"""One input of the network: a view, and whether it is mirrored."""

POOLINGS: tuple[Pooling, ...] = ("avg", "gem", "rmac", "max")

MEASURED = 16
"""Number of images from which the time of all others is predicted."""


class OutOfTimeError(Exception):
    """A step would take longer than the time that is left."""


class Clock:
    """A time budget, which starts when it is created."""

    def __init__(self, budget: float | None) -> None:
        """`budget` is in seconds; None for no limit."""
        self._end = None if budget is None else time.perf_counter() + budget

    def watch(self, progress: Callable[[int], None], total: int) -> Callable[[int], None]:
        """Wrap `progress` for a step of `total` parts; it raises OutOfTimeError once the step is
        predicted to take too long."""
        started = time.perf_counter()

        def watched(done: int) -> None:
            progress(done)
            now = time.perf_counter()
            left_s = (now - started) / done * (total - done) if done >= MEASURED else 0.0
            if self._end is not None and done < total and now + left_s > self._end:
                raise OutOfTimeError

        return watched


def poolings_of(backbone: str) -> tuple[Pooling, ...]:
    """The poolings to try with a network, its default first."""
    info = find_backbone(backbone)
    others = tuple(p for p in POOLINGS if p in info.poolings and p != info.default_pooling)
    # Others are computed from the feature map, which `flatten` gives.
    return (info.default_pooling, *(others if "flatten" in info.poolings else ()))


def embed_sample(
    sample: Sample,
    spec: EmbeddingSpec,
    squares: Sequence[Square],
    poolings: Sequence[Pooling],
    *,
    weights_from: str | None,
    progress: Callable[[int], None],
) -> dict[Pooling, Vectors]:
    """Embed a sample, by pooling: (N, versions, squares, D); the network runs once for all.

    `progress` is called with the number of images embedded so far. Raises BackboneError,
    WeightsError, and ImageError for an image that can no longer be read.
    """
    if len(poolings) == 1:
        embedder = _load(replace(spec, pooling=poolings[0]), weights_from)
        pool = partial(_one_pooling, poolings[0], embedder)
    else:
        side = spec.preprocessing.crop
        flat, _ = resolve_spec(
            spec.backbone, pooling="flatten", weights=weights_from, input_size=side
        )
        embedder = _load(flat, weights_from)
        pool = partial(_from_map, poolings, spec.dim, embedder)

    def embed_image(number: int) -> dict[Pooling, Vectors]:
        views = list(dict.fromkeys(view for view, _ in squares))
        inputs: list[Pixels] = []
        for data in sample.read(number):
            pixels = decode_views(data, spec.preprocessing, views).pixels
            upright = dict(zip(views, pixels, strict=True))
            inputs += [upright[v][:, ::-1] if mirrored else upright[v] for v, mirrored in squares]
        return pool(inputs)

    embedded = []
    with ThreadPoolExecutor(embedder.parallelism) as workers:
        try:
            for vectors in workers.map(embed_image, range(len(sample))):
                embedded.append(vectors)
                progress(len(embedded))
        except BaseException:
            workers.shutdown(cancel_futures=True)
            raise
    shape = len(sample), sample.versions, len(squares), -1
    return {p: np.stack([vectors[p] for vectors in embedded]).reshape(shape) for p in poolings}


def _load(spec: EmbeddingSpec, weights_from: str | None) -> Embedder:
    return load_embedder(spec, weights_from=weights_from, streams=available_cores())


def _one_pooling(
    pooling: Pooling, embedder: Embedder, inputs: list[Pixels]
) -> dict[Pooling, Vectors]:
    return {pooling: embedder.embed(inputs)}


def _from_map(
    poolings: Sequence[Pooling], channels: int, embedder: Embedder, inputs: list[Pixels]
) -> dict[Pooling, Vectors]:
    """All poolings of flattened feature maps. These have unit norm, which does not matter: pooling
    is homogeneous of degree one, and the result is normalised."""
    import torch

    from cbir.embedding.pytorch.pooling import pooling_module

    flat = embedder.embed(inputs)
    side = round((flat.shape[1] / channels) ** 0.5)
    if channels * side**2 != flat.shape[1]:
        raise BackboneError(f"{embedder.spec.backbone} has a feature map that is no square")
    maps = torch.from_numpy(flat).view(len(flat), channels, side, side)
    return {p: unit_rows(pooling_module(p)(maps).numpy()) for p in poolings}
