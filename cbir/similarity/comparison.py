"""Compares two images by all measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from cbir.arrays import Pixels
from cbir.errors import ImageError
from cbir.images import encode_lossless, open_rgb
from cbir.similarity.arrays import to_common_size, to_grey
from cbir.similarity.cosine import cosine
from cbir.similarity.histogram import chi_square, hsv_histogram, intersection, rgb_histogram
from cbir.similarity.keypoints import Method, extract
from cbir.similarity.matching import match
from cbir.similarity.pixel import mse, ssim
from cbir.similarity.verification import CHANCE_INLIERS, places_of, verify

__all__ = ["Comparison", "Embed", "Measure", "Picture", "compare"]

Picture: TypeAlias = "str | PathLike[str] | bytes | Image.Image"
"""A file, an encoded image, or a Pillow image."""

Embed: TypeAlias = Callable[[bytes], npt.NDArray[np.float32]]
"""An encoded image → its embedding (D,); `Retriever.embed` is one."""

MAX_SIDE = 2048
"""Longer side in pixels to which images are shrunk before they are compared."""

SURE_INLIERS = 20
"""Fewest inliers that are called the same object: more than a few letters or a logo give."""


@dataclass(frozen=True, slots=True)
class Measure:
    """The value of one measure for two images."""

    name: str
    value: float | None
    """None where it could not be measured; `meaning` then says why."""
    better: Literal["higher", "lower"]
    """The direction in which images are more alike."""
    meaning: str
    details: Mapping[str, Any] = field(default_factory=dict)
    """Further figures by name: of keypoints the tentative matches, the share and the spread of
    the inliers."""


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """The values of all measures for two images."""

    sizes: tuple[tuple[int, int], tuple[int, int]]
    """Width and height of the first and the second image as they were compared."""
    measures: tuple[Measure, ...]
    matches: npt.NDArray[np.float32]
    """(M, 4) verified matches of SIFT: x and y in the first image, x and y in the second, as
    shares of its width and height."""

    def __getitem__(self, name: str) -> Measure:
        """One measure by name. Raises KeyError."""
        for measure in self.measures:
            if measure.name == name:
                return measure
        raise KeyError(name)


def compare(
    a: Picture,
    b: Picture,
    *,
    embed: Embed | None = None,
    embed_name: str = "",
    names: tuple[str, str] | None = None,
) -> Comparison:
    """Compare two images by all measures; only the keypoint measures depend on their order.

    Images of different sizes are brought to the smaller width and the smaller height of the two
    before pixels are compared (MSE, and SSIM of grey); the other measures take each image as it is.
    Images with a side above 2048 pixels are shrunk first. With `embed` the cosine of the embeddings
    is included; `embed_name` describes the embedding. Raises ImageError when an image cannot be
    read, and names it by its path or by `names`.
    """
    names = names or (_name(a, "first image"), _name(b, "second image"))
    first, second = _encoded(a), _encoded(b)
    x, y = _pixels(first, names[0]), _pixels(second, names[1])
    sift, matches = _keypoints(x, y, "sift")
    orb, _ = _keypoints(x, y, "orb")
    measures = [*_pixel_measures(x, y), *_histogram_measures(x, y), sift, orb]
    if embed is not None:
        value = cosine(embed(first), embed(second))
        meaning = "-1 to 1, higher is more alike" + (embed_name and f" · {embed_name}")
        measures.append(Measure("embedding_cosine", value, "higher", meaning))
    sizes = (x.shape[1], x.shape[0]), (y.shape[1], y.shape[0])
    return Comparison(sizes, tuple(measures), matches)


def _encoded(picture: Picture) -> bytes:
    """The encoded bytes of a picture. Raises ImageError when its file cannot be read."""
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, Image.Image):
        return encode_lossless(picture)
    try:
        return Path(picture).read_bytes()
    except OSError as error:
        raise ImageError(f"{picture}: cannot be read: {error.strerror}") from error


def _name(picture: Picture, otherwise: str) -> str:
    return str(picture) if isinstance(picture, (str, PathLike)) else otherwise


def _pixels(data: bytes, name: str) -> Pixels:
    """Decoded pixels, (H, W, 3). Raises ImageError that begins with the name."""
    try:
        return np.asarray(open_rgb(data, max_side=MAX_SIDE), np.uint8)
    except ImageError as error:
        raise type(error)(f"{name}: {error}") from error


def _pixel_measures(a: Pixels, b: Pixels) -> list[Measure]:
    x, y = to_common_size(a, b)
    squeezed = "" if a.shape == b.shape else f" · both at {x.shape[1]} × {x.shape[0]}"
    similarity = ssim(to_grey(x), to_grey(y))
    return [
        Measure("mse", mse(x, y), "lower", f"0 to 65025, 0 is identical{squeezed}"),
        Measure("ssim", similarity, "higher", f"-1 to 1, 1 is identical · grey{squeezed}"),
    ]


def _histogram_measures(a: Pixels, b: Pixels) -> list[Measure]:
    measures = []
    for space, histogram, bins in (
        ("rgb", rgb_histogram, "8 × 8 × 8 bins"),
        ("hsv", hsv_histogram, "16 × 4 × 4 bins"),
    ):
        p, q = histogram(a), histogram(b)
        intersects = f"0 to 1, 1 is the same colours · {bins}"
        differs = f"0 to 1, 0 is the same colours · {bins}"
        measures += [
            Measure(f"{space}_intersection", intersection(p, q), "higher", intersects),
            Measure(f"{space}_chi_square", chi_square(p, q), "lower", differs),
        ]
    return measures


def _keypoints(a: Pixels, b: Pixels, method: Method) -> tuple[Measure, npt.NDArray[np.float32]]:
    """Number of inliers of one homography, and their places as in Comparison.matches."""
    x, y = extract(a, method), extract(b, method)
    verified = verify(x, y, match(x, y))
    if verified.inliers >= SURE_INLIERS:
        verdict = "very likely the same object"
    elif verified.inliers >= CHANCE_INLIERS:
        verdict = "likely an object in common"
    else:
        verdict = "no more than chance"
    meaning = f"of {verified.tentative} matches fit one view: {verdict}"
    details = {
        "tentative": verified.tentative,
        "inlier_ratio": verified.inlier_ratio,
        "spread": verified.spread,
    }
    measure = Measure(f"{method}_inliers", verified.inliers, "higher", meaning, details)
    return measure, places_of(x, y, verified)
