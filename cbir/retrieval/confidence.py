"""How much a similarity means: how many unrelated images would be as similar by chance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from cbir.types import Confidence, Word

if TYPE_CHECKING:
    from cbir.arrays import Vectors
    from cbir.gallery import Gallery

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

    E <= 0.2 is a match ("similar"), E <= 0.02 "very likely the same object", all else "weak": one
    choice of cut-offs and exponent for everything. Queries whose group is absent from the gallery,
    and queries with others of their group in it (for photos, altered versions of what is there), by
    `scripts/benchmark confidence` with EfficientNet-Lite0; plain | whitened, in % of the queries;
    the last is how many of the matches are right:

                   absent: match     same         present: match   same         right
        cdcovers   0.0 | 0.0      0.0 | 0.0       34 | 37       1 | 4       100 | 100
        tmbud      0.0 | 0.0      0.0 | 0.0       46 | 46      16 | 15      100 | 100
        corel1k    0.0 | 0.0      0.0 | 0.0       30 | 32       6 | 8       100 | 100
        grocery    3.6 | 4.5      0.2 | 0.4       36 | 37      15 | 16       97 | 96
        photos     0.0 | 0.0      0.0 | 0.0       80 | 80      48 | 48      100 | 100

    E itself is cautious: the tail of most sets is shorter. The groceries set the bound, where
    satsumas are at hand for an absent orange; with one or three photographs per product, 5 to 7 %
    of absent ones report a match. An exponent of 8 (and E <= 0.03) holds better there and finds a
    third less of the CD covers. Tried instead, each at the cut-off that holds 5 % on all sets; of
    the present, plain, found in cdcovers, tmbud, corel1k, grocery:

        the cosine itself                                       0.00  0.21  0.08  0.37
        standardised by the query's own similarities            0.01  0.02  0.06  0.09
        the same by those of the hit, too (S-norm)              0.00  0.02  0.07  0.09
        an exponential tail of the query's own similarities     0.06  0.02  0.12  0.05
        1 - s over that of the hit to its own fifth neighbour   0.63  0.57  0.19  0.48

    The last knows nothing of the gallery's size and tail: with one photograph per product it
    reports a match for up to 24 % of the absent groceries.
    """

    count: int
    """N: images, times their vectors (the whole and its regions) and those of the query, each of
    which is a chance of its own."""
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
        return _reached(self, expected)


@lru_cache(maxsize=16)  # the same two for every hit of a search
def _reached(scale: Scale, expected: float) -> float:
    nearness = (expected / (TAIL * scale.count)) ** (1 / DECAY)
    # As an index gives similarities: rounded alike, both sides of a cut-off agree.
    return float(np.float32(1 + ROUNDING - nearness * (1 - scale.level + ROUNDING)))


def scale_of(gallery: Gallery, towards: Vectors) -> Scale | None:
    """What similarities to a query of vectors (V, D) mean; None where images are too few to say.

    The space is that in which the gallery's index compares, whitened if it is.
    """
    background = gallery.background()
    if background.count < MIN_IMAGES:
        return None
    similarities = background.similarities(towards)
    rank = int((1 - TAIL) * similarities.shape[1])
    level = float(np.partition(similarities, rank, axis=1)[:, rank].max())
    chances = len(towards) * (1 + len(gallery.config.regions))
    return Scale(chances * background.count, level)


def is_match(confidence: Confidence) -> bool:
    """Whether a similarity is higher than unrelated images reach by chance."""
    return confidence.word != "weak"
