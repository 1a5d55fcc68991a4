"""Reads pickles of plain values and arrays, without running code that they name.

Benchmarks publish their ground truth as pickles, and a pickle can run any code. This reader calls
nothing that a file names: it replaces the few classes and functions that arrays are made of,
refuses all others, and returns values that JSON could hold.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from cbir.errors import CbirError

__all__ = ["read_pickle"]


def read_pickle(file: Path) -> Any:
    """Read a pickle of dicts, lists, tuples, text, numbers and arrays; arrays become lists.

    Raises CbirError when the file cannot be read, or asks for anything that could run code.
    """
    try:
        with file.open("rb") as stream:
            # Text of Python 2 is bytes of unknown encoding; latin1 reads its arrays, too.
            return _plain(_PlainUnpickler(stream, encoding="latin1").load())
    except OSError as error:
        raise CbirError(f"{file}: cannot be read: {error.strerror}") from error
    except _RefusedError as error:
        raise CbirError(
            f"{file}: asks for {error}, which is neither a plain value nor an array; such a "
            "pickle could run code and is not read, give the ground truth as JSON instead"
        ) from error
    except Exception as error:  # damaged bytes make an unpickler raise almost anything
        raise CbirError(f"{file}: not a readable pickle: {error}") from error


class _RefusedError(Exception):
    """A pickle names a class or function that is not allowed."""


class _Dtype:
    """Stands in for `numpy.dtype`: numbers and text only, no objects, no records."""

    def __init__(self, name: str, *_options: Any) -> None:
        self.dtype = np.dtype(str(name))
        if self.dtype.kind not in "biufSU":
            raise _RefusedError(f"an array of {name}")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] == ">":
            self.dtype = self.dtype.newbyteorder(">")


class _Array:
    """Stands in for an array: `numpy._reconstruct` creates it, its state fills it."""

    values: Any = ()

    def __init__(self, *_how: Any) -> None:
        pass

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, shape, dtype, column_major, data = state
        self.values = _values(data, dtype, shape, "F" if column_major else "C")


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any, *_axes: Any) -> Any:
    """An array as pickle protocol 5 stores it."""
    return _values(data, dtype, shape, order)


def _scalar(dtype: Any, data: Any) -> Any:
    """One numpy number."""
    return _values(data, dtype, (), "C")


def _values(data: Any, dtype: Any, shape: Any, order: Any) -> Any:
    encoded = data.encode("latin1") if isinstance(data, str) else data
    return np.frombuffer(encoded, dtype.dtype).reshape(shape, order=order).tolist()


def _latin1(text: str, _encoding: Any) -> bytes:
    """Stands in for `_codecs.encode`: how bytes are written in pickles of protocol 2."""
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """Stands in for `bytes`: how empty bytes are written in pickles of protocol 2."""
    return b""


_STAND_INS: dict[tuple[str, str], Any] = {
    ("_codecs", "encode"): _latin1,
    ("__builtin__", "bytes"): _no_bytes,
    ("numpy", "dtype"): _Dtype,
    ("numpy", "ndarray"): None,  # only ever an argument of _reconstruct
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
}


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _STAND_INS[module, name]
        except KeyError:
            raise _RefusedError(f"{module}.{name}") from None


def _plain(value: Any) -> Any:
    """The value without stand-ins. Raises _RefusedError for a type that JSON lacks."""
    if isinstance(value, _Array):
        return value.values
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise _RefusedError(f"a {type(value).__name__}")
