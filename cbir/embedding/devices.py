"""The devices that networks run on: which are named, which are present, what runs on each."""

from __future__ import annotations

import re
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from cbir.errors import BackboneError

__all__ = ["choose_device"]

NAMES = "auto, cpu, cuda, cuda:N, mps, xpu, xpu:N or openvino:GPU"
_DEVICE = re.compile(r"auto|cpu|(cuda|xpu)(:\d{1,3})?|mps|openvino:GPU(\.\d{1,3})?")


def choose_device(device: str, runtime: str) -> tuple[str, Literal["openvino", "torch"]]:
    """Device and runtime, with `auto` resolved. Raises BackboneError where they do not fit.

    `auto` takes the first GPU that torch can use (NVIDIA or AMD: cuda; Apple: mps; Intel: xpu), or
    the CPU. OpenVINO's own GPU is only used by name.
    """
    if not _DEVICE.fullmatch(device):
        raise BackboneError(f"no device {device!r}; choose {NAMES}")
    if runtime not in ("auto", "openvino", "torch"):
        raise BackboneError(f"no runtime {runtime!r}; choose auto, openvino or torch")
    if device == "auto":
        device = "cpu" if runtime == "openvino" else _accelerator() or "cpu"
    by_openvino = device.startswith("openvino:")
    if runtime == "auto":
        runtime = "openvino" if device == "cpu" or by_openvino else "torch"
    if runtime == "openvino":
        if device != "cpu" and not by_openvino:
            raise BackboneError(f"openvino does not run on {device}; choose the runtime torch")
        return device, "openvino"
    if by_openvino:
        raise BackboneError(f"torch does not run on {device}; choose the runtime openvino")
    return device, "torch"


def _accelerator() -> str | None:
    """The GPU that torch can use; torch is imported only where there may be one."""
    if sys.platform == "darwin":
        import torch

        return "mps" if torch.backends.mps.is_available() else None
    if _cuda_works():
        return "cuda"
    if "+xpu" in _torch_version():
        import torch

        return "xpu" if torch.xpu.is_available() else None
    return None


def _cuda_works() -> bool:
    """Whether torch can use a GPU by CUDA."""
    if not Path("/proc/driver/nvidia/version").exists() and shutil.which("nvidia-smi") is None:
        return False
    import torch

    return torch.cuda.is_available()


def _torch_version() -> str:
    """Such as `2.9.0+xpu` for a build for Intel's GPUs, without importing it."""
    try:
        return version("torch")
    except PackageNotFoundError:
        return ""
