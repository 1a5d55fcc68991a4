"""Confidence of a similarity: expected number of unrelated images that are as similar by chance."""

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
"""Fewest images in a gallery for which the similarity of unrelated images can be estimated."""

TAIL = 0.1
"""The share of the gallery, the most similar images, that is the tail of the background. If more
of the gallery than that is related to a query, none of it stands out."""

DECAY = 6.0
"""Exponent by which the tail falls towards a cosine of 1."""

ROUNDING = 1e-3
"""Resolution of a cosine: embeddings are stored in half precision."""

MATCH = 0.2
"""E of a match: at most this many unrelated images are expected to be as similar."""

SAME = 0.02
"""E of 'very likely the same object'."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Converts similarities to one query into confidence.

    The share of unrelated images that reach a similarity s is modelled as

        p(s) = 0.1 · ((1 - s) / (1 - b))^6

    b is measured: the similarity that the most similar tenth of a random sample of the gallery (the
    background) reaches. Above b the tail falls to 0 at s = 1 by a power law, like the nearest
    distances in a space of 12 dimensions (d² = 2 - 2s; Weibull's law of smallest values). Among N
    images, E = N · p(s) unrelated ones are then expected to be as similar by chance, as BLAST
    counts chance alignments (Karlin & Altschul 1990). N is the whole gallery, also where a filter
    admits only a part of it: the meaning of a similarity does not depend on other options.

    E <= 0.2 is a match ("similar"), E <= 0.02 "very likely the same object", all else "weak". These
    limits and the exponent are the same for all galleries. The table shows queries whose group is
    absent from the gallery, and queries whose group is present (for photos: altered versions of
    images in the gallery). It comes from `scripts/benchmark confidence` with EfficientNet-Lite0,
    plain | whitened, in % of the queries; the last column is the share of matches that are right:

                   absent: match     same         present: match   same         right
        cdcovers   0.0 | 0.0      0.0 | 0.0       34 | 37       1 | 4       100 | 100
        tmbud      0.0 | 0.0      0.0 | 0.0       46 | 46      16 | 15      100 | 100
        corel1k    0.0 | 0.0      0.0 | 0.0       30 | 32       6 | 8       100 | 100
        grocery    3.6 | 4.5      0.2 | 0.4       36 | 37      15 | 16       97 | 96
        photos     0.0 | 0.0      0.0 | 0.0       80 | 80      48 | 48      100 | 100

    E is an overestimate for most sets, whose tail is shorter. The groceries decide the limits: they
    have satsumas that resemble an absent orange; with one or three photographs per product, 5 to
    7 % of the absent ones report a match. An exponent of 8 (and E <= 0.03) is better there and
    finds a third less of the CD covers. Alternatives, each at the limit that keeps false matches
    at 5 % on all sets; share of the present found (plain) in cdcovers, tmbud, corel1k, grocery:

        the cosine itself                                       0.00  0.21  0.08  0.37
        standardised by the query's own similarities            0.01  0.02  0.06  0.09
        the same by those of the hit, too (S-norm)              0.00  0.02  0.07  0.09
        an exponential tail of the query's own similarities     0.06  0.02  0.12  0.05
        1 - s over that of the hit to its own fifth neighbour   0.63  0.57  0.19  0.48

    The last does not depend on the gallery's size and tail: with one photograph per product it
    reports a match for up to 24 % of the absent groceries.
    """

    count: int
    """N: images × vectors of each (the whole and its regions) × query vectors."""
    background: float
    """b in the formula; with several query vectors, the largest."""

    def confidence(self, similarity: float) -> Confidence:
        """The confidence of a similarity to the query."""
        nearness = (1 - similarity + ROUNDING) / (1 - self.background + ROUNDING)
        p = min(1.0, TAIL * max(0.0, nearness) ** DECAY)
        word: Word = "weak"
        if similarity >= self.threshold(SAME):
            word = "very likely the same object"
        elif similarity >= self.threshold(MATCH):
            word = "similar"
        return Confidence(p, self.count * p, word)

    @property
    def none(self) -> Confidence:
        """The confidence of a similarity without meaning: one flat colour resembles another."""
        return Confidence(1.0, float(self.count), "weak")

    def threshold(self, expected: float) -> float:
        """The lowest similarity that at most `expected` unrelated images are expected to reach."""
        return _threshold(self, expected)


@lru_cache(maxsize=16)  # the same two for every hit of a search
def _threshold(scale: Scale, expected: float) -> float:
    nearness = (expected / (TAIL * scale.count)) ** (1 / DECAY)
    # float32, as an index returns similarities: a hit at the threshold is on the same side of it.
    return float(np.float32(1 + ROUNDING - nearness * (1 - scale.background + ROUNDING)))


def scale_of(gallery: Gallery, vectors: Vectors) -> Scale | None:
    """The scale of a query of vectors (V, D); None where the gallery has too few images.

    Similarities are those of the gallery's index: whitened where the gallery is.
    """
    background = gallery.background()
    if background.count < MIN_IMAGES:
        return None
    similarities = background.similarities(vectors)
    rank = int((1 - TAIL) * similarities.shape[1])
    reached = float(np.partition(similarities, rank, axis=1)[:, rank].max())
    chances = len(vectors) * (1 + len(gallery.config.regions))
    return Scale(chances * background.count, reached)


def is_match(confidence: Confidence) -> bool:
    """Whether a similarity is higher than unrelated images reach by chance."""
    return confidence.word != "weak"
