"""Contact sheets: queries and their hits as one self-contained HTML file."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path

from cbir.errors import CbirError, ImageError
from cbir.images import thumbnail_jpeg
from cbir.sources.reading import read_uri
from cbir.types import NO_MATCH, Hit, ImageRecord, SearchResult

THUMBNAIL_SIDE = 360
"""Longer side of an embedded thumbnail, in pixels: sharp at the size shown on most screens."""

MATCH_PLOTS = 5
"""Number of hits whose verified matches are drawn: each takes 0.1 s and 100 kB."""

METADATA_FIELDS = 3
"""Number of metadata fields shown under an image; its tooltip lists all."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One query of a contact sheet with its hits."""

    result: SearchResult
    query_image: bytes | None = None
    """The encoded query image; None shows a blank."""
    note: str = ""
    """A line under the query, for example its average precision."""
    relevant: frozenset[int] = frozenset()
    """Ids of hits that are marked as relevant."""
    further_images: tuple[bytes, ...] = ()
    """The other images of a query that has several, encoded."""
    unwanted_images: tuple[bytes, ...] = ()
    """Unwanted images of the query, encoded."""

    @property
    def wanted_images(self) -> tuple[bytes, ...]:
        """All images of the query, without those that cannot be read."""
        first = () if self.query_image is None else (self.query_image,)
        return first + self.further_images


def write_contact_sheet(
    path: str | Path, sheets: Iterable[Sheet], *, title: str = "cbir contact sheet"
) -> None:
    """Write queries and hits to `path` as one self-contained HTML file.

    An image that can no longer be read is shown as a blank with its name. Raises CbirError when
    the file cannot be written.
    """
    write_page(path, title=title, body="\n".join(section_of(sheet) for sheet in sheets))


def write_page(path: str | Path, *, title: str, body: str) -> None:
    """Write a page in the common style; `body` is HTML. Raises CbirError if it cannot be
    written."""
    style = files("cbir.pages").joinpath("style.css").read_text(encoding="utf-8")
    page = _PAGE.format(title=escape(title), style=style, body=body)
    try:
        Path(path).write_text(page, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise CbirError(f"{path} cannot be written: {error.strerror}") from error


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<header><h1>{title}</h1></header>
<main>
{body}
</main>
</body>
</html>
"""


def section_of(sheet: Sheet) -> str:
    """A query and its hits as one section of a page."""
    result = sheet.result
    hits = "\n".join(_figure(hit, right=hit.image.id in sheet.relevant) for hit in result.hits)
    images = "".join(_image(image, alt="the query") for image in sheet.wanted_images)
    if sheet.unwanted_images:
        unwanted = "".join(_image(image, alt="unwanted") for image in sheet.unwanted_images)
        images += f'<div class="unwanted"><p class="quiet">not</p>{unwanted}</div>'
    note = f'<p class="quiet">{escape(sheet.note)}</p>' if sheet.note else ""
    content = (
        f'<div class="hits">\n{hits}\n</div>' if hits else '<p class="quiet">nothing found</p>'
    )
    if hits and result.matched is False:
        content = f"<p>{NO_MATCH}</p>{content}"
    return (
        f'<section class="answer">\n<div class="query">{images}'
        f'<p class="quiet">{escape(result.query)}</p>{note}</div>\n'
        f"<div>{content}{_match_plots(sheet)}</div>\n</section>"
    )


def _match_plots(sheet: Sheet) -> str:
    """The verified matches of the first hits, folded; empty where none was verified."""
    if not sheet.wanted_images or all(hit.rerank is None for hit in sheet.result.hits):
        return ""
    from cbir.pages.match_plot import match_plot

    plots = [match_plot(sheet.wanted_images, hit) for hit in sheet.result.hits[:MATCH_PLOTS]]
    images = "".join(_embedded(plot, alt="verified matches") for plot in plots if plot)
    return f"<details><summary>why they match</summary>{images}</details>" if images else ""


def aspect_of(image: ImageRecord) -> float:
    """Width by height, limited so that neither panoramas nor strips break a row."""
    return min(max(image.width / image.height if image.height else 1.0, 0.4), 3.0)


def picture_of(uri: str, *, alt: str, hit: Hit | None = None) -> str:
    """An `img` element with a thumbnail of the image at a URI, or the reason why it cannot be read.

    The region of a `hit` is outlined.
    """
    try:
        shown = _image(read_uri(uri), alt=alt)
        return shown if hit is None else _outlined(shown, hit)
    except ImageError as error:
        return f'<div class="gone">{escape(str(error))}</div>'


def _figure(hit: Hit, *, right: bool) -> str:
    image = hit.image
    aspect = aspect_of(image)
    picture = picture_of(image.uri, alt=image.name, hit=hit)
    fields = [f"{key} {value}" for key, value in image.metadata.items()]
    shown = "".join(f"<br>{escape(text)}" for text in fields[:METADATA_FIELDS])
    width = 100 * max(0.0, min(1.0, hit.similarity))
    kind = ' class="right"' if right else ""
    return (
        f'<figure{kind} style="--aspect: {aspect:.3f}" title="{escape(", ".join(fields))}">'
        f"{picture}"
        f'<figcaption><span class="bar"><i style="width: {width:.1f}%"></i></span>'
        f"<b>{hit.similarity:.3f}</b>{_confidence(hit)}{_evidence(hit)} {escape(image.name)}{shown}"
        "</figcaption></figure>"
    )


def _outlined(picture: str, hit: Hit) -> str:
    """A picture with the region of the hit drawn on it, if it has one."""
    if hit.region is None:
        return picture
    x, y, width, height = (f"{100 * part:g}%" for part in hit.region)
    place = f"left: {x}; top: {y}; width: {width}; height: {height}"
    return f'<div class="outlined">{picture}<i style="{place}"></i></div>'


def _confidence(hit: Hit) -> str:
    """The confidence of a hit, in words."""
    if hit.confidence is None:
        return ""
    chance = f"unrelated images as similar: {hit.confidence.expected:.2g} expected"
    return f' <span title="{chance}">{hit.confidence.word}</span> ·'


def _evidence(hit: Hit) -> str:
    """The inliers or the reranker's score of a hit."""
    if hit.rerank is None:
        return ""
    if hit.rerank.note:
        return f' <span title="{escape(hit.rerank.note)}">not verified</span> ·'
    if hit.rerank.inliers is not None:
        return f" {hit.rerank.inliers} inliers ·"
    return f" {escape(hit.rerank.method)} {hit.rerank.score:.3f} ·"


def _image(data: bytes, *, alt: str) -> str:
    """An `img` element that carries a thumbnail of an encoded image."""
    return _embedded(thumbnail_jpeg(data, max_side=THUMBNAIL_SIDE), alt=alt)


def _embedded(jpeg: bytes, *, alt: str) -> str:
    encoded = base64.b64encode(jpeg).decode()
    return f'<img alt="{escape(alt)}" loading="lazy" src="data:image/jpeg;base64,{encoded}">'
