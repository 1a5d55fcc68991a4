"""Reads manifests in JSON: one object per line, or one array of objects."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from cbir.errors import SourceError
from cbir.messages import shortened
from cbir.sources.columns import ColumnTypes, is_empty
from cbir.sources.paths import printable, read_head
from cbir.sources.rows import Row

__all__ = ["JsonRows", "flat_fields"]

LONGEST_LINE = 1_000_000
"""Longest line that is read, in bytes; a longer one is a failure."""


LARGEST_ARRAY = 256_000_000
"""Largest file with one array, in bytes: it is read as a whole."""


class JsonRows:
    """The objects of a JSON file. A column of ISO dates is read as dates: JSON has none."""

    image_columns: tuple[str, ...] = ()

    def __init__(self, path: str, image_column: str, names: Collection[str]) -> None:
        self._path = path
        self._names = names
        self._survey: tuple[int, ColumnTypes] | None = None

    @property
    def word(self) -> str:
        return "item" if self._is_array() else "line"

    @property
    def columns(self) -> tuple[str, ...]:
        return self._surveyed()[1].names

    def count(self) -> int:
        return self._surveyed()[0]

    def __iter__(self) -> Iterator[Row]:
        _, types = self._surveyed()
        for row in self._rows():
            values = {n: v if n in self._names else types.read(n, v) for n, v in row.values.items()}
            yield Row(row.number, values, row.problem)

    def _surveyed(self) -> tuple[int, ColumnTypes]:
        if self._survey is None:
            types, count = ColumnTypes(["date"]), 0
            for row in self._rows():
                count += 1
                for name, value in row.values.items():
                    types.see(name, value)
            self._survey = count, types
        return self._survey

    def _is_array(self) -> bool:
        return read_head(self._path, 512).removeprefix(BOM_UTF8).lstrip().startswith(b"[")

    def _rows(self) -> Iterator[Row]:
        return self._items() if self._is_array() else self._lines()

    def _items(self) -> Iterator[Row]:
        """The items of an array. Raises SourceError."""
        shown = printable(self._path)
        try:
            if Path(self._path).stat().st_size > LARGEST_ARRAY:
                raise SourceError(
                    f"{shown}: an array of more than {LARGEST_ARRAY / 1e6:,.0f} MB; write one "
                    "object per line, without brackets around them"
                )
            items = json.loads(Path(self._path).read_bytes().removeprefix(BOM_UTF8))
        except OSError as error:
            raise SourceError(f"{shown}: cannot be read: {error.strerror}") from error
        except RecursionError as error:
            raise SourceError(f"{shown}: not JSON: nested too deeply") from error
        except ValueError as error:  # not JSON, or not UTF-8
            raise SourceError(f"{shown}: not JSON: {shortened(str(error))}") from error
        for number, item in enumerate(items, start=1):
            yield _object(number, item)

    def _lines(self) -> Iterator[Row]:
        try:
            with Path(self._path).open("rb") as file:
                number = 0
                while line := file.readline(LONGEST_LINE + 1):
                    number += 1
                    if len(line) > LONGEST_LINE:
                        while line and not line.endswith(b"\n"):
                            line = file.readline(LONGEST_LINE)
                        yield Row(number, problem=f"longer than {LONGEST_LINE:,} bytes")
                    elif line := line.removeprefix(BOM_UTF8).strip():
                        row = _row(number, line)
                        if row.problem and number == 1 and self._path.endswith(".json"):
                            raise SourceError(
                                f"{printable(self._path)}: neither an array of objects nor one "
                                'object per line, as {"path": "a.jpg"}'
                            )
                        yield row
        except OSError as error:
            shown = printable(self._path)
            raise SourceError(f"{shown}: cannot be read: {error.strerror}") from error


def _row(number: int, line: bytes) -> Row:
    try:
        return _object(number, json.loads(line))
    except UnicodeDecodeError:
        return Row(number, problem="not UTF-8 text")
    except RecursionError:
        return Row(number, problem="not JSON: nested too deeply")
    except ValueError as error:
        return Row(number, problem=f"not JSON: {str(error).partition(':')[0]}")


def _object(number: int, value: Any) -> Row:
    if not isinstance(value, dict):
        return Row(number, problem='not a JSON object, as {"path": "a.jpg"}')
    return Row(number, flat_fields(value))


def flat_fields(value: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a JSON object that are not empty; a nested object becomes its JSON text."""
    return {
        name: json.dumps(field, ensure_ascii=False) if isinstance(field, dict) else field
        for name, field in value.items()
        if not is_empty(field)
    }
