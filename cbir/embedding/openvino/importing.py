"""Import of openvino, without its telemetry and without its slow converter."""

from __future__ import annotations

import sys
import threading
from typing import Any

__all__ = ["import_openvino"]

CONVERTER = "openvino.tools.ovc"

_importing = threading.Lock()
"""Only one thread imports at a time: the import changes `sys.modules` temporarily."""


def import_openvino() -> Any:
    """The module openvino, imported with its telemetry disabled and its converter deferred.

    openvino reports imports and conversions through the package openvino_telemetry, and uses a stub
    where that is not installed: None in `sys.modules` makes it appear not installed. The converter,
    half of the import's time and needed by no search, is imported on the first use of
    `openvino.convert_model`.
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
