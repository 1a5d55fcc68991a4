"""What can be indexed: a folder, a catalogue file, tar shards, a bucket, a single image."""

from __future__ import annotations

import os
from pathlib import Path

from cbir.errors import SourceError
from cbir.sources.base import Source, SourceImage
from cbir.sources.folder import FileSource, FolderSource, holds_tars, looks_like_image
from cbir.sources.local_copy import suffix_of
from cbir.sources.manifest import ManifestSource
from cbir.sources.paths import is_remote, path_to_uri, printable, uri_to_path
from cbir.sources.repeats import RepeatedImage, distinct
from cbir.sources.rows import MANIFEST_SUFFIXES

__all__ = [
    "FileSource",
    "FolderSource",
    "ManifestSource",
    "RepeatedImage",
    "Source",
    "SourceImage",
    "distinct",
    "open_source",
    "path_to_uri",
    "uri_to_path",
]


def open_source(
    location: str | os.PathLike[str], *, image_column: str = "path", key: str | None = None
) -> Source:
    """The source at a path or URL.

    A folder of images or of tars; a catalogue file (.csv, .tsv, .jsonl, .parquet); a tar, or
    several by a pattern as `shard-{000..009}.tar`; one image; a bucket (`s3://bucket/prefix`).
    `image_column` is the column of a catalogue file that holds the images' paths or URLs, `key`
    the column (in tars the field) that identifies an image; see `ManifestSource`. Raises
    SourceError if there is nothing at the path, or something else.
    """
    path, shown = os.fspath(location), printable(location)
    if suffix_of(path) in MANIFEST_SUFFIXES and (is_remote(path) or _is_file(path, shown)):
        return ManifestSource(path, image_column=image_column, key=key)
    source = _remote(path) if is_remote(path) else _local(path, shown, key)
    if key and getattr(source, "key", None) is None:
        raise SourceError(
            f"{shown}: has no {key!r} to identify an image by; --key names a column of a manifest"
        )
    return source


def _local(path: str, shown: str, key: str | None) -> Source:
    try:
        if Path(path).is_dir() and path:
            if holds_tars(path):
                return _tar(path, key)
            return FolderSource(path)
    except OSError as error:
        raise SourceError(f"{shown}: cannot be read: {error.strerror}") from error
    if suffix_of(path) == ".tar" and (_is_file(path, shown, braces=True)):
        return _tar(path, key)
    if _is_file(path, shown) and looks_like_image(path):
        return FileSource(path)
    raise SourceError(
        f"{shown} is neither a folder nor an image; a list of images ends in "
        ".csv, .tsv, .jsonl or .parquet, shards end in .tar"
    )


def _tar(path: str, key: str | None) -> Source:
    from cbir.sources.tar import TarSource

    return TarSource(path, key=key)


def _is_file(path: str, shown: str, *, braces: bool = False) -> bool:
    """Whether a path is a regular file's. Raises SourceError if there is nothing."""
    from cbir.sources.tar import expand_braces

    try:
        # An unset shell variable must not index the working directory.
        paths = (expand_braces(path) if braces else [path]) if path else []
        if not any(Path(one).exists() for one in paths):
            raise SourceError(f"no such file or folder: {shown or repr(path)}")
        return any(Path(one).is_file() for one in paths)
    except OSError as error:
        raise SourceError(f"{shown}: cannot be read: {error.strerror}") from error


def _remote(url: str) -> Source:
    from cbir.sources.remote import is_web

    if is_web(url):
        raise SourceError(
            f"{url}: a website cannot be listed; give a manifest (.csv, .jsonl, .parquet) of URLs"
        )
    if suffix_of(url) == ".tar":
        raise SourceError(f"{url}: tars are read from disk; copy it there")
    from cbir.sources.bucket import BucketSource

    return BucketSource(url)
