"""Writes the recommendations for all images to a file; an interrupted run can be resumed.

Finished blocks are stored beside the file in `FILE.parts/`, together with the rules and the state
of the gallery. A later run with the same rules over the unchanged gallery computes only what is
missing; any other run starts again.
"""

from __future__ import annotations

import json
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from cbir.errors import CbirError
from cbir.files import replacing
from cbir.gallery import Gallery
from cbir.recommendation.all_items import (
    BLOCK_SIZE,
    BatchRecommender,
    RecommendationBlock,
    block_count,
)
from cbir.recommendation.item_table import ItemTable, load_item_table
from cbir.recommendation.rules import Rules
from cbir.recommendation.table_writers import TableRows, check_format, open_writer

__all__ = ["ExportReport", "export_recommendations"]

PLAN = "plan.json"


@dataclass(frozen=True, slots=True)
class ExportReport:
    """Counts of one export run."""

    items: int = 0
    recommendations: int = 0
    short: int = 0
    """Items with fewer than k recommendations, including those with none."""
    without: int = 0
    """Items with no recommendation."""
    lacking: int = 0
    """Items without recommendations because they lack a field of `Rules.same` or `different`."""
    resumed: int = 0
    """Items that an earlier run had finished."""
    restarted: bool = False
    """Whether an earlier run's work was discarded: other rules, or the gallery has changed."""
    dimensions: int | None = None
    """Dimensions compared by the first pass; None where all were compared at once."""
    recall: float | None = None
    """Recall of the first pass, measured on a sample."""
    seconds: float = 0.0


def export_recommendations(
    gallery: Gallery,
    path: str | Path,
    rules: Rules | None = None,
    *,
    exact: bool = False,
    block_size: int = BLOCK_SIZE,
    progress: Callable[[int], None] | None = None,
) -> ExportReport:
    """Write the recommendations for every image to a .parquet, .csv or .jsonl file.

    The file has one row per item and recommendation, items in the order of ids; it is replaced at
    the end. Interrupted, the run can be resumed after the last finished block of `block_size`
    items. `progress` is called with the number of items done so far.

    Raises CbirError when the file cannot be written, MissingExtraError for Parquet without pyarrow,
    FilterError when the rules name a field that no image has, or one of lists.
    """
    started = time.perf_counter()
    rules, path = rules or Rules(), Path(path)
    check_format(path)
    with gallery.catalog.snapshot() as snapshot:
        items = load_item_table(snapshot, rules)
    parts = _Parts(path.with_name(path.name + ".parts"))
    try:
        restarted = parts.begin(_plan(gallery, rules, items, exact=exact, block_size=block_size))
        blocks = block_count(len(items), block_size)
        missing = [n for n in range(blocks) if parts.read(n) is None]
        done = len(items) - _item_count(missing, len(items), block_size)
        export = ExportReport(
            items=len(items), lacking=items.lacking, resumed=done, restarted=restarted
        )
        if missing:
            recommender = BatchRecommender.load(gallery, rules, exact=exact, block_size=block_size)
            if recommender.items.digest != items.digest:
                raise CbirError(f"{gallery.path} has just changed; run the command again")
            for number, block in zip(missing, recommender.blocks(missing), strict=True):
                parts.write(number, block)
                done += len(block.items)
                if progress is not None:
                    progress(done)
            if (leading := recommender.leading) is not None:
                export = replace(export, dimensions=leading.dim, recall=leading.recall)
        with open_writer(path) as write:
            for block in parts.blocks(blocks):
                write(_rows(block, items))
                counts = (block.ids >= 0).sum(axis=1)
                export = replace(
                    export,
                    recommendations=export.recommendations + int(counts.sum()),
                    short=export.short + int((counts < rules.k).sum()),
                    without=export.without + int((counts == 0).sum()),
                )
        parts.end()
    except OSError as error:
        raise CbirError(f"{path} cannot be written: {error.strerror}") from error
    return replace(export, seconds=time.perf_counter() - started)


def _plan(gallery: Gallery, rules: Rules, items: ItemTable, *, exact: bool, block_size: int) -> str:
    """The rules and the state of the gallery, as text: equal for runs that may be resumed."""
    options = {name: repr(value) for name, value in asdict(replace(rules, where=None)).items()}
    plan = {
        "gallery": gallery.catalog.gallery_id,
        "state": items.digest,
        "block": block_size,
        "exact": exact,
        "where": repr(rules.where),
        **options,
    }
    return json.dumps(plan, indent=2, sort_keys=True)


def _item_count(blocks: list[int], items: int, block_size: int) -> int:
    return sum(min(block_size, items - number * block_size) for number in blocks)


def _rows(block: RecommendationBlock, items: ItemTable) -> TableRows:
    rows = []
    for item, *columns in zip(
        block.items.tolist(),
        block.ids.tolist(),
        block.similarities.tolist(),
        block.scores.tolist(),
        strict=True,
    ):
        for rank, (other, similarity, score) in enumerate(zip(*columns, strict=True), 1):
            if other >= 0:
                keys = items.keys[item], items.keys[other]
                rows.append((item, keys[0], rank, other, keys[1], similarity, score))
    return rows


class _Parts:
    """Finished blocks in a folder, each a file that is complete or absent."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, plan: str) -> bool:
        """Prepare the folder for a plan; True when the parts of another plan were deleted."""
        stored = self._folder / PLAN
        if stored.is_file() and stored.read_text(encoding="utf-8", errors="replace") == plan:
            return False
        restarted = self._folder.exists()
        self.end()
        self._folder.mkdir()
        with replacing(self._folder / PLAN) as beside:
            beside.write_text(plan, encoding="utf-8")
        return restarted

    def end(self) -> None:
        """Delete the folder."""
        if self._folder.exists():
            # The plan first: parts without one, as a kill in between leaves them, are ignored.
            (self._folder / PLAN).unlink(missing_ok=True)
            shutil.rmtree(self._folder)

    def write(self, number: int, block: RecommendationBlock) -> None:
        with replacing(self._folder / _name(number)) as beside, beside.open("wb") as file:
            np.savez(
                file,
                items=block.items,
                ids=block.ids,
                similarities=block.similarities,
                scores=block.scores,
            )

    def read(self, number: int) -> RecommendationBlock | None:
        """A finished block; None for one that is missing or damaged."""
        try:
            # Opened here: numpy leaves a damaged file open.
            with (self._folder / _name(number)).open("rb") as file, np.load(file) as data:
                return RecommendationBlock(
                    data["items"], data["ids"], data["similarities"], data["scores"]
                )
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None  # damaged, by a crash of the machine for example

    def blocks(self, count: int) -> Iterator[RecommendationBlock]:
        for number in range(count):
            block = self.read(number)
            if block is None:
                raise CbirError(f"{self._folder / _name(number)} is gone; run the command again")
            yield block


def _name(number: int) -> str:
    return f"{number:06}.npz"
