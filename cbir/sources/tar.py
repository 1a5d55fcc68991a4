"""Tar shards in the webdataset layout: consecutive files with one basename are one sample."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from copy import copy
from itertools import groupby
from pathlib import Path
from typing import Any

from cbir.errors import ImageError, SourceError
from cbir.images import IMAGE_SUFFIXES
from cbir.sources.base import SourceImage, SourceOptions
from cbir.sources.folder import is_tar
from cbir.sources.jsonl import flat_fields
from cbir.sources.keys import key_of
from cbir.sources.paths import is_remote, path_to_uri, printable, uri_to_path
from cbir.sources.rules import ListingRules, Skipped
from cbir.sources.tar_index import Member, members, read_slice
from cbir.types import FailedImage, ImageVersion

__all__ = ["TarSource", "expand_braces", "open_tars"]

SAMPLE_KEY = "__key__"
"""Webdataset's name for the path that the files of a sample share."""

LARGEST_DESCRIPTION = 1_000_000
"""Largest .json, .txt or .cls of a sample that is read, in bytes."""

DESCRIPTIONS = frozenset({".json", ".txt", ".cls"})
"""Suffixes of the members that describe a sample."""

MOST_SHARDS = 100_000

_SAMPLE = re.compile(r"((?:.*/)?[^./]+)\.([^/]*)")
_BRACES = re.compile(r"\{(?:(\d+)\.\.(\d+)|([^{}]*,[^{}]*))\}")


def open_tars(location: str, options: SourceOptions) -> TarSource:
    """Open the tar at a path, or the tars of a folder or brace pattern. Raises SourceError."""
    if is_remote(location):
        raise SourceError(f"{location}: tars are read from disk; copy it there")
    return TarSource(location, key=options.key, exclude=options.exclude, include=options.include)


