"""Stage 4: commits the changes of a run to the catalogue."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from cbir.catalog.metadata.values import utf8
from cbir.catalog.rows import Batch, FailureRow, ImageRow, TouchedRow
from cbir.errors import CbirError, reason_of
from cbir.gallery import Gallery
from cbir.indexing.sink import Limits, ProgressCallback
from cbir.indexing.source_state import below
from cbir.indexing.values import ChangeKind, ImageChange
from cbir.sources import uri_to_path
from cbir.types import FailedImage, IndexReport, RemarkKind

__all__ = ["CatalogSink"]


class CatalogSink:
    """Counts changes and commits their rows, a few hundred per transaction.

    A full batch is committed by a thread, while the run goes on with the next; at most one is.
    """

    def __init__(
        self, gallery: Gallery, source: str, limits: Limits, progress: ProgressCallback | None
    ) -> None:
        """`source` is the URI of the source that the images come from."""
        self._gallery = gallery
        self._source = source
        self._limits = limits
        self._progress = progress
        self._repeated = 0
        self._changes: list[ImageChange] = []
        """Counted, and not committed yet."""
        self._committed_at = time.monotonic()
        self._writer: ThreadPoolExecutor | None = None
        self._committing: tuple[Sequence[ImageChange], Future[None]] | None = None
        """Changes that the thread commits at present."""
        self._counts: Counter[ChangeKind] = Counter()
        self._removed = 0
        self._failed: list[FailedImage] = []
        self._remarks: Counter[RemarkKind] = Counter()
        self.refusal = ""
        """Why removal was refused; empty otherwise."""

    def add_unchanged(self, count: int) -> None:
        self._counts["unchanged"] += count
        self._report()

    def add_repeated(self, count: int) -> None:
        self._repeated += count
        self._report()

    def write(self, changes: Sequence[ImageChange]) -> None:
        for change in changes:
            self._counts[change.kind] += 1
            if change.failure is not None:
                self._failed.append(change.failure)
            if isinstance(change.row, ImageRow):
                self._remarks.update(remark.kind for remark in change.row.remarks)
            if change.row is not None:
                self._changes.append(change)
        late = time.monotonic() - self._committed_at > self._limits.commit_seconds
        if len(self._changes) >= self._limits.commit_rows:
            self._commit_meanwhile()
        elif late and self._changes:
            self.commit()
        if changes:
            self._report()

    def remove(self, ids: Sequence[int], *, overwritten: Sequence[int] = ()) -> None:
        self.commit()
        self._removed += len(overwritten)
        rows = self._limits.remove_rows
        for start in range(0, len(ids), rows):
            part = ids[start : start + rows]
            self._removed += self._gallery.catalog.remove(part, source=self._source)

    def refuse(self, reason: str) -> None:
        self.refusal = reason

    def close(self) -> None:
        """Commit the rest, and delete the failures of images that the source no longer lists."""
        self.commit()
        failing = {failure.key for failure in self._failed}
        folders = {uri_to_path(failure.uri) for failure in self._failed}
        stored = self._gallery.catalog.failures(source=self._source)
        outdated = [f.key for f in stored if f.key not in failing and not below(f.uri, folders)]
        if outdated:
            self._gallery.catalog.remove_failures(outdated)

    def report(self, seconds: float) -> IndexReport:
        """The report of the changes written."""
        return IndexReport(
            added=self._counts["added"],
            updated=self._counts["updated"] + self._counts["touched"],
            unchanged=self._counts["unchanged"],
            removed=self._removed,
            moved=self._counts["moved"],
            repeated=self._repeated,
            failed=tuple(self._failed),
            seconds=seconds,
            remarks=dict(sorted(self._remarks.items())),
        )

    def commit(self) -> None:
        """Commit the changes that were given so far."""
        self._join()
        changes, self._changes = self._changes, []
        try:
            self._gallery.write(self._source, _batch(changes))
        except CbirError:
            raise  # the gallery cannot be written at all
        except Exception:
            self._commit_one_by_one(changes)
        self._committed_at = time.monotonic()

    def _commit_meanwhile(self) -> None:
        """Begin to commit the changes given so far, once those before are committed."""
        self._join()
        changes, self._changes = self._changes, []
        if self._writer is None:
            self._writer = ThreadPoolExecutor(1, "cbir-write")
        future = self._writer.submit(self._gallery.write, self._source, _batch(changes))
        self._committing = changes, future
        self._committed_at = time.monotonic()

    def _join(self) -> None:
        """Wait until the thread has committed its changes."""
        if self._committing is None:
            return
        (changes, future), self._committing = self._committing, None
        try:
            future.result()
        except CbirError:
            raise
        except Exception:
            self._commit_one_by_one(changes)

    def _commit_one_by_one(self, changes: Sequence[ImageChange]) -> None:
        """Commit each change by itself; one that no database takes becomes a failure."""
        moved = [change for change in changes if change.kind == "moved"]
        self._gallery.write(self._source, _batch(moved))  # together: they may swap keys
        for change in changes:
            if change.kind == "moved":
                continue
            try:
                self._gallery.write(self._source, _batch([change]))
            except Exception as error:
                self._fail(change, reason_of(error, change.name))

    def _fail(self, change: ImageChange, reason: str) -> None:
        """Record a change that was counted and could not be written as a failure."""
        if change.failure is None and change.row is not None:
            self._counts[change.kind] -= 1
            self._counts["failed"] += 1
            row = FailureRow(utf8(change.row.key), utf8(change.row.uri), reason, None)
            failure = FailedImage(row.uri, reason, row.key)
            self._failed.append(failure)
            self._gallery.write(
                self._source, _batch([ImageChange("failed", change.name, row, failure)])
            )

    def _report(self) -> None:
        if self._progress is not None:
            self._progress(self._counts.total() + self._repeated)


def _batch(changes: Sequence[ImageChange]) -> Batch:
    """The rows of changes. A source may fail twice at one key; the last reason is stored."""
    batch = Batch()
    for change in changes:
        if change.kind == "moved" and isinstance(change.row, TouchedRow):
            batch.moved.append(change.row)
        elif change.row is not None:
            batch.add(change.row)
    batch.failures = list({row.key: row for row in batch.failures}.values())
    return batch
