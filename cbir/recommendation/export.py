"""Recommendations for all images into a file, by a run that may be killed at any point.

Finished blocks are kept beside the file, in `FILE.parts/`, with the rules and the state of the
gallery that they are of. The next run with the same rules over the same gallery goes on behind
them; any other starts anew.
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
from cbir.recommendation.everything import BLOCK, Block, Recommender, block_count
from cbir.recommendation.items import Items, load_items
from cbir.recommendation.rules import Rules
from cbir.recommendation.writers import Rows, check_format, open_writer

__all__ = ["Export", "export_recommendations"]

PLAN = "plan.json"


@dataclass(frozen=True, slots=True)
class Export:
    """What one run wrote."""

    items: int = 0
    recommendations: int = 0
    short: int = 0
    """Items with fewer than k recommendations, those with none among them."""
    without: int = 0
    """Items with none."""
    lacking: int = 0
    """Items that lack a field of `Rules.same` or `Rules.different`, and so have none."""
    resumed: int = 0
    """Items that an earlier run had finished."""
    restarted: bool = False
    """An earlier run's work was of other rules or another state of the gallery, and is gone."""
    dimensions: int | None = None
    """What a first pass compared; None where all dimensions were compared at once."""
    recall: float | None = None
    """Of that first pass, measured on a sample."""
    seconds: float = 0.0


def export_recommendations(
    gallery: Gallery,
    path: str | Path,
    rules: Rules | None = None,
    *,
    exact: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Export:
    """Write what is recommended for every image to a .parquet, .csv or .jsonl file.

    One row per item and recommendation, items in the order of ids. `path` is replaced at the
    end. `progress` is called with the number of items done so far. Raises CbirError when the file
    cannot be written, MissingExtraError for Parquet without pyarrow, FilterError when the rules
    name a field that means nothing in this gallery.
    """
    started = time.perf_counter()
    rules, path = rules or Rules(), Path(path)
    check_format(path)
    with gallery.catalog.snapshot() as snapshot:
        items = load_items(snapshot, rules)
    parts = _Parts(path.with_name(path.name + ".parts"))
    try:
        restarted = parts.begin(_plan(gallery, rules, items, exact=exact))
        missing = [n for n in range(block_count(len(items))) if parts.read(n) is None]
        done = len(items) - _item_count(missing, len(items))
        export = Export(items=len(items), lacking=items.lacking, resumed=done, restarted=restarted)
        if missing:
            recommender = Recommender.load(gallery, rules, exact=exact)
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
            for block in parts.blocks(block_count(len(items))):
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


def _plan(gallery: Gallery, rules: Rules, items: Items, *, exact: bool) -> str:
    options = {name: repr(value) for name, value in asdict(replace(rules, where=None)).items()}
    plan = {
        "gallery": gallery.catalog.gallery_id,
        "state": items.digest,
        "block": BLOCK,
        "exact": exact,
        "where": repr(rules.where),
        **options,
    }
    return json.dumps(plan, indent=2, sort_keys=True)


def _item_count(blocks: list[int], items: int) -> int:
    return sum(min(BLOCK, items - number * BLOCK) for number in blocks)


def _rows(block: Block, items: Items) -> Rows:
    rows = []
    for item, *found in zip(
        block.items.tolist(),
        block.ids.tolist(),
        block.similarities.tolist(),
        block.scores.tolist(),
        strict=True,
    ):
        for rank, (other, similarity, score) in enumerate(zip(*found, strict=True), 1):
            if other >= 0:
                keys = items.keys[item], items.keys[other]
                rows.append((item, keys[0], rank, other, keys[1], similarity, score))
    return rows


class _Parts:
    """Finished blocks in a folder, each a file that is whole or not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, plan: str) -> bool:
        """Make ready for a plan; True when parts of another one had to go."""
        known = self._folder / PLAN
        if known.is_file() and known.read_text(encoding="utf-8", errors="replace") == plan:
            return False
        restarted = self._folder.exists()
        self.end()
        self._folder.mkdir()
        with replacing(self._folder / PLAN) as beside:
            beside.write_text(plan, encoding="utf-8")
        return restarted

    def end(self) -> None:
        """Take everything away."""
        if self._folder.exists():
            # The plan first: what is left by a kill in between then counts for nothing.
            (self._folder / PLAN).unlink(missing_ok=True)
            shutil.rmtree(self._folder)

    def write(self, number: int, block: Block) -> None:
        with replacing(self._folder / _name(number)) as beside, beside.open("wb") as file:
            np.savez(
                file,
                items=block.items,
                ids=block.ids,
                similarities=block.similarities,
                scores=block.scores,
            )

    def read(self, number: int) -> Block | None:
        """A block, or None where it is not finished."""
        try:
            # Opened here: of a damaged file, numpy would leave its own open.
            with (self._folder / _name(number)).open("rb") as file, np.load(file) as data:
                return Block(data["items"], data["ids"], data["similarities"], data["scores"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None  # damaged, say by a crash of the machine: worked out again

    def blocks(self, count: int) -> Iterator[Block]:
        for number in range(count):
            block = self.read(number)
            if block is None:
                raise CbirError(f"{self._folder / _name(number)} is gone; run the command again")
            yield block


def _name(number: int) -> str:
    return f"{number:06}.npz"
