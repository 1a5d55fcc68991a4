"""Groups of duplicates as a self-contained HTML file: the image to keep, and its copies."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

from cbir.duplicates import Duplicates, Evidence, Group, KnownFile, SourceComparison
from cbir.duplicates.export import surest
from cbir.pages.contact_sheet import aspect_of, picture_of, write_page
from cbir.types import ImageRecord

__all__ = ["describe", "file_size", "write_duplicates_page"]

GROUPS_SHOWN = 300
"""About 15 MB of thumbnails."""


def write_duplicates_page(
    path: str | Path, found: Duplicates | SourceComparison, *, title: str
) -> None:
    """Write duplicates to `path` as a self-contained page of the first 300 groups.

    Raises CbirError when the file cannot be written.
    """
    if isinstance(found, SourceComparison):
        sections = [_known(one) for one in found.known[:GROUPS_SHOWN]]
        count, nothing = len(found.known), "the gallery has none of these"
    else:
        sections = [_group(n, one) for n, one in enumerate(found.page(0, GROUPS_SHOWN), 1)]
        count, nothing = len(found.groups), "no duplicates"
    if not sections:
        sections = [_note(nothing)]
    elif count > GROUPS_SHOWN:
        sections.append(_note(f"and {count - GROUPS_SHOWN:,} more, which are not shown"))
    write_page(path, title=title, body="\n".join(sections))


def describe(one: Evidence) -> str:
    """Evidence in a few words: `near, mirrored · 3 of 255 bits · cosine 0.97`."""
    parts = [f"{one.kind}, {one.form}" if one.form else one.kind]
    if one.bits is not None:
        parts.append(f"{one.bits} of 255 bits")
    if one.inliers is not None:
        parts.append(f"{one.inliers} inliers")
    if one.similarity is not None:
        parts.append(f"cosine {one.similarity:.2f}")
    return " · ".join(parts)


def file_size(count: int) -> str:
    """A number of bytes in readable form: `1.2 MB`."""
    for unit in ("GB", "MB", "kB"):
        size = {"GB": 1e9, "MB": 1e6, "kB": 1e3}[unit]
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count:,} bytes"


def _group(number: int, group: Group) -> str:
    why = {image.id: surest(group, image) for image in group.others}
    copies = [_figure(image, why[image.id]) for image in group.others]
    return _section(
        group.keeper,
        copies,
        f"{number} · keep this of {len(group.images)}, save {file_size(group.bytes_saved)}",
    )


def _known(one: KnownFile) -> str:
    figure = (
        f'<figure style="--aspect: {aspect_of(one.image):.3f}">{picture_of(one.uri, alt=one.name)}'
        f"<figcaption>{_emphasised(one.evidence)}<br>{escape(one.name)}<br>"
        f"{file_size(one.size)}</figcaption></figure>"
    )
    return _section(one.image, [figure], "in the gallery")


def _section(keeper: ImageRecord, figures: Iterable[str], note: str) -> str:
    return (
        f'<section class="answer">\n<div class="query">{picture_of(keeper.uri, alt=keeper.name)}'
        f'<p class="quiet">{escape(note)}</p><p class="quiet">{_facts(keeper)}</p></div>\n'
        f'<div class="hits">\n{"".join(figures)}\n</div>\n</section>'
    )


def _figure(image: ImageRecord, one: Evidence | None) -> str:
    evidence = "" if one is None else f"{_emphasised(one)}<br>"
    return (
        f'<figure style="--aspect: {aspect_of(image):.3f}">{picture_of(image.uri, alt=image.name)}'
        f"<figcaption>{evidence}{_facts(image)}</figcaption></figure>\n"
    )


def _emphasised(one: Evidence) -> str:
    kind, *figures = describe(one).split(" · ")
    return " · ".join([f"<b>{escape(kind)}</b>", *map(escape, figures)])


def _facts(image: ImageRecord) -> str:
    size = f"{image.width} × {image.height} · {file_size(image.size)}"
    return f"{escape(image.name)}<br>id {image.id} · {size}"


def _note(text: str) -> str:
    return f'<section><p class="quiet">{escape(text)}</p></section>'
