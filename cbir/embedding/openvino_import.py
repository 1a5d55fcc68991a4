"""The only place where cbir imports openvino, so that it never calls home."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["import_openvino"]


def import_openvino() -> Any:
    """The module openvino, with its telemetry replaced by its own stub.

    openvino reports imports and conversions through the package openvino_telemetry where that
    is installed, and does without where it is not: None in `sys.modules` says that it is not.
    """
    if "openvino" not in sys.modules:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino

    return openvino
