"""Lines about what a run of `cbir index` has left out of its listing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cbir.types import LeftOut

__all__ = ["left_out_lines"]

KINDS_SHOWN = 6

REMEDIES = {
    **dict.fromkeys((".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".tar"), "index by name"),
    **dict.fromkeys((".zip", ".7z", ".rar", ".tgz", ".gz", ".bz2"), "unpack"),
}
"""What to do with files that are no images, but may hold some."""


def left_out_lines(left_out: LeftOut) -> Iterator[str]:
    """What was not listed and why, and what helps; nothing where all was listed."""
    if left_out.files:
        count = sum(left_out.files.values())
        files = "1 file that is no image" if count == 1 else f"{count:,} files that are no images"
        yield f"skipped {files} cbir reads: {_kinds(left_out.files)}"
    if left_out.excluded:
        parts = [
            f"{count:,} by {pattern}" if pattern == "--include" else f"{count:,} by '{pattern}'"
            for pattern, count in _by_count(left_out.excluded)
        ]
        yield f"left out {_listed(parts)}"
    if left_out.images:
        are, stay, them = "images of the gallery are", "stay", "them"
        if left_out.images == 1:
            are, stay, them = "image of the gallery is", "stays", "it"
        yield (
            f"{left_out.images:,} {are} left out now, too, and {stay}; the same command with "
            f"--prune removes {them}"
        )


def _kinds(files: Mapping[str, int]) -> str:
    """`200 .jxl (pip install 'cbir[jxl]'), 8 .psd`; what has a remedy comes first."""
    from cbir.images import missing_extra

    remedies = {
        suffix: f"pip install 'cbir[{extra}]'" if extra else REMEDIES.get(suffix)
        for suffix in files
        for extra in [missing_extra(suffix)]
    }
    ordered = sorted(_by_count(files), key=lambda item: remedies[item[0]] is None)
    return _listed(
        [
            f"{count:,} {suffix or 'without a suffix'}"
            + (f" ({remedy})" if (remedy := remedies[suffix]) else "")
            for suffix, count in ordered
        ]
    )


def _by_count(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _listed(parts: list[str]) -> str:
    more = len(parts) - KINDS_SHOWN
    return ", ".join(parts[:KINDS_SHOWN]) + (f" and {more:,} other kinds" if more > 0 else "")
