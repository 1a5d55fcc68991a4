"""Reads the numbers of a column of text, also where some cells are odd.

A column holds numbers if every cell can be read as one. A price list of people is rarely so clean:
where nearly all cells are numbers, or the others are numbers in another notation (`1.299,00 €`),
those that can be read are numbers and the others stay text, which a filter then names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["NumberColumn", "plain_number"]

_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d+)?", re.ASCII)
_COMMA = re.compile(r"-?(0|[1-9]\d{0,14}|[1-9]\d{0,2}(?:\.\d{3})+),(\d+)", re.ASCII)
"""A number with a decimal comma, as spreadsheets of half the world write them: `1.299,00`."""
_CODE = re.compile(r"\+?\d+|\d+e\d+", re.ASCII | re.IGNORECASE)
"""Digits that a number would not reproduce, as `00123`: such a column holds codes."""
_BOTCHED = re.compile(
    r"(?:[A-Z]{3}\s?|\W{0,3})\d[\d.,'\u2019 \u00a0\u202f]*(?:\W{0,3}|\s[A-Za-z]{1,4}\.?)"
)
"""A number in another notation, or with a currency or unit: `€ 9`, `9,50 EUR`, `1'200.-`."""

FEW = 10
"""One odd cell among this many numbers, or fewer, leaves a column one of numbers."""
HOPELESS = 100
"""Odd cells after which a column with fewer numbers than that is not looked at further."""


def plain_number(text: str) -> int | float | None:
    """The number that a text is, written as a program writes it; None for any other text."""
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        return None
    return float(match[0]) if match[2] else int(match[0])


@dataclass(slots=True)
class NumberColumn:
    """Counts of how the cells of one column are written, from which follows how to read them."""

    whole: int = 0
    """`12`."""
    points: int = 0
    """`12.5`."""
    commas: int = 0
    """`12,5`."""
    floats: int = 0
    """`12.0`: of `points`, those that a program made of whole numbers."""
    decisive: int = 0
    """Of `commas`, those that cannot be thousands, as `1,234` can."""
    botched: int = 0
    odd: int = 0
    codes: int = 0

    def see(self, cell: str) -> None:
        """Count a cell."""
        text = cell.strip()
        match = _NUMBER.fullmatch(text)
        if match is not None:
            if match[2] is None:
                self.whole += 1
            else:
                self.points += 1
                self.floats += match[2] == ".0"
        elif (match := _COMMA.fullmatch(text)) is not None:
            self.commas += 1
            self.decisive += len(match[2]) != 3 or len(match[1].lstrip("-")) > 3
        elif _CODE.fullmatch(text):
            self.codes += 1
        elif len(text) < 32 and _BOTCHED.fullmatch(text):
            self.botched += 1
        else:
            self.odd += 1

    @property
    def hopeless(self) -> bool:
        """Whether further cells cannot make it a column of numbers."""
        numbers = self.whole + self.points + self.commas
        return self.codes > 0 or (self.odd > HOPELESS and self.odd > numbers)

    @property
    def decimal_comma(self) -> bool:
        """Whether its cells are written with a decimal comma."""
        return self.points == 0 and self.decisive > 0

    @property
    def holds_numbers(self) -> bool:
        """Whether its cells are numbers, apart from a few."""
        if self.codes:
            return False
        numbers = self.whole + (self.commas if self.decimal_comma else self.points)
        otherwise = self.botched + (0 if self.decimal_comma else self.commas)
        if self.odd == 0:
            return numbers >= max(1, 2 * otherwise)
        return numbers >= FEW * (self.odd + otherwise)

    @property
    def made_whole(self) -> bool:
        """Whether all are whole numbers that a program has written as floats, as pandas does."""
        return 0 < self.floats == self.whole + self.points + self.commas

    def reader(self) -> Callable[[str], int | float | str]:
        """A function that reads a cell: its number, or its text."""
        comma, whole = self.decimal_comma, self.made_whole

        def read(cell: str) -> int | float | str:
            text = cell.strip()
            if comma and _COMMA.fullmatch(text):
                return float(text.replace(".", "").replace(",", "."))
            number = plain_number(text)
            if number is None:
                return cell
            return int(number) if whole else number

        return read
