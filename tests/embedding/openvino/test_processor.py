"""No result depends on which processor computes it unless the code says so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import cbir
from cbir.embedding.openvino import processor
from cbir.embedding.openvino.compiling import HINTS, compile_network, has_native_bf16
from cbir.embedding.openvino.processor import kernel_family

ROOT = Path(cbir.__file__).parent.parent


@pytest.mark.parametrize("precision", HINTS)
def test_a_network_is_compiled_at_the_precision_that_was_asked_for(precision: str) -> None:
    calls: list[tuple[Any, ...]] = []

    class Core:
        def compile_model(self, *arguments: Any) -> None:
            calls.append(arguments)

    compile_network(Core(), "network.xml", precision, {"NUM_STREAMS": 2})
    options = {"INFERENCE_PRECISION_HINT": HINTS[precision], "NUM_STREAMS": 2}
    assert calls == [("network.xml", "CPU", options)]


def test_networks_are_compiled_in_one_place() -> None:
    """OpenVINO's own default is bfloat16 on some processors and float32 on others."""
    files = [path for folder in ("cbir", "scripts", "tests") for path in (ROOT / folder).rglob("*")]
    calls = re.compile(rb"\.compile_model\(|\bcore\(.*\)\.compile", re.IGNORECASE)
    found = {path.name for path in files if path.is_file() and calls.search(path.read_bytes())}
    assert found == {"compiling.py"}


@pytest.mark.parametrize(
    ("flags", "native"),
    [
        ("flags : fpu avx512f avx512_bf16 amx_tile", True),
        ("flags : fpu avx512f amx_bf16", True),
        ("flags : fpu avx2 avx_vnni avx_ne_convert", True),
        ("Features : fp asimd bf16 sve", True),
        ("flags : fpu avx512f avx512bw avx512_vnni", False),  # OpenVINO would emulate
        (None, True),  # no flags to read: OpenVINO is believed
    ],
)
def test_auto_takes_bf16_only_where_the_processor_has_it(
    monkeypatch: pytest.MonkeyPatch, flags: str | None, native: bool
) -> None:
    class Core:
        def get_property(self, device: str, name: str) -> list[str]:
            return ["BF16", "FP32"]

    monkeypatch.setattr(processor, "read_flags", lambda: flags)
    assert has_native_bf16(Core()) is native


@pytest.mark.parametrize(
    ("flags", "family"),
    [
        ("flags : fpu avx avx2 bmi1", "avx2"),
        ("flags : fpu avx avx2 avx512f avx512_bf16", ""),
        ("flags : fpu avx avx2 avx_vnni avx_ne_convert", ""),  # it has bfloat16
        ("flags : fpu sse4_2 avx", ""),
        ("Features : fp asimd bf16 sve", ""),
        (None, ""),
    ],
)
def test_a_processor_with_avx2_alone_has_kernels_of_its_own(
    monkeypatch: pytest.MonkeyPatch, flags: str | None, family: str
) -> None:
    monkeypatch.setattr(processor, "read_flags", lambda: flags)
    assert kernel_family() == family
