"""Import of openvino, without its telemetry and without its slow converter."""

from __future__ import annotations

import sys
import threading
from typing import Any

__all__ = ["import_openvino"]

CONVERTER = "openvino.tools.ovc"

_importing = threading.Lock()
"""One thread at a time: importing changes `sys.modules` for a while."""


def import_openvino() -> Any:
    """The module openvino, with its telemetry replaced by its own stub.

    openvino reports imports and conversions through the package openvino_telemetry where that
    is installed, and does without where it is not: None in `sys.modules` says that it is not. The
    same goes for the converter, which takes half of the import's time, and which no search needs:
    `openvino.convert_model` is there when somebody asks for it.
    """
    with _importing:
        if "openvino" not in sys.modules:
            sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
            sys.modules[CONVERTER] = None  # type: ignore[assignment]
            try:
                import openvino
            finally:
                del sys.modules[CONVERTER]
            if not hasattr(openvino, "convert_model"):
                openvino.__getattr__ = _convert_model
        import openvino

        return openvino


def _convert_model(name: str) -> Any:
    """`__getattr__` of the module openvino: imports the converter on first use."""
    if name != "convert_model":
        raise AttributeError(f"module 'openvino' has no attribute {name!r}")
    from openvino.tools.ovc import convert_model

    return convert_model
