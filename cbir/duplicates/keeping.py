"""Rules for which image of a group of copies is kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, TypeAlias

from cbir.errors import OptionError
from cbir.sources.paths import printable, uri_to_path
from cbir.types import ImageRecord

__all__ = ["KEEP_RULES", "KeepRule", "keep_rule"]

FORMATS = (
    (".dng", ".nef", ".cr2", ".cr3", ".arw", ".orf", ".rw2", ".raf", ".pef", ".srw", ".raw"),
    (".tif", ".tiff", ".psd", ".exr"),
    (".png", ".bmp", ".ppm", ".pgm", ".tga"),
    (".heic", ".heif", ".jxl", ".jp2", ".avif"),
    (".jpg", ".jpeg", ".jpe", ".jfif"),
    (".webp", ".gif"),
)
"""Suffixes by how near the format is to what a camera, scanner or program wrote first."""

SortKey: TypeAlias = Callable[[ImageRecord], Any]


@dataclass(frozen=True, slots=True)
class KeepRule:
    """Puts images in order, the one to keep first."""

    name: str
    """As it was given: `largest`, `folder:originals/*`."""
    key: SortKey

    def sort(self, images: Sequence[ImageRecord]) -> list[ImageRecord]:
        """By the rule; where it does not tell, by pixels, bytes and the lowest id."""
        return sorted(images, key=lambda image: (self.key(image), _largest(image)))

    def but_last(self, ids: Container[int]) -> KeepRule:
        """The rule, with the images of these ids after all others: damaged ones are not kept."""
        return KeepRule(self.name, lambda image: (image.id in ids, self.key(image)))


def _largest(image: ImageRecord) -> tuple[int, int, int]:
    return -image.width * image.height, -image.size, image.id


def _format(image: ImageRecord) -> int:
    suffix = os.path.splitext(uri_to_path(image.uri))[1].lower()  # noqa: PTH122  any bytes
    return next((i for i, group in enumerate(FORMATS) if suffix in group), len(FORMATS))


def _age(image: ImageRecord) -> float:
    """When the file was last changed; those that cannot be told count as the newest."""
    try:
        return os.stat(uri_to_path(image.uri)).st_mtime  # noqa: PTH116  any bytes
    except (OSError, ValueError):
        return float("inf")


def _youth(image: ImageRecord) -> float:
    age = _age(image)
    return age if age == float("inf") else -age


KEEP_RULES: dict[str, SortKey] = {
    "largest": _largest,
    "original-format": _format,
    "oldest": _age,
    "newest": _youth,
}
"""By name; `folder:PATTERN` besides."""


def keep_rule(text: str = "largest") -> KeepRule:
    """The rule of that name, or `folder:PATTERN`. Raises OptionError for another."""
    name, _, pattern = text.partition(":")
    if name == "folder" and pattern:
        return KeepRule(text, lambda image: not _in_folder(image, pattern))
    if text not in KEEP_RULES:
        known = ", ".join(KEEP_RULES)
        raise OptionError(f"no rule {text!r} for what is kept; there are {known}, folder:PATTERN")
    return KeepRule(text, KEEP_RULES[text])


def _in_folder(image: ImageRecord, pattern: str) -> bool:
    """Whether a folder of the image's path, or the path from there on, matches the pattern."""
    path = printable(uri_to_path(image.uri))
    if pattern.startswith("/"):
        pattern = pattern.rstrip("/")
        return fnmatchcase(path, pattern) or fnmatchcase(path, f"{pattern}/*")
    folders = os.path.dirname(path)  # noqa: PTH120
    wanted = pattern.strip("/")
    return fnmatchcase(f"{folders}/", f"*/{wanted}/*")
