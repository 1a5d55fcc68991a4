"""Camera RAW for tests: TIFFs as cameras write them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import tifffile
from factories import encode, picture
from PIL import Image

FILTER_ARRAY = 32803
PHOTO = picture(480, 320)


def camera_raw(
    *,
    order: str = "<",
    dng: bool = True,
    preview: tuple[int, int] | None = None,
    orientation: int = 1,
    photo: Image.Image = PHOTO,
) -> bytes:
    """A TIFF as cameras write it: a preview, the sensor's values, perhaps a JPEG of some size."""
    values = np.asarray(photo.convert("L")).astype(np.uint16) * 60 + 512
    make = [(271, "s", 0, "Maker", True), (274, "H", 1, orientation, True)]
    if dng:
        make.append((50706, "B", 4, (1, 4, 0, 0), True))
    small = np.asarray(photo.resize((48, 32)))
    options: dict[str, Any] = {"metadata": None}
    file = io.BytesIO()
    with tifffile.TiffWriter(file, byteorder="<" if order == "<" else ">") as writer:
        writer.write(small, photometric="rgb", subifds=1, subfiletype=1, extratags=make, **options)
        pattern = [(33421, "H", 2, (2, 2), True), (33422, "B", 4, (0, 1, 1, 2), True)]
        writer.write(values, photometric=FILTER_ARRAY, subfiletype=0, extratags=pattern, **options)
    data = file.getvalue()
    if preview is not None:
        data += encode(photo.resize(preview), "JPEG", quality=95)
    return data
