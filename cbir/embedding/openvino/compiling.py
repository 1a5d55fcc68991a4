"""Compiles OpenVINO networks for the CPU, always at a stated precision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cbir.embedding.openvino.processor import has_bf16_instructions

__all__ = ["HINTS", "compile_network", "has_native_bf16"]

HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}
"""Precision → OpenVINO's hint for layers whose precision the network does not state itself."""


def compile_network(
    core: Any, network: Any, precision: str, options: Mapping[str, Any] | None = None
) -> Any:
    """Compiles a network (a model, or the path of an .xml file) for the CPU to a CompiledModel.

    `precision` is a key of HINTS. It is always set: OpenVINO's default is the narrowest that the
    processor supports, so that results would differ between machines. Raises RuntimeError.
    """
    hint = {"INFERENCE_PRECISION_HINT": HINTS[precision]}
    return core.compile_model(network, "CPU", {**hint, **(options or {})})


def has_native_bf16(core: Any) -> bool:
    """Whether the processor computes in bfloat16.

    OpenVINO also reports it for processors with AVX-512 alone, where it emulates bfloat16, which is
    slower; on Linux the processor's own flags decide.
    """
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return False
    return has_bf16_instructions() is not False
