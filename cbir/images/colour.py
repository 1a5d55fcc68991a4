"""Converts the colours of a file (16-bit, palette, CMYK, an ICC profile) to sRGB."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsTransform

__all__ = ["changes_colours", "resamplable", "to_srgb"]


def resamplable(image: Image.Image) -> Image.Image:
    """The image in a mode that can be resampled: L, LA, RGB, RGBA or CMYK."""
    if image.mode == "F" or image.mode.startswith("I"):
        return _to_8_bit(image)
    if image.mode in ("LA", "RGBA"):
        return image
    if image.mode == "La":  # Pillow cannot convert La to RGBA
        return image.convert("LA")
    if image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode in ("L", "RGB", "CMYK"):
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _to_8_bit(image: Image.Image) -> Image.Image:
    """16-bit and 32-bit greyscale → L. Values above 65535 are scaled by the largest of them.

    Floats have no agreed white: it is the smallest of 1, 255 and 65535 that no value exceeds.
    """
    values = np.asarray(image)
    if values.dtype.itemsize == 2:
        return Image.fromarray((values >> 8).astype(np.uint8))
    values = np.nan_to_num(values.astype(np.float32), posinf=0, neginf=0)
    highest = float(values.max())
    whites = (1, 255, 65535) if image.mode == "F" else (65535,)
    white = next((w for w in whites if highest <= w), highest)
    scale = 255 if white == 1 else 256 / (white + 1)  # 65535 is white, and 256 the first grey
    scaled = np.clip(values, 0, white) * np.float32(scale)
    return Image.fromarray(np.minimum(scaled, 255).astype(np.uint8))


def to_srgb(image: Image.Image, profile: object) -> Image.Image:
    """A resamplable image → RGB; transparent parts are blended with white.

    `profile` is the ICC profile of the file; one that does not fit the image is ignored.
    """
    if image.mode in ("LA", "RGBA"):
        image = _over_white(image)
    transform = _transform_to_srgb(profile, image.mode) if isinstance(profile, bytes) else None
    return image.convert("RGB") if transform is None else transform.apply(image)


def changes_colours(profile: bytes) -> bool:
    """Whether an ICC profile gives the colours of an RGB image another look than sRGB does."""
    return _transform_to_srgb(profile, "RGB") is not None


def _over_white(image: Image.Image) -> Image.Image:
    white = Image.new(image.mode[:-1], image.size, "white")
    white.paste(image.convert(white.mode), mask=image.getchannel("A"))
    return white


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
