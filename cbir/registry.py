"""Helpers of registries: load an entry by its module, and suggest a name for a misspelt one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from importlib import import_module
from typing import Any

__all__ = ["did_you_mean", "load_part", "one_of"]


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`did you mean 'sift'? ` where one of `names` is close to `name`, otherwise empty."""
    near = difflib.get_close_matches(name.lower(), list(names), n=1)
    return f"did you mean {near[0]!r}? " if near else ""


def one_of(names: Iterable[str]) -> str:
    """Names joined for a sentence: `sift, orb or ssim`."""
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


def load_part(target: str) -> Any:
    """Import the object that `module:attribute` names."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)
