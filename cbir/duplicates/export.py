"""What was found, as CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cbir.duplicates.result import (
    Duplicates,
    Evidence,
    Group,
    KnownFile,
    SourceComparison,
)
from cbir.errors import CbirError
from cbir.types import ImageRecord

__all__ = ["as_json", "export_duplicates", "group_as_json", "surest"]

DECIMALS = 6

COLUMNS = (
    *("group", "role", "id", "key", "uri", "width", "height", "bytes"),
    *("kind", "with", "similarity", "bits", "inliers", "form"),
)
KNOWN_COLUMNS = ("uri", "bytes", "kind", "id", "key", "similarity", "bits", "inliers", "form")


def export_duplicates(found: Duplicates | SourceComparison, path: str | Path) -> None:
    """Write all that was found to a .csv or .json file, one row per image or one document.

    A row of a copy has the surest evidence that it is one, and which image it is a copy `with`.
    Raises CbirError for another ending, or when the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() == ".json":
        text = json.dumps(as_json(found), indent=2) + "\n"
    elif path.suffix.lower() == ".csv":
        text = _csv(found)
    else:
        raise CbirError(f"{path} is of no known format; name it .csv, .json or .html")
    beside = path.with_name(f".{path.name}.tmp")
    try:
        beside.write_text(text, encoding="utf-8", errors="surrogateescape", newline="")
        beside.replace(path)
    except OSError as error:
        raise CbirError(f"{path} cannot be written: {error.strerror}") from error


def as_json(found: Duplicates | SourceComparison) -> dict[str, Any]:
    """All that was found, as a JSON document has it."""
    shared = {
        "failed": [{"uri": f.uri, "reason": f.reason} for f in found.failed],
        "seconds": round(found.seconds, 3),
    }
    if isinstance(found, SourceComparison):
        return {
            "known": [_known_as_json(one) for one in found.known],
            "new": list(found.new),
            **shared,
        }
    return {
        "images": found.images,
        "redundant": found.redundant,
        "bytes_saved": found.bytes_saved,
        "verified_pairs": found.verified_pairs,
        "groups": [group_as_json(group) for group in found.groups],
        **shared,
    }


def group_as_json(group: Group) -> dict[str, Any]:
    return {
        "keeper": _image_as_json(group.keeper),
        "others": [_image_as_json(image) for image in group.others],
        "evidence": [_evidence_as_json(one) for one in group.evidence],
    }


def surest(group: Group, image: ImageRecord) -> Evidence | None:
    """The first evidence for an image of a group, with the keeper if there is such."""
    own = [one for one in group.evidence if image.id in (one.first, one.second)]
    with_keeper = [one for one in own if group.keeper.id in (one.first, one.second)]
    return next(iter(with_keeper or own), None)


def _known_as_json(one: KnownFile) -> dict[str, Any]:
    evidence = _evidence_as_json(one.evidence)
    del evidence["first"], evidence["second"]
    return {"uri": one.uri, "bytes": one.size, "image": _image_as_json(one.image), **evidence}


def _evidence_as_json(one: Evidence) -> dict[str, Any]:
    similarity = None if one.similarity is None else round(one.similarity, DECIMALS)
    return asdict(one) | {"similarity": similarity}


def _image_as_json(image: ImageRecord) -> dict[str, Any]:
    return {
        "id": image.id,
        "key": image.key,
        "uri": image.uri,
        "width": image.width,
        "height": image.height,
        "bytes": image.size,
    }


def _csv(found: Duplicates | SourceComparison) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if isinstance(found, SourceComparison):
        writer.writerow(KNOWN_COLUMNS)
        writer.writerows(_known_row(one) for one in found.known)
    else:
        writer.writerow(COLUMNS)
        for number, group in enumerate(found.groups, 1):
            writer.writerows([number, *row] for row in _rows(group))
    return text.getvalue()


def _rows(group: Group) -> Iterator[list[Any]]:
    for image in group.images:
        role = "keep" if image is group.keeper else "copy"
        own = [role, *_image_as_json(image).values()]
        one = surest(group, image)
        if one is None or role == "keep":
            yield [*own, *[""] * 6]
        else:
            other = one.first if one.second == image.id else one.second
            yield [*own, one.kind, other, *_figures(one)]


def _known_row(one: KnownFile) -> list[Any]:
    return [
        one.uri,
        one.size,
        one.evidence.kind,
        one.image.id,
        one.image.key,
        *_figures(one.evidence),
    ]


def _figures(one: Evidence) -> list[Any]:
    similarity = "" if one.similarity is None else f"{one.similarity:.{DECIMALS}f}"
    return [similarity, *("" if v is None else v for v in (one.bits, one.inliers)), one.form]
