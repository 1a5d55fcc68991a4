"""Where the outcomes of a run go: into the catalogue, or into a plan."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Protocol

from cbir.catalog.catalog import Catalog
from cbir.catalog.rows import Batch, TouchedRow
from cbir.gallery import Gallery
from cbir.indexing.known import below
from cbir.indexing.settle import Outcome, Verdict
from cbir.sources import uri_to_path
from cbir.types import FailedImage, IndexPlan

COMMIT_ROWS = 256
COMMIT_SECONDS = 5.0
"""A kill costs at most the work since the last commit."""
REMOVE_ROWS = 1000
"""Images removed by one transaction."""

Progress = Callable[[int], None]


class Ledger(Protocol):
    """Keeps account of a run."""

    def pass_over(self, count: int) -> None:
        """So many images are as they were."""

    def enter(self, outcomes: Sequence[Outcome]) -> None:
        """What became of some images; moves that are entered together happen together."""

    def remove(self, ids: Sequence[int], *, overwritten: Sequence[int] = ()) -> None:
        """These images have gone; the overwritten ones with the move of another one already."""

    def refuse(self, reason: str) -> None:
        """Images have gone, too many to remove them."""


class GalleryLedger:
    """Counts outcomes and commits their rows, a transaction for every few hundred."""

    def __init__(self, gallery: Gallery, source: str, progress: Progress | None) -> None:
        self._gallery = gallery
        self._source = source
        self._progress = progress
        self._batch = Batch()
        self._committed_at = time.monotonic()
        self.counts: Counter[Verdict] = Counter()
        self.removed = 0
        self.failed: list[FailedImage] = []
        self.refusal = ""

    def pass_over(self, count: int) -> None:
        self.counts["unchanged"] += count
        self._report()

    def enter(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self.counts[outcome.verdict] += 1
            if outcome.failure is not None:
                self.failed.append(outcome.failure)
            if outcome.verdict == "moved" and isinstance(outcome.row, TouchedRow):
                self._batch.moved.append(outcome.row)
            elif outcome.row is not None:
                self._batch.add(outcome.row)
        late = time.monotonic() - self._committed_at > COMMIT_SECONDS
        if len(self._batch) >= COMMIT_ROWS or (late and self._batch):
            self._commit()
        if outcomes:
            self._report()

    def remove(self, ids: Sequence[int], *, overwritten: Sequence[int] = ()) -> None:
        self._commit()
        self.removed += len(overwritten)
        for start in range(0, len(ids), REMOVE_ROWS):
            part = ids[start : start + REMOVE_ROWS]
            self.removed += self._gallery.catalog.remove(part, source=self._source)

    def refuse(self, reason: str) -> None:
        self.refusal = reason

    def close(self) -> None:
        """Commit the rest, and forget the failures of images that the source no longer has."""
        self._commit()
        still = {failure.key for failure in self.failed}
        folders = {uri_to_path(failure.uri) for failure in self.failed}
        listed = self._gallery.catalog.failures(source=self._source)
        gone = [f.key for f in listed if f.key not in still and not below(f.uri, folders)]
        if gone:
            self._gallery.catalog.forget_failures(gone)

    def _commit(self) -> None:
        self._gallery.write(self._source, self._batch)
        self._batch = Batch()
        self._committed_at = time.monotonic()

    def _report(self) -> None:
        if self._progress is not None:
            self._progress(self.counts.total())


class PlanLedger:
    """Writes down what would be done, and does nothing."""

    def __init__(self, catalog: Catalog | None, progress: Progress | None) -> None:
        self._catalog = catalog
        self._progress = progress
        self._done = 0
        self._unchanged = 0
        self._names: defaultdict[Verdict, list[str]] = defaultdict(list)
        self._moves: list[tuple[int, str]] = []
        self._removed: list[int] = []
        self._failed: list[FailedImage] = []
        self._refusal = ""

    def pass_over(self, count: int) -> None:
        self._unchanged += count
        self._report(count)

    def enter(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            if outcome.failure is not None:
                self._failed.append(outcome.failure)
            elif outcome.verdict == "unchanged":
                self._unchanged += 1
            elif outcome.verdict == "moved" and isinstance(outcome.row, TouchedRow):
                self._moves.append((outcome.row.id, outcome.name))
            else:
                self._names[outcome.verdict].append(outcome.name)
        self._report(len(outcomes))

    def remove(self, ids: Sequence[int], *, overwritten: Sequence[int] = ()) -> None:
        self._removed = sorted([*ids, *overwritten])

    def refuse(self, reason: str) -> None:
        self._refusal = reason

    def plan(self, seconds: float) -> IndexPlan:
        """All that was entered."""
        before = self._names_of([image_id for image_id, _ in self._moves])
        gone = self._names_of(self._removed)
        return IndexPlan(
            add=tuple(self._names["added"]),
            update=tuple(self._names["updated"]),
            touch=tuple(self._names["touched"]),
            move=tuple((before[image_id], name) for image_id, name in self._moves),
            remove=tuple(gone[image_id] for image_id in self._removed),
            fail=tuple(self._failed),
            unchanged=self._unchanged,
            refusal=self._refusal,
            seconds=seconds,
        )

    def _names_of(self, ids: Sequence[int]) -> dict[int, str]:
        found = {} if self._catalog is None else self._catalog.records(ids)
        return {i: found[i].name if i in found else f"id:{i}" for i in ids}

    def _report(self, count: int) -> None:
        self._done += count
        if self._progress is not None and count:
            self._progress(self._done)
