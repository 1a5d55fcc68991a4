"""Resolves the names that a ground-truth file gives images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np

from cbir.arrays import Ids
from cbir.errors import CbirError
from cbir.gallery import Gallery
from cbir.sources.paths import path_to_uri

__all__ = ["References"]


class References:
    """Resolves `id:N`, a URI, a path relative to the ground-truth file, or an image's name.

    All images of the gallery are read once, so that thousands of references cost little.
    """

    def __init__(self, gallery: Gallery, file: Path) -> None:
        self._gallery = gallery
        self.file = file
        self.by_uri: dict[str, int] = {}
        self._by_name: defaultdict[str, list[int]] = defaultdict(list)
        for record, _ in gallery.catalog.scan():
            self.by_uri[record.uri] = record.id
            path = PurePosixPath(record.name)
            # Benchmarks list images without folder and suffix.
            for name in {record.name, path.name, path.stem}:
                self._by_name[name].append(record.id)
        self._ids = set(self.by_uri.values())

    def find(self, reference: str) -> int | None:
        """The id of an image, None if there is none. Raises CbirError for an ambiguous name."""
        if reference.startswith("id:") and reference[3:].isdecimal():
            number = int(reference[3:])
            return number if number in self._ids else None
        for uri in (reference, path_to_uri(self.file.parent / reference)):
            if uri in self.by_uri:
                return self.by_uri[uri]
        named = self._by_name.get(reference, [])
        if len(named) > 1:
            raise CbirError(
                f"{self.file}: {reference} names {len(named)} images of {self._gallery.path}; "
                "give a path or id:N"
            )
        return named[0] if named else None

    def find_all(self, references: Iterable[str]) -> Ids:
        """The ids of images of the gallery: (N,). Raises CbirError for one that is not there."""
        ids = []
        for reference in references:
            image_id = self.find(reference)
            if image_id is None:
                raise CbirError(
                    f"{self.file}: {reference} is not in {self._gallery.path}; "
                    "index it, or take it out of the file"
                )
            ids.append(image_id)
        return np.array(ids, dtype=np.int64)

    def query(self, reference: str) -> int | str:
        """A query: the id of an image, or else the URI of a file. Raises CbirError for neither."""
        image_id = self.find(reference)
        if image_id is not None:
            return image_id
        path = self.file.parent / reference
        if not path.is_file():
            raise CbirError(
                f"{self.file}: query {reference} is neither in {self._gallery.path} nor a file"
            )
        return path_to_uri(path)
