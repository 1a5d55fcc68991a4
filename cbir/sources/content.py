"""An encoded image as a source gives it, and by what its next version will be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Content", "ImageVersion"]

ImageVersion: TypeAlias = tuple[int | None, int | None]
"""Bytes and time stamp of an image, as far as they are known."""


@dataclass(frozen=True, slots=True)
class Content:
    """An encoded image, and by what its next version will be told."""

    data: bytes
    mtime_ns: int | None
    """Nanoseconds since 1970, or a number made of a server's validator; None if it has none."""
