"""Tells the encoding of a text file by its first bytes."""

from __future__ import annotations

import codecs

__all__ = ["HEAD_BYTES", "text_encoding"]

HEAD_BYTES = 512

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins with UTF-16's mark, and so comes first
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def text_encoding(head: bytes) -> str:
    """The encoding of a text that begins with `head`: UTF-8 if nothing speaks against it.

    Spreadsheets save "Unicode text" as UTF-16 with a byte order mark; without one, every other byte
    of a table is 0.
    """
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    pairs = len(head) // 2
    even, odd = head[0 : 2 * pairs : 2].count(0), head[1 : 2 * pairs : 2].count(0)
    if pairs and max(even, odd) > 0.7 * pairs and min(even, odd) == 0:
        return "utf-16-be" if even else "utf-16-le"
    return "utf-8-sig"
