"""The results of reading an image: its encoded bytes, or that they have not changed."""

from __future__ import annotations

from dataclasses import dataclass

from cbir.types import ImageVersion

__all__ = ["Content", "NotModified"]


@dataclass(frozen=True, slots=True)
class Content:
    """An encoded image and its version."""

    data: bytes
    version: ImageVersion


@dataclass(frozen=True, slots=True)
class NotModified:
    """The image on the server has not changed; it was not downloaded."""

    version: ImageVersion