class TarSource:
    """The images of one tar, of all tars in a folder, or of those that a brace pattern names.

    The .json, .txt and .cls of a sample become the metadata of its images: the fields of the JSON
    object, the text as `txt` and the class number as `cls`. A damaged tar is a failure; the samples
    before the damage are read, except the last one, which may be incomplete.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        key: str | None = None,
        exclude: tuple[str, ...] = (),
        include: tuple[str, ...] = (),
    ) -> None:
        """`key` is a field that identifies an image, or `__key__`: the sample's name.

        `exclude` and `include` are patterns of paths within a tar.
        """
        self.rules = ListingRules(exclude, include)
        self.skipped = Skipped()
        self.uri = path_to_uri(path)
        self.key = key
        self._path = uri_to_path(self.uri)
        self._root = self._path if Path(self._path).is_dir() else str(Path(self._path).parent)
        self.root = path_to_uri(self._root)

    def with_key(self, key: str) -> TarSource:
        """The same images, identified by another field."""
        other = copy(self)
        other.key = key
        return other

    def count(self) -> int:
        return sum(1 for _ in self._walk(describe=False))

    def __iter__(self) -> Iterator[SourceImage | FailedImage]:
        return self._walk(describe=True)

    def excludes(self, uri: str) -> bool:
        """Whether the rules leave out the member at a URI."""
        inside = re.split(r"\.tar/", uri_to_path(uri), maxsplit=1, flags=re.IGNORECASE)
        return len(inside) == 2 and self.rules.pattern(inside[1]) is not None

    def _walk(self, *, describe: bool) -> Iterator[SourceImage | FailedImage]:
        shards, missing = self._shards(), 0
        skipped = Skipped()
        for shard in shards:
            try:
                yield from self._images(shard, skipped, describe=describe)
            except ImageError as error:
                yield FailedImage(path_to_uri(shard), str(error))
            except OSError as error:
                missing += 1
                if missing == len(shards):
                    raise SourceError(
                        f"{printable(self._path)}: cannot be read: {error.strerror}"
                    ) from error
                yield FailedImage(path_to_uri(shard), f"cannot be read: {error.strerror}")
        self.skipped = skipped

    def _shards(self) -> list[str]:
        if self._root != self._path:
            return [self._path] if Path(self._path).exists() else expand_braces(self._path)
        try:
            with os.scandir(self._path) as entries:
                return sorted(e.path for e in entries if is_tar(e.name) and e.is_file())
        except OSError as error:
            raise SourceError(
                f"{printable(self._path)}: cannot list folder: {error.strerror}"
            ) from error

    def _images(
        self, shard: str, skipped: Skipped, *, describe: bool
    ) -> Iterator[SourceImage | FailedImage]:
        with Path(shard).open("rb", buffering=0) as file:
            mtime_ns = os.fstat(file.fileno()).st_mtime_ns
            for sample, files in groupby(members(shard), _sample):
                parts = list(files)
                pictures = [part for part in parts if self._lists(part, skipped)]
                if not pictures:
                    continue
                metadata, problem = _describe(file.fileno(), parts) if describe else ({}, "")
                values = {SAMPLE_KEY: sample, **metadata}
                for picture in pictures:
                    path = f"{shard}/{picture.name}"
                    uri = path_to_uri(path)
                    key, key_problem = key_of(values, self.key) if describe else ("", "")
                    name = printable(os.path.relpath(path, self._root))
                    if problem or key_problem:
                        yield FailedImage(uri, problem or key_problem, key)
                        continue
                    version = ImageVersion(picture.size, mtime_ns)
                    yield SourceImage(uri, name, metadata, version, key)

    def _lists(self, member: Member, skipped: Skipped) -> bool:
        """Whether a member is an image that is listed; what is not is counted."""
        suffix = Path(member.name).suffix.casefold()
        if suffix in IMAGE_SUFFIXES:
            if (pattern := self.rules.pattern(member.name)) is None:
                return True
            skipped.excluded[pattern] += 1
        elif suffix not in DESCRIPTIONS:
            skipped.add_file(member.name)
        return False


def expand_braces(pattern: str) -> list[str]:
    """Expand `shard-{000..009}.tar`, `{train,val}.tar` and any combination, in order.

    A pattern without braces is returned as it is. Raises SourceError for more than MOST_SHARDS.
    """
    names = [pattern]
    while (braces := _BRACES.search(names[0])) is not None:
        first, last, listed = braces.groups()
        texts = _numbers(first, last) if listed is None else listed.split(",")
        if len(texts) * len(names) > MOST_SHARDS:
            raise SourceError(f"{printable(pattern)}: names more than {MOST_SHARDS:,} files")
        # All names are equal up to the first braces, so these are the same in all of them.
        halves = [each.split(braces[0], 1) for each in names]
        names = [f"{before}{text}{after}" for before, after in halves for text in texts]
    return names


def _numbers(first: str, last: str) -> list[str]:
    """The numbers `000` to `009`, also backwards; a leading zero pads all to the same width."""
    step = 1 if int(first) <= int(last) else -1
    numbers = range(int(first), int(last) + step, step)[: MOST_SHARDS + 1]
    width = len(first) if first.startswith("0") else 0
    return [f"{number:0{width}}" for number in numbers]


def _sample(member: Member) -> str:
    match = _SAMPLE.fullmatch(member.name)
    return match[1] if match else member.name


def _describe(descriptor: int, parts: list[Member]) -> tuple[dict[str, Any], str]:
    """(metadata of a sample, problem with it); one of them is empty."""
    metadata: dict[str, Any] = {}
    for part in parts:
        stem, suffix = os.path.splitext(part.name)  # noqa: PTH122
        if suffix not in DESCRIPTIONS:
            continue
        field = stem.removeprefix(_sample(part)).lstrip(".") or suffix[1:]
        shown = printable(part.name)
        if part.size > LARGEST_DESCRIPTION:
            return {}, f"{shown} is larger than {LARGEST_DESCRIPTION:,} bytes"
        try:
            text = read_slice(descriptor, part).decode("utf-8-sig").strip()
            if suffix == ".json":
                value = json.loads(text)
                metadata |= flat_fields(value if isinstance(value, dict) else {field: value})
            elif text:
                is_class = suffix == ".cls" and re.fullmatch(r"-?\d{1,15}", text, re.ASCII)
                metadata[field] = int(text) if is_class else text
        except UnicodeDecodeError:
            return {}, f"{shown} is not UTF-8 text"
        except (ValueError, RecursionError):
            return {}, f"{shown} is not JSON"
    return metadata, ""
