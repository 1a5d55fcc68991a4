"""What this machine's processor can compute in, by its own flags."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["processor_kind", "says_bf16"]

BF16_FLAGS = re.compile(r"\b(avx512_bf16|amx_bf16|avx_ne_convert|bf16)\b")
NEWER_THAN_AVX2 = re.compile(r"\b(avx512f|avx_ne_convert)\b")


def says_bf16() -> bool | None:
    """Whether the flags name an instruction for bfloat16; None where there are none to read."""
    flags = _flags()
    return None if flags is None else BF16_FLAGS.search(flags) is not None


def processor_kind() -> str:
    """`avx2` for an x86 processor that computes in nothing newer, otherwise nothing."""
    flags = _flags() or ""
    return "avx2" if re.search(r"\bavx2\b", flags) and not NEWER_THAN_AVX2.search(flags) else ""


def _flags() -> str | None:
    """Linux alone writes them down."""
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return None
