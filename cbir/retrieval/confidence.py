"""How much a similarity means: how many unrelated images would be as similar by chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cbir.types import Confidence, Word

if TYPE_CHECKING:
    from cbir.gallery import Gallery
    from cbir.storage.vectors import Vectors
    from cbir.types import Hit

__all__ = ["MATCH", "MIN_IMAGES", "SAME", "Scale", "is_match", "scale_of"]

MIN_IMAGES = 50
"""Fewer images say nothing about how alike unrelated ones are: confidence is unknown."""

TAIL = 0.1
"""The share of the gallery from which on similarities count as the background's tail. A query
whose relatives are a larger share than that finds nothing unusual about them."""

DECAY = 6.0
"""How fast the tail thins out towards a cosine of 1."""

ROUNDING = 1e-3
"""Cosines are not told apart more finely: embeddings are stored in half precision."""

MATCH = 0.2
"""At most so many unrelated images are expected to be as similar as a match."""

SAME = 0.02
"""The same for 'very likely the same object'."""


@dataclass(frozen=True, slots=True)
class Scale:
    """What similarities to one query mean.

    Of unrelated images, the share that reaches a similarity s is taken as

        p(s) = 0.1 · ((1 - s) / (1 - b))^6,    b the query's similarity to the background's tail

    that is, to the most similar tenth of images drawn from the gallery: b is measured, and beyond
    it the tail ends at 1 by a power law, as the nearest distances in a space of 12 dimensions do
    (d² = 2 - 2s; the Weibull law of smallest values). Of N images, E = N · p(s) are then expected
    to be as similar although they have nothing to do with the query, as BLAST counts chance
    alignments (Karlin & Altschul 1990). N is the whole gallery, also where a filter admits a part
    of it: what a pair is worth does not depend on what else is asked.

    E <= 0.2 is a match ("similar"), E <= 0.02 "very likely the same object", all else "weak". The
    two constants and the exponent are one choice for everything; EfficientNet-Lite0, queries whose
    group is absent from the gallery, and queries with others of their group in it:

                     absent: a match / same       present: a match / same, the best hit right
        cdcovers     0.000 / 0.000                0.39 / 0.02, 1.00
        tmbud        0.000 / 0.000                0.45 / 0.16, 1.00
        corel1k      0.000 / 0.000                0.35 / 0.09, 1.00
        grocery      0.033 / 0.003                0.36 / 0.15, 0.96
        photos       0.000 / 0.000

    The groceries set the bound: an absent orange is as good as there in the satsumas. A gallery
    of one photograph per product has no better hit to offer, and 6 to 8 % of absent groceries
    then report a match. A steeper tail would hold there, too (exponent 8), and halve what is found
    among the CD covers. What was tried instead, at the cut-off that holds 5 % on all sets: the
    cosine itself finds 0.00, 0.21, 0.08, 0.37 of the present; standardised by the query's own
    similarities 0.01, 0.02, 0.06, 0.09, and by those of the hit, too, 0.00, 0.02, 0.07, 0.09; an
    exponential tail fitted to either 0.06, 0.02, 0.12, 0.05; the nearest distance over that of
    the hit to its own fifth neighbour 0.63, 0.57, 0.19, 0.48, but a match for 24 % of absent
    groceries where each has one photograph.
    """

    count: int
    """N: images, times the vectors of the query, each of which is a chance of its own."""
    level: float
    """b; the largest of those of several vectors."""

    def confidence(self, similarity: float) -> Confidence:
        """What a similarity to the query is worth."""
        nearness = (1 - similarity + ROUNDING) / (1 - self.level + ROUNDING)
        p = min(1.0, TAIL * max(0.0, nearness) ** DECAY)
        word: Word = "weak"
        if similarity >= self.reached(SAME):
            word = "very likely the same object"
        elif similarity >= self.reached(MATCH):
            word = "similar"
        return Confidence(p, self.count * p, word)

    def reached(self, expected: float) -> float:
        """The least similarity that no more than so many unrelated images are expected to have."""
        nearness = (expected / (TAIL * self.count)) ** (1 / DECAY)
        # As an index gives similarities: rounded alike, both sides of a cut-off agree.
        return float(np.float32(1 + ROUNDING - nearness * (1 - self.level + ROUNDING)))


def scale_of(gallery: Gallery, towards: Vectors) -> Scale | None:
    """What similarities to a query of vectors (V, D) mean; None where images are too few to say.

    The space is that in which the gallery's index compares, whitened if it is.
    """
    background = gallery.background()
    if background.count < MIN_IMAGES:
        return None
    # Not by BLAS, which would wake every core for a third of a millisecond of work.
    similarities = np.einsum("vd,sd->vs", gallery.project(towards), background.vectors)
    rank = int((1 - TAIL) * similarities.shape[1])
    level = float(np.partition(similarities, rank, axis=1)[:, rank].max())
    return Scale(len(towards) * background.count, level)


def is_match(hit: Hit) -> bool:
    """Whether a hit is more similar to the query than unrelated images are by chance."""
    return hit.confidence is not None and hit.confidence.word != "weak"
