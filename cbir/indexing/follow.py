"""One pass over a source, page by page, and what it tells of images that have gone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import compress
from typing import TypeAlias

import numpy as np

from cbir.catalog.catalog import Catalog
from cbir.indexing.known import Known, Listing
from cbir.indexing.ledger import Ledger
from cbir.indexing.moves import Moves
from cbir.indexing.settle import Outcome, Pending, Twin, compare
from cbir.indexing.workers import Workers, pages
from cbir.sources import Source

PAGE = 1000
"""Images compared with the catalogue by one statement."""

Threads: TypeAlias = "Workers[Pending, Outcome | Twin]"


class Follower:
    """Enters into a ledger what becomes of every image of a source, and of those it has lost."""

    def __init__(
        self, source: Source, catalog: Catalog | None, ledger: Ledger, *, retry_failed: bool
    ) -> None:
        """Without a catalogue every image is new."""
        self._source = source
        self._catalog = catalog
        self._ledger = ledger
        self._retry_failed = retry_failed
        self._known = Known()
        self._moves: Moves | None = None
        self._again: list[Pending] = []

    def look(self, *, force: bool) -> bool:
        """List the source and find what has gone; False when that is too much to go on."""
        listing = Listing(self._source)
        if self._catalog is None:
            return True
        self._known = Known(self._catalog, self._source.uri)
        self._moves = Moves(self._catalog, self._known, listing)
        return force or self._enough(self._moves.possible)

    def is_twin(self, item: Pending, content_hash: bytes) -> bool:
        """Whether an image may be another one, moved. Safe in any thread."""
        return self._moves is not None and self._moves.is_twin(item, content_hash)

    def read(self, workers: Threads) -> None:
        """Compare the whole source with the catalogue, and settle what is new or changed."""
        for number, page in enumerate(pages(self._source, PAGE)):
            if number == 0 and len(page) == PAGE and self._catalog and self._moves is None:
                # To read the source's rows takes longer than to look up a few.
                self._known = Known(self._catalog, self._source.uri)
            unchanged = self._known.unchanged(page)
            self._ledger.pass_over(int(unchanged.sum()))
            left = list(compress(page, np.logical_not(unchanged)))
            if left:
                settled, pending = compare(left, self._catalog, retry_failed=self._retry_failed)
                self._ledger.enter(settled)
                self._settle(pending, workers)
        self._drain(workers)

    def finish(self, workers: Threads, *, force: bool) -> None:
        """Settle who has changed places, then remove what was not found again."""
        if self._moves is None:
            return
        moves, copies = self._moves.close()
        self._ledger.enter(moves)
        self._settle(copies, workers)
        self._drain(workers)
        gone, overwritten = self._moves.left(), self._moves.overwritten
        if not force and not self._enough(len(self._known) - len(gone)):
            gone = []
        self._ledger.remove(gone, overwritten=overwritten)

    def _settle(self, pending: Iterable[Pending], workers: Threads) -> None:
        for chunk in workers.chunks(pending):
            self._enter(workers.exchange(chunk))
            if len(self._again) >= len(chunk):
                again, self._again = self._again, []
                self._enter(workers.exchange(again))

    def _drain(self, workers: Threads) -> None:
        for outcomes in workers.drain():
            self._enter(outcomes)
        while self._again:
            again, self._again = self._again, []
            self._settle(again, workers)
            for outcomes in workers.drain():
                self._enter(outcomes)

    def _enter(self, outcomes: Sequence[Outcome | Twin]) -> None:
        settled: list[Outcome] = []
        for outcome in outcomes:
            sorted_out: Outcome | Twin | Pending | None = outcome
            if isinstance(outcome, Twin):
                assert self._moves is not None
                sorted_out = self._moves.sort_out(outcome)
            if isinstance(sorted_out, Pending):
                self._again.append(sorted_out)
            elif isinstance(sorted_out, Outcome):
                settled.append(sorted_out)
        self._ledger.enter(settled)

    def _enough(self, found: int) -> bool:
        """Whether so many images are still there that the others may be removed."""
        if 2 * found >= len(self._known):
            return True
        self._ledger.refuse(
            f"{self._source.uri}: lists only {found:,} of the {len(self._known):,} images that "
            "the gallery has of it; nothing was removed. If that is right, --force (force=True) "
            "removes the others, and --dry-run --force shows them"
        )
        return False
