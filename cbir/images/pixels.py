"""The values between opening a file and showing it: an opened image, and its decoded pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from PIL import Image

if TYPE_CHECKING:
    from cbir.types import Remark

__all__ = ["OpenedImage", "StoredPixels"]


@dataclass(frozen=True, slots=True)
class StoredPixels:
    """The decoded pixels of an image as its file stores them: not upright, not yet sRGB."""

    image: Image.Image
    """Of a mode that can be resampled: L, LA, RGB, RGBA or CMYK."""
    full: tuple[int, int]
    """Width and height of the whole image, which may have been decoded at a reduced size."""
    end: tuple[float, float]
    """Where the whole image's right and lower edges lie in `image`. Where the size is no multiple
    of the reduction, a part of the last column or row lies beyond the edge; counting that part as
    image would shift all other pixels (four times the error, measured)."""
    orientation: int = 1
    """EXIF orientation, 1 to 8."""
    profile: object = None
    """The ICC profile of the file, if any."""
    remarks: tuple[Remark, ...] = ()


class OpenedImage(Protocol):
    """An image whose header has been read."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as stored."""
        ...

    @property
    def most_pixels(self) -> int:
        """Largest number of pixels that the whole image may have."""
        ...

    def load(self, least: tuple[int, int] | None) -> StoredPixels:
        """Decode it, possibly at a reduced size, which is not below `least` (width, height)."""
        ...

    def close(self) -> None:
        """Release the file."""
        ...
