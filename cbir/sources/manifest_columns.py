"""Chooses the columns of a manifest that hold images and keys, and says what to do without them."""

from __future__ import annotations

import difflib
import os
import re
import shlex
from collections.abc import Sequence

from cbir.errors import SourceError
from cbir.images import IMAGE_SUFFIXES
from cbir.messages import shortened
from cbir.sources.base import DEFAULT_COLUMN
from cbir.sources.paths import is_remote
from cbir.sources.rows import RowReader

__all__ = ["choose_image_column", "require_key_column"]

_LIKELY = re.compile("path|file|img|image|photo|picture|url", re.IGNORECASE)


def choose_image_column(wanted: str, rows: RowReader) -> str:
    """The column with the images: `wanted`, whatever its case, or the only one that holds bytes.

    Raises SourceError, without the file's name.
    """
    names = dict.fromkeys((*rows.columns, *rows.image_columns))
    if wanted in names:
        return wanted
    alike = [name for name in names if name.casefold() == wanted.casefold()]
    if len(alike) == 1:
        return alike[0]
    if wanted == DEFAULT_COLUMN:
        # The `datasets` library calls it image, webdataset by its suffix.
        images = [name for name in rows.image_columns if name == "image" or _is_suffix(name)]
        images = images or list(rows.image_columns)
        if len(images) == 1:
            return images[0]
    raise SourceError(_no_column(wanted, list(names), "--image-column"))


def require_key_column(wanted: str, columns: Sequence[str]) -> None:
    """Raise SourceError, without the file's name, if there is no such column."""
    if wanted not in columns:
        raise SourceError(_no_column(wanted, columns, "--key"))


def _no_column(wanted: str, columns: Sequence[str], option: str) -> str:
    place = next((name for name in columns if _is_place(name)), None)
    if place is not None:
        header = [DEFAULT_COLUMN, *(f"column{n}" for n in range(2, len(columns) + 1))]
        return (
            f"its first line should name the columns, but {shortened(place)!r} stands in it, an "
            f"image; put a line above it, as {shortened(','.join(header))}"
        )
    likely = _likely_column(wanted, columns, image=option == "--image-column")
    return (
        f"no column {shortened(wanted)!r} (columns: {shortened(', '.join(columns), 300)}); "
        f"name one: {option} {'NAME' if likely is None else shlex.quote(likely)}"
    )


def _is_place(name: str) -> bool:
    """Whether a column is called as a file or URL is: then the first line is a row."""
    return is_remote(name) or os.path.splitext(name)[1].casefold() in IMAGE_SUFFIXES  # noqa: PTH122


def _is_suffix(name: str) -> bool:
    return f".{name.casefold()}" in IMAGE_SUFFIXES


def _likely_column(wanted: str, names: Sequence[str], *, image: bool) -> str | None:
    by_case = {name.casefold(): name for name in names}
    close = difflib.get_close_matches(wanted.casefold(), by_case, n=1)
    if close:
        return by_case[close[0]]
    likely = (name for name in names if _LIKELY.search(name) or _is_suffix(name))
    return next(likely, None) if image else None
