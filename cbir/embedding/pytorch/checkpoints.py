"""Loads checkpoint files into networks; errors say which parameters do not fit."""

from __future__ import annotations

import pickle
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cbir.errors import WeightsError

__all__ = ["load_checkpoint"]

WRAPPERS = ("state_dict", "model")
"""Keys under which training scripts store the weights beside other data."""
OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)$")
"""torchvision's DenseNet files are older than the names of its modules: norm.1 is now norm1."""


def load_checkpoint(
    net: nn.Module, path: Path, name: str, *, needed: Collection[str], heads: Collection[str]
) -> None:
    """Loads the `needed` parameters of a network from a checkpoint file.

    A classification head (the modules in `heads`) may be missing, of another size, or unknown to
    the network: an embedding does not use it, so that checkpoints fine-tuned on other classes fit.
    Raises WeightsError.
    """
    state = _read(path, name)
    expected = net.state_dict()
    wrong = [key for key in state if key in expected and expected[key].shape != state[key].shape]
    for key in wrong:
        del state[key]
    try:
        result = net.load_state_dict(state, strict=False)
    except (RuntimeError, ValueError) as error:
        raise WeightsError(f"checkpoint {path} does not fit {name}: {error}") from None
    unused = tuple(f"{head}." for head in heads)
    complaints = {
        "wrong shape": [key for key in wrong if key in needed],
        "missing": [
            key
            for key in result.missing_keys
            if key in needed and key not in wrong and not key.endswith("num_batches_tracked")
        ],
        "unexpected": [key for key in result.unexpected_keys if not key.startswith(unused)],
    }
    if any(complaints.values()):
        reasons = ", ".join(f"{why} {_some(keys)}" for why, keys in complaints.items() if keys)
        raise WeightsError(
            f"checkpoint {path} does not fit {name}: {reasons}; give the file of a {name}, "
            f"or choose the backbone it belongs to"
        )


def _read(path: Path, name: str) -> dict[str, torch.Tensor]:
    """The weights in a file by parameter name. Raises WeightsError."""
    try:
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(
            f"cannot read {path} as a checkpoint of {name} ({reason}); "
            f"give a file that torch.save wrote from a state_dict"
        ) from None
    for wrapper in WRAPPERS:
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise WeightsError(
            f"{path} holds no state_dict, or more than one; "
            f"give a file that torch.save wrote from a state_dict"
        )
    for key in list(state):
        renamed = OLD_DENSENET.sub(r"\1\2", key.removeprefix("module."))
        if renamed != key:
            state[renamed] = state.pop(key)
    return state


def _some(keys: list[str]) -> str:
    """The first three of many names, and the number of the others."""
    more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
    return ", ".join(keys[:3]) + more
