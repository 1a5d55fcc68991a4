"""Values and commands as messages show them.

Long values are cut, so that a message stays one line to read. A command that a message advises can
be pasted into a shell as it stands.
"""

from __future__ import annotations

import os
import shlex

from cbir.config import DEFAULT_GALLERY

__all__ = ["advised", "command", "shell_word", "shortened"]

LONGEST = 100


def shortened(text: str, longest: int = LONGEST) -> str:
    """A text of at most `longest` characters, with `…` in place of what is cut off."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def command(name: str, *words: str | os.PathLike[str], gallery: object = None) -> str:
    """The command line `cbir NAME WORDS`, as a shell reads it; for the gallery at a path.

    Words in capitals stand for what the reader fills in. The default gallery is not named.

    >>> command("search", "PHOTO", gallery="my shop")
    "cbir search PHOTO --gallery 'my shop'"
    """
    line = ["cbir", name, *map(shell_word, words)]
    if gallery is not None and str(gallery) != str(DEFAULT_GALLERY):
        line += ["--gallery", shell_word(str(gallery))]
    return " ".join(line)


def advised(name: str, *words: str | os.PathLike[str], gallery: object = None) -> str:
    """A command line within a message, in quotes, or in backticks where it has quotes itself."""
    line = command(name, *words, gallery=gallery)
    return f"`{line}`" if "'" in line else f"'{line}'"


def shell_word(word: str | os.PathLike[str]) -> str:
    r"""A word quoted for a shell; unprintable characters as `$'\x0a'`, which bash and zsh read."""
    text = os.fspath(word)
    if text.isprintable():
        return shlex.quote(text)
    escaped = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in "\\'" else f"\\x{byte:02x}"
        for byte in os.fsencode(text)
    )
    return f"$'{escaped}'"
