"""Opens the source at a path or URL, chosen by its scheme, suffix or content.

`SOURCES` is the registry by suffix and scheme; `register_source` adds an entry.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

from cbir.errors import SourceError
from cbir.images import SIGNATURE_BYTES, sniff_format
from cbir.registry import load_part
from cbir.sources.base import DEFAULT_COLUMN, SelectiveSource, Source, SourceOptions
from cbir.sources.folder import FileSource, FolderSource, holds_tars, looks_like_image
from cbir.sources.local_copy import suffix_of
from cbir.sources.paths import is_remote, printable, read_head

__all__ = ["SOURCES", "open_source", "register_source"]


Opener: TypeAlias = Callable[[str, SourceOptions], Source]
"""Opens a source at a path or URL. Raises SourceError."""

SOURCES: dict[str, str | Opener] = {
    ".csv": "cbir.sources.manifest:open_manifest",
    ".tsv": "cbir.sources.manifest:open_manifest",
    ".json": "cbir.sources.manifest:open_manifest",
    ".jsonl": "cbir.sources.manifest:open_manifest",
    ".ndjson": "cbir.sources.manifest:open_manifest",
    ".parquet": "cbir.sources.manifest:open_manifest",
    ".tar": "cbir.sources.tar:open_tars",
    "http://": "cbir.sources.bucket:refuse_website",
    "https://": "cbir.sources.bucket:refuse_website",
}
"""File suffix or URL scheme → opener, as a function or as `module:function`.

A suffix takes precedence over a scheme. Other URLs are buckets; folders and single images need no
entry.
"""
OTHER_URLS = "cbir.sources.bucket:open_bucket"


def register_source(pattern: str, opener: str | Opener) -> None:
    """Register a kind of source for a suffix (`.lst`) or a scheme (`toy://`).

    `opener` is a function (location, SourceOptions) → Source, or its name as `module:function`.
    """
    if not pattern.startswith(".") and not pattern.endswith("://"):
        raise ValueError(f"{pattern!r} is neither a suffix ('.lst') nor a scheme ('toy://')")
    SOURCES[pattern.casefold()] = opener


def open_source(
    location: str | os.PathLike[str],
    *,
    image_column: str = DEFAULT_COLUMN,
    key: str | None = None,
    exclude: Sequence[str] = (),
    include: Sequence[str] = (),
) -> Source:
    """Open the source at a path or URL.

    A folder of images or of tars; a manifest (.csv, .tsv, .jsonl, .parquet); a tar, or several by
    a pattern as `shard-{000..009}.tar`; one image; a bucket (`s3://bucket/prefix`); or a registered
    kind. The options are those of `SourceOptions`. Raises SourceError if there is nothing at the
    path, or nothing that can be indexed, and OptionError for a pattern that cannot be one.
    """
    path = os.fspath(location)
    options = SourceOptions(image_column, key, tuple(exclude), tuple(include))
    opener = _url_opener(path) if is_remote(path) else _file_opener(path)
    source = _folder_or_image(path, options) if opener is None else _load(opener)(path, options)
    if key and getattr(source, "key", None) is None:
        raise SourceError(
            f"{printable(location)}: has no {key!r} to identify an image by; "
            "--key names a column of a manifest"
        )
    if (exclude or include) and not isinstance(source, SelectiveSource):
        raise SourceError(
            f"{printable(location)}: --exclude and --include are for folders, tars and buckets; "
            "a manifest lists what its rows name"
        )
    return source


def _load(opener: str | Opener) -> Opener:
    if not isinstance(opener, str):
        return opener
    loaded: Opener = load_part(opener)
    return loaded


def _url_opener(url: str) -> str | Opener:
    scheme = f"{urlsplit(url).scheme.casefold()}://"
    return SOURCES.get(suffix_of(url)) or SOURCES.get(scheme, OTHER_URLS)


def _file_opener(path: str) -> str | Opener | None:
    """The opener for a file's suffix; None for a folder, which may have any name."""
    suffix = suffix_of(path)
    opener = SOURCES.get(suffix)
    return opener if opener is not None and _is_file(path, braces=suffix == ".tar") else None


def _folder_or_image(path: str, options: SourceOptions) -> Source:
    shown = printable(path)
    try:
        if path and Path(path).is_dir():
            if holds_tars(path):
                return _load(SOURCES[".tar"])(path, options)
            return FolderSource(path, exclude=options.exclude, include=options.include)
    except OSError as error:
        raise SourceError(f"{shown}: cannot be read: {error.strerror}") from error
    if _is_file(path) and (
        looks_like_image(path) or sniff_format(read_head(path, SIGNATURE_BYTES))
    ):
        return FileSource(path)
    raise SourceError(
        f"{shown} is neither a folder nor an image; a list of images ends in "
        ".csv, .tsv, .json, .jsonl or .parquet, shards end in .tar"
    )


def _is_file(path: str, *, braces: bool = False) -> bool:
    """Whether a path is a regular file. Raises SourceError if there is nothing at the path."""
    from cbir.sources.tar import expand_braces

    shown = printable(path)
    try:
        # An unset shell variable must not index the working directory.
        paths = (expand_braces(path) if braces else [path]) if path else []
        if not any(Path(each).exists() for each in paths):
            raise SourceError(f"no such file or folder: {shown or repr(path)}")
        return any(Path(each).is_file() for each in paths)
    except OSError as error:
        raise SourceError(f"{shown}: cannot be read: {error.strerror}") from error
