"""Stage 4 of a plan: collects the changes that a run would write."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from cbir.catalog.catalog import Catalog
from cbir.catalog.rows import TouchedRow
from cbir.indexing.sink import ProgressCallback
from cbir.indexing.values import ChangeKind, ImageChange
from cbir.types import FailedImage, IndexPlan

__all__ = ["PlanSink"]


class PlanSink:
    """Collects the changes of a run in an IndexPlan."""

    def __init__(self, catalog: Catalog | None, progress: ProgressCallback | None) -> None:
        self._catalog = catalog
        self._progress = progress
        self._done = 0
        self._unchanged = 0
        self._repeated = 0
        self._names: defaultdict[ChangeKind, list[str]] = defaultdict(list)
        self._moves: list[tuple[int, str]] = []
        self._removed: list[int] = []
        self._failed: list[FailedImage] = []
        self._refusal = ""

    def add_unchanged(self, count: int) -> None:
        self._unchanged += count
        self._report(count)

    def add_repeated(self, count: int) -> None:
        self._repeated += count
        self._report(count)

    def write(self, changes: Sequence[ImageChange]) -> None:
        for change in changes:
            if change.failure is not None:
                self._failed.append(change.failure)
            elif change.kind == "unchanged":
                self._unchanged += 1
            elif change.kind == "moved" and isinstance(change.row, TouchedRow):
                self._moves.append((change.row.id, change.name))
            else:
                self._names[change.kind].append(change.name)
        self._report(len(changes))

    def remove(self, ids: Sequence[int], *, overwritten: Sequence[int] = ()) -> None:
        self._removed = sorted([*ids, *overwritten])

    def refuse(self, reason: str) -> None:
        self._refusal = reason

    def plan(self, seconds: float) -> IndexPlan:
        """The plan of all changes."""
        before = self._names_of([image_id for image_id, _ in self._moves])
        names = self._names_of(self._removed)
        return IndexPlan(
            add=tuple(self._names["added"]),
            update=tuple(self._names["updated"]),
            touch=tuple(self._names["touched"]),
            move=tuple((before[image_id], name) for image_id, name in self._moves),
            remove=tuple(names[image_id] for image_id in self._removed),
            fail=tuple(self._failed),
            unchanged=self._unchanged,
            repeated=self._repeated,
            refusal=self._refusal,
            seconds=seconds,
        )

    def _names_of(self, ids: Sequence[int]) -> dict[int, str]:
        records = {} if self._catalog is None else self._catalog.records(ids)
        return {i: records[i].name if i in records else f"id:{i}" for i in ids}

    def _report(self, count: int) -> None:
        self._done += count
        if self._progress is not None and count:
            self._progress(self._done)
