"""Instruction sets of this machine's processor, from its flags."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["has_bf16_instructions", "kernel_family", "read_flags"]

BF16 = re.compile(r"\b(avx512_bf16|amx_bf16|avx_ne_convert|bf16)\b")
NEWER_THAN_AVX2 = re.compile(r"\b(avx512f|avx_ne_convert)\b")


def read_flags() -> str | None:
    """The processor's flags as Linux lists them; None on other systems."""
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return None


def has_bf16_instructions() -> bool | None:
    """Whether the flags name an instruction for bfloat16; None where there are no flags."""
    flags = read_flags()
    return None if flags is None else BF16.search(flags) is not None


def kernel_family() -> str:
    """`avx2` for an x86 processor without newer vector instructions, otherwise an empty string."""
    flags = read_flags() or ""
    return "avx2" if re.search(r"\bavx2\b", flags) and not NEWER_THAN_AVX2.search(flags) else ""
