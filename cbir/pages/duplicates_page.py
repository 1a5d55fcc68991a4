"""Groups of duplicates as a self-contained HTML file: the image to keep, and its copies."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path

from cbir.duplicates import (
    AlikeFile,
    AlikePair,
    Duplicates,
    Evidence,
    Group,
    KnownFile,
    SourceComparison,
)
from cbir.duplicates.export import surest
from cbir.pages.contact_sheet import aspect_of, picture_of, write_page
from cbir.types import ImageRecord

__all__ = ["describe", "file_size", "write_duplicates_page"]

ALIKE_SHOWN = 60
"""Pairs that are alike but not proven, after them."""

GROUPS_SHOWN = 300
"""Groups shown on a page: about 15 MB of thumbnails."""


def write_duplicates_page(
    path: str | Path, result: Duplicates | SourceComparison, *, title: str
) -> None:
    """Write duplicates to `path` as a self-contained page of the first 300 groups.

    Raises CbirError when the file cannot be written.
    """
    if isinstance(result, SourceComparison):
        sections = [_known(file) for file in result.known[:GROUPS_SHOWN]]
        count, nothing = len(result.known), "the gallery has none of these"
    else:
        sections = [_group(n, group) for n, group in enumerate(result.page(0, GROUPS_SHOWN), 1)]
        count, nothing = len(result.groups), "no duplicates"
    alike = [_alike(pair) for pair in result.alike[:ALIKE_SHOWN]]
    if len(result.alike) > ALIKE_SHOWN:
        alike.append(_note(f"and {len(result.alike) - ALIKE_SHOWN:,} more that are alike"))
    if not sections:
        sections = [_note(nothing)]
    elif count > GROUPS_SHOWN:
        sections.append(_note(f"and {count - GROUPS_SHOWN:,} more, which are not shown"))
    write_page(path, title=title, body="\n".join([*sections, *alike]))


def describe(evidence: Evidence) -> str:
    """Evidence in a few words: `near, mirrored · 3 of 255 bits · cosine 0.97`."""
    parts = [f"{evidence.kind}, {evidence.form}" if evidence.form else evidence.kind]
    if evidence.bits is not None:
        parts.append(f"{evidence.bits} of 255 bits")
    if evidence.inliers is not None:
        parts.append(f"{evidence.inliers} inliers")
    if evidence.similarity is not None:
        parts.append(f"cosine {evidence.similarity:.2f}")
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


def _known(file: KnownFile) -> str:
    aspect, picture = aspect_of(file.image), picture_of(file.uri, alt=file.name)
    figure = (
        f'<figure style="--aspect: {aspect:.3f}">{picture}'
        f"<figcaption>{_emphasised(file.evidence)}<br>{escape(file.name)}<br>"
        f"{file_size(file.size)}</figcaption></figure>"
    )
    return _section(file.image, [figure], "in the gallery")


def _alike(pair: AlikePair | AlikeFile) -> str:
    if isinstance(pair, AlikePair):
        keeper, other = pair.first, pair.second
        uri, facts = other.uri, _facts(other)
    else:
        keeper, uri, facts = pair.image, pair.uri, escape(pair.name)
    figure = (
        f'<figure style="--aspect: {aspect_of(keeper):.3f}">{picture_of(uri, alt=uri)}'
        f"<figcaption><b>not proven</b> · {escape(pair.reason)}<br>{facts}</figcaption></figure>"
    )
    return _section(keeper, [figure], "alike, not proven: look at both")


def _section(keeper: ImageRecord, figures: Iterable[str], note: str) -> str:
    return (
        f'<section class="answer">\n<div class="query">{picture_of(keeper.uri, alt=keeper.name)}'
        f'<p class="quiet">{escape(note)}</p><p class="quiet">{_facts(keeper)}</p></div>\n'
        f'<div class="hits">\n{"".join(figures)}\n</div>\n</section>'
    )


def _figure(image: ImageRecord, evidence: Evidence | None) -> str:
    why = "" if evidence is None else f"{_emphasised(evidence)}<br>"
    return (
        f'<figure style="--aspect: {aspect_of(image):.3f}">{picture_of(image.uri, alt=image.name)}'
        f"<figcaption>{why}{_facts(image)}</figcaption></figure>\n"
    )


def _emphasised(evidence: Evidence) -> str:
    kind, *figures = describe(evidence).split(" · ")
    return " · ".join([f"<b>{escape(kind)}</b>", *map(escape, figures)])


def _facts(image: ImageRecord) -> str:
    size = f"{image.width} × {image.height} · {file_size(image.size)}"
    return f"{escape(image.name)}<br>id {image.id} · {size}"


def _note(text: str) -> str:
    return f'<section><p class="quiet">{escape(text)}</p></section>'
