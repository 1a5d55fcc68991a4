"""Compiles OpenVINO networks for the CPU or its GPU, always at a stated precision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cbir.embedding.openvino.processor import has_bf16_instructions

__all__ = ["GPU_HINTS", "HINTS", "compile_network", "has_native_bf16"]

HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}
"""Precision → OpenVINO's hint for layers whose precision the network does not state itself."""
GPU_HINTS = {"fp32": "f32", "fp16": "f16", "int8": "f16"}
"""The same for a GPU."""


def compile_network(
    core: Any,
    network: Any,
    precision: str,
    options: Mapping[str, Any] | None = None,
    *,
    device: str = "CPU",
) -> Any:
    """Compiles a network (a model, or the path of an .xml file) to a CompiledModel.

    `device` is CPU, GPU or GPU.N. `precision` is a key of HINTS, or of GPU_HINTS. It is always set:
    OpenVINO's default is the narrowest that the processor supports, so that results would differ
    between machines. Raises RuntimeError.
    """
    hints = HINTS if device == "CPU" else GPU_HINTS
    hint = {"INFERENCE_PRECISION_HINT": hints[precision]}
    return core.compile_model(network, device, {**hint, **(options or {})})


def has_native_bf16(core: Any) -> bool:
    """Whether the processor computes in bfloat16.

    OpenVINO also reports it for processors with AVX-512 alone, where it emulates bfloat16, which is
    slower; on Linux the processor's own flags decide.
    """
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return False
    return has_bf16_instructions() is not False
