"""What may be asked: images from anywhere, a region of one, several wanted and unwanted."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from os import PathLike
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from cbir.arrays import normalised
from cbir.errors import ImageError, OptionError
from cbir.images import open_rgb
from cbir.sources.paths import path_to_uri
from cbir.sources.reading import read_uri

if TYPE_CHECKING:
    from PIL.Image import Image

    from cbir.arrays import Vectors
    from cbir.gallery import Gallery

Query: TypeAlias = "str | PathLike[str] | bytes | Image | int"
"""A file, an encoded image, a Pillow image, or the id of an image of the gallery."""

Crop: TypeAlias = "tuple[float, float, float, float]"
"""x, y, width, height: pixels of the upright image, or fractions of it where none exceeds 1."""

Combine = Literal["mean", "best"]
"""How several images are one query: their mean, or each of them by itself."""

UNWANTED_WEIGHT = 0.3


def combined(wanted: Vectors, unwanted: Vectors, combine: Combine) -> Vectors:
    """What is searched for: unit vectors (N, D), (M, D) → unit vectors, (1, D) or for best (N, D).

        q ~ mean(wanted) - w · mean(unwanted)        (Rocchio 1971), w = 0.3

    For `best` each of the wanted takes the place of their mean, and an image is as similar as it
    is to the nearest of them. The weights are scaled to a sum of 1, so that centring (`cbir
    whiten`) means the same before and after. mAP on what is left, EfficientNet-Lite0:

                   one, with its first wrong hits unwanted     three wanted
                   none    1 at w=0.3    3 at w=0 → 0.3        one of them   mean    best
        corel1k    0.523   0.597         0.534 → 0.619         0.886         0.953   0.937
        grocery    0.447   0.465         0.483 → 0.508         0.445         0.587   0.569
        cdcovers   0.837   0.893         0.873 → 0.915         0.757         0.895   0.871
        tmbud      0.793   0.798         0.831 → 0.846         0.732         0.868   0.892

    Up to w = 0.3 no mAP gets worse; tmbud's does from 0.4 on, grocery's from 0.5. `best` wins
    where the images show different sides (buildings by day and night), the mean elsewhere.
    """
    if not len(unwanted) and (combine == "best" or len(wanted) == 1):
        return wanted
    towards = wanted if combine == "best" else wanted.mean(axis=0, keepdims=True)
    if len(unwanted):
        towards = (towards - UNWANTED_WEIGHT * unwanted.mean(axis=0)) / (1 - UNWANTED_WEIGHT)
    return normalised(towards)


def as_images(query: Query | Sequence[Query]) -> list[Query]:
    """One image or several as a list. Raises OptionError when there is none."""
    if isinstance(query, (list, tuple)):
        if not query:
            raise OptionError("a query needs at least one image")
        return list(query)
    return [query]  # type: ignore[list-item]


def encoded(query: Query, gallery: Gallery, *, crop: Crop | None = None) -> bytes:
    """The image a query stands for, or a region of it, as an encoded file. Raises ImageError."""
    if isinstance(query, int):
        data = read_uri(gallery.image(query).uri)
    elif isinstance(query, bytes):
        data = query
    elif isinstance(query, (str, PathLike)):
        data = read_uri(path_to_uri(query))
    else:
        return _png(query if crop is None else cropped(query, crop))
    return data if crop is None else _png(cropped(open_rgb(data), crop))


def cropped(image: Image, crop: Crop) -> Image:
    """A region of an upright image. Raises ImageError when it does not lie within."""
    width, height = image.size
    shown = ",".join(f"{number:g}" for number in crop)
    if not np.isfinite(crop).all() or min(crop) < 0:
        raise ImageError(f"crop {shown}: x, y, width and height are numbers from 0 upwards")
    scale = np.array([width, height] * 2 if max(crop) <= 1 else [1] * 4)
    x, y, w, h = (np.asarray(crop) * scale).tolist()
    left, top, right, bottom = round(x), round(y), round(x + w), round(y + h)
    if right > width or bottom > height:
        raise ImageError(
            f"crop {shown} reaches to {right},{bottom} and the image ends at {width},{height}; "
            "x,y,width,height are pixels of the upright image, or fractions of it"
        )
    if right <= left or bottom <= top:
        raise ImageError(f"crop {shown} is empty in an image of {width} × {height} pixels")
    return image.crop((left, top, right, bottom))


def name_of(query: Query) -> str:
    """How one image is called in a result."""
    if isinstance(query, int):
        return f"id:{query}"
    if isinstance(query, (str, PathLike)):
        return str(query)
    return "-"


def name_of_all(
    wanted: Sequence[Query], unwanted: Sequence[Query], *, crop: Crop | None = None
) -> str:
    """How a whole query is called: `a.jpg + b.jpg, not c.jpg`, `a.jpg [10,20,300,200]`."""
    name = " + ".join(map(name_of, wanted))
    if crop is not None:
        name += f" [{','.join(f'{number:g}' for number in crop)}]"
    return name + "".join(f", not {name_of(query)}" for query in unwanted)


def _png(image: Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
