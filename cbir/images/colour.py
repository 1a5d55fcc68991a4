"""Converts the colours of a file (16-bit, palette, CMYK, an ICC profile) to sRGB."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from cbir.images.levels import grey_image
from cbir.images.transparency import WHITE, over_ground

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsTransform

__all__ = ["changes_colours", "resamplable", "to_srgb"]


def resamplable(image: Image.Image) -> Image.Image:
    """The image in a mode that can be resampled: L, LA, RGB, RGBA or CMYK."""
    if image.mode == "F" or image.mode.startswith("I"):
        return grey_image(image)
    if image.mode in ("LA", "RGBA"):
        return image
    if image.mode == "La":  # Pillow cannot convert La to RGBA
        return image.convert("LA")
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode in ("L", "RGB", "CMYK"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def to_srgb(image: Image.Image, profile: object, *, ground: int = WHITE) -> Image.Image:
    """A resamplable image → RGB; transparent parts are blended with a `ground`, a level of grey.

    `profile` is the ICC profile of the file; one that does not fit the image is ignored.
    """
    if image.mode in ("LA", "RGBA"):
        image = over_ground(image, ground)
    transform = _transform_to_srgb(profile, image.mode) if isinstance(profile, bytes) else None
    return image.convert("RGB") if transform is None else transform.apply(image)


def changes_colours(profile: bytes) -> bool:
    """Whether an ICC profile gives the colours of an RGB image another look than sRGB does."""
    return _transform_to_srgb(profile, "RGB") is not None


@lru_cache(maxsize=16)
def _transform_to_srgb(profile: bytes, mode: str) -> ImageCmsTransform | None:
    """The transform from an ICC profile to sRGB.

    None if the profile is sRGB already, broken, or of another mode.
    """
    from PIL import ImageCms

    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            flags=ImageCms.Flags.NOCACHE,  # the one-pixel cache is not thread-safe
        )
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None
    return None if mode == "RGB" and _changes_nothing(transform) else transform


def _changes_nothing(transform: ImageCmsTransform) -> bool:
    """Whether the transform moves no colour by more than 2 of 255."""
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(9, 81, 3)
    moved = np.asarray(transform.apply(Image.fromarray(colours))).astype(int) - colours
    return bool(np.abs(moved).max() <= 2)
