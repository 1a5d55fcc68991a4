"""One kind of descriptor: how it is extracted from pixels, and how it is stored as bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from PIL.Image import Image

    from cbir.arrays import Pixels

__all__ = ["Descriptor"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Descriptor(Generic[T]):
    """Extracts a descriptor of type T from an image, and converts it to bytes and back."""

    name: str
    """Stored in the catalogue beside each descriptor: never renamed."""
    extract: Callable[[Pixels], T]
    """Extracts it from an upright RGB image, uint8 (H, W, 3), no side longer than `max_side`."""
    encode: Callable[[T], bytes]
    decode: Callable[[bytes], T]
    """The inverse of `encode`. Raises ValueError for bytes that `encode` did not write."""
    max_side: int
    """Longer side in pixels to which an image is shrunk, never enlarged, before extraction."""

    def describe(self, source: bytes | Image) -> T:
        """The descriptor of an encoded image, or of a Pillow image. Raises ImageError."""
        import numpy as np

        from cbir.images import open_rgb

        return self.extract(np.asarray(open_rgb(source, max_side=self.max_side), np.uint8))
