"""What can be indexed: a folder, a catalogue file (CSV), a single image."""

from __future__ import annotations

import os
from pathlib import Path

from cbir.errors import SourceError
from cbir.sources.base import Source, SourceImage
from cbir.sources.folder import FileSource, FolderSource, looks_like_image
from cbir.sources.manifest import ManifestSource
from cbir.sources.paths import path_to_uri, printable, uri_to_path

__all__ = [
    "FileSource",
    "FolderSource",
    "ManifestSource",
    "Source",
    "SourceImage",
    "open_source",
    "path_to_uri",
    "uri_to_path",
]

MANIFEST_SUFFIXES = frozenset({".csv", ".tsv"})


def open_source(location: str | os.PathLike[str], *, image_column: str = "path") -> Source:
    """The source at a path: a folder, a catalogue file (.csv, .tsv) or a single image.

    `image_column` is the column of a catalogue file that holds the images' paths. Raises
    SourceError if there is nothing at the path, or something else.
    """
    path, shown = os.fspath(location), printable(location)
    try:
        # An unset shell variable must not index the working directory.
        if not path or not Path(path).exists():
            raise SourceError(f"no such file or folder: {shown or repr(path)}")
        if Path(path).is_dir():
            return FolderSource(path)
    except OSError as error:
        raise SourceError(f"{shown}: cannot be read: {error.strerror}") from error
    if Path(path).suffix.casefold() in MANIFEST_SUFFIXES:
        return ManifestSource(path, image_column=image_column)
    if Path(path).is_file() and looks_like_image(path):
        return FileSource(path)
    raise SourceError(
        f"{shown} is neither a folder nor an image; a list of images ends in .csv or .tsv"
    )
