"""Sets of real photographs for measuring, where there are any.

They are not part of the project: tests that need one are skipped without it. `CBIR_TEST_DATA`
names their folder; by default `shared/data` beside the checkout.
"""

import os
from pathlib import Path

import pytest

DATA = Path(
    os.environ.get("CBIR_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data"
)


def dataset(name: str) -> Path:
    """The folder of a set; skips the test when it is not there."""
    folder = DATA / name
    if not (folder / "labels.csv").is_file():
        pytest.skip(f"needs the photographs of {name} in {DATA} (CBIR_TEST_DATA names another)")
    return folder
