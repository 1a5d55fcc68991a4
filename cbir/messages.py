"""Texts for messages: long values are cut, so that a message stays one line to read."""

from __future__ import annotations

__all__ = ["shortened"]

LONGEST = 100


def shortened(text: str, longest: int = LONGEST) -> str:
    """A text of at most `longest` characters, with `…` in place of what is cut off."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
