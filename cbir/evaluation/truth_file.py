"""Reads ground truth from a file that lists the relevant images of each query.

JSON: `{"query.jpg": ["a.jpg", "b.jpg"], "id:7": {"relevant": ["id:8"], "junk": ["id:9"]}}`.
CSV: a column `query`, and `relevant` or `junk` or both, one image to a cell; the rows of one query
are combined.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cbir.errors import CbirError
from cbir.evaluation.ground_truth import GroundTruth, JudgedQuery, judged
from cbir.evaluation.references import References
from cbir.gallery import Gallery
from cbir.sources.table import Table

__all__ = ["from_file", "read_json"]


@dataclass(slots=True)
class _Entry:
    """The relevant and the junk images of one query, as the file names them."""

    relevant: list[str] = field(default_factory=list)
    junk: list[str] = field(default_factory=list)


def from_file(gallery: Gallery, file: str | Path) -> GroundTruth:
    """Read ground truth from a JSON file (`.json`) or a CSV file (any other suffix).

    An image is `id:N`, a path relative to the file, a URI, or its name in the gallery. A query
    may also be a file that is not in the gallery; one that is, is not relevant to itself.
    Raises CbirError when the file cannot be read, or names an image that is not there.
    """
    file = Path(file)
    entries = _from_json(file) if file.suffix.lower() == ".json" else _from_csv(file)
    references = References(gallery, file)
    return judged([_judge(query, entry, references) for query, entry in entries.items()], str(file))


def _judge(name: str, entry: _Entry, references: References) -> JudgedQuery:
    image = references.query(name)
    query_id = [image] if isinstance(image, int) else []
    junk = np.append(references.find_all(entry.junk), np.array(query_id, dtype=np.int64))
    return JudgedQuery(image, name, np.unique(references.find_all(entry.relevant)), junk)


def _from_json(file: Path) -> dict[str, _Entry]:
    document = read_json(file)
    if not isinstance(document, dict) or not document:
        raise CbirError(f"{file}: not an object of queries, each with a list of images")
    return {query: _json_entry(file, query, value) for query, value in document.items()}


def _json_entry(file: Path, query: str, value: Any) -> _Entry:
    parts = {"relevant": value} if isinstance(value, list) else value
    if not isinstance(parts, dict) or not set(parts) <= {"relevant", "junk"}:
        raise CbirError(f"{file}: query {query}: neither a list nor 'relevant' and 'junk'")
    for images in parts.values():
        if not isinstance(images, list) or not all(isinstance(image, str) for image in images):
            raise CbirError(f"{file}: query {query}: not a list of image names")
    return _Entry(**parts)


def _from_csv(file: Path) -> dict[str, _Entry]:
    table = Table.open(str(file), expected="query")
    if "query" not in table.columns or not {"relevant", "junk"} & set(table.columns):
        raise CbirError(
            f"{file}: needs the columns query and relevant, and may have junk "
            f"(columns: {', '.join(table.columns)})"
        )
    entries: dict[str, _Entry] = {}
    for line, cells in table.rows():
        row = dict(zip(table.columns, cells, strict=False))
        if not row.get("query"):
            raise CbirError(f"{file}: line {line} has no query")
        entry = entries.setdefault(row["query"], _Entry())
        entry.relevant.extend(_filled(row.get("relevant")))
        entry.junk.extend(_filled(row.get("junk")))
    return entries


def _filled(cell: str | None) -> Iterator[str]:
    if cell:
        yield cell


def read_json(file: Path) -> Any:
    """A JSON document. Raises CbirError when it cannot be read."""
    try:
        return json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise CbirError(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError as error:  # not JSON, or not UTF-8
        raise CbirError(f"{file}: not JSON: {error}") from error
