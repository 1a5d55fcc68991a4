"""Writes duplicates as CSV or JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cbir.duplicates.result import (
    AlikeFile,
    AlikePair,
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


def export_duplicates(result: Duplicates | SourceComparison, path: str | Path) -> None:
    """Write a result to a .csv or .json file, with one row per image, or as one document.

    What is alike but not proven is in the document only: no row names it as a copy. The row of a
    copy has the surest evidence, and the image that it is a copy of (`with`). Raises
    CbirError for another suffix, or when the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() == ".json":
        text = json.dumps(as_json(result), indent=2) + "\n"
    elif path.suffix.lower() == ".csv":
        text = _csv(result)
    else:
        raise CbirError(f"{path} has no known format; name it .csv, .json or .html")
    beside = path.with_name(f".{path.name}.tmp")
    try:
        beside.write_text(text, encoding="utf-8", errors="surrogateescape", newline="")
        beside.replace(path)
    except OSError as error:
        raise CbirError(f"{path} cannot be written: {error.strerror}") from error


def as_json(result: Duplicates | SourceComparison) -> dict[str, Any]:
    """The result as a JSON document."""
    shared = {
        "failed": [{"uri": f.uri, "reason": f.reason} for f in result.failed],
        "seconds": round(result.seconds, 3),
    }
    if isinstance(result, SourceComparison):
        return {
            "known": [_known_as_json(file) for file in result.known],
            "new": list(result.new),
            "alike": [_alike_file_as_json(file) for file in result.alike],
            **shared,
        }
    return {
        "images": result.images,
        "redundant": result.redundant,
        "bytes_saved": result.bytes_saved,
        "verified_pairs": result.verified_pairs,
        "groups": [group_as_json(group) for group in result.groups],
        "alike": [_alike_pair_as_json(pair) for pair in result.alike],
        **shared,
    }


def group_as_json(group: Group) -> dict[str, Any]:
    return {
        "keeper": _image_as_json(group.keeper),
        "others": [_image_as_json(image) for image in group.others],
        "evidence": [_evidence_as_json(evidence) for evidence in group.evidence],
        "links": [_image_as_json(image) for image in group.links],
    }


def surest(group: Group, image: ImageRecord) -> Evidence | None:
    """The first evidence for an image of a group, preferably with the keeper."""
    of_image = [pair for pair in group.evidence if image.id in (pair.first, pair.second)]
    with_keeper = [pair for pair in of_image if group.keeper.id in (pair.first, pair.second)]
    return next(iter(with_keeper or of_image), None)


def _alike_pair_as_json(pair: AlikePair) -> dict[str, Any]:
    return {
        "images": [_image_as_json(pair.first), _image_as_json(pair.second)],
        "reason": pair.reason,
        "evidence": _evidence_as_json(pair.evidence),
    }


def _alike_file_as_json(file: AlikeFile) -> dict[str, Any]:
    evidence = _evidence_as_json(file.evidence)
    del evidence["first"], evidence["second"]
    return {
        "uri": file.uri,
        "image": _image_as_json(file.image),
        "reason": file.reason,
        **evidence,
    }


def _known_as_json(file: KnownFile) -> dict[str, Any]:
    evidence = _evidence_as_json(file.evidence)
    del evidence["first"], evidence["second"]
    return {"uri": file.uri, "bytes": file.size, "image": _image_as_json(file.image), **evidence}


def _evidence_as_json(evidence: Evidence) -> dict[str, Any]:
    similarity = None if evidence.similarity is None else round(evidence.similarity, DECIMALS)
    return asdict(evidence) | {"similarity": similarity}


def _image_as_json(image: ImageRecord) -> dict[str, Any]:
    return {
        "id": image.id,
        "key": image.key,
        "uri": image.uri,
        "width": image.width,
        "height": image.height,
        "bytes": image.size,
    }


def _csv(result: Duplicates | SourceComparison) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if isinstance(result, SourceComparison):
        writer.writerow(KNOWN_COLUMNS)
        writer.writerows(_known_row(file) for file in result.known)
    else:
        writer.writerow(COLUMNS)
        for number, group in enumerate(result.groups, 1):
            writer.writerows([number, *row] for row in _rows(group))
    return text.getvalue()


def _rows(group: Group) -> Iterator[list[Any]]:
    for image in group.images:
        role = "keep" if image is group.keeper else "copy"
        columns = [role, *_image_as_json(image).values()]
        evidence = surest(group, image)
        if evidence is None or role == "keep":
            yield [*columns, *[""] * 6]
        else:
            other = evidence.first if evidence.second == image.id else evidence.second
            yield [*columns, evidence.kind, other, *_figures(evidence)]


def _known_row(file: KnownFile) -> list[Any]:
    return [
        file.uri,
        file.size,
        file.evidence.kind,
        file.image.id,
        file.image.key,
        *_figures(file.evidence),
    ]


def _figures(evidence: Evidence) -> list[Any]:
    similarity = "" if evidence.similarity is None else f"{evidence.similarity:.{DECIMALS}f}"
    counts = ("" if count is None else count for count in (evidence.bits, evidence.inliers))
    return [similarity, *counts, evidence.form]
