"""Runs the stages of indexing over a source, into the catalogue or into a plan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import compress

import numpy as np

from cbir.catalog.catalog import Catalog
from cbir.errors import SourceError
from cbir.indexing.compare import change_of, compare_page
from cbir.indexing.executor import PendingQueue
from cbir.indexing.listing import KeyListing, list_pages
from cbir.indexing.moves import Moves
from cbir.indexing.process_chunk import ContentSet
from cbir.indexing.sink import Limits, Sink
from cbir.indexing.source_state import SourceState
from cbir.indexing.values import (
    ChunkResult,
    ContentMatch,
    EmbeddedImage,
    ImageChange,
    PendingImage,
)
from cbir.sources import Source

__all__ = ["SourceSync"]


class SourceSync:
    """One run over a source. `list` and `prune` are called only if images may be removed."""

    def __init__(
        self,
        source: Source,
        catalog: Catalog | None,
        sink: Sink,
        *,
        retry_failed: bool,
        check_content: bool,
        limits: Limits,
    ) -> None:
        """Without a catalogue every image is new."""
        self._source = source
        self._catalog = catalog
        self._sink = sink
        self._retry_failed = retry_failed
        self._check_content = check_content
        self._limits = limits
        self._state = SourceState()
        self._moves: Moves | None = None
        self._copies: list[PendingImage] = []

    def list(self, *, force: bool) -> bool:
        """List the keys of the source and find missing images; False if there are too many."""
        listing = KeyListing(self._source)
        if self._catalog is None:
            return True
        self._state = SourceState(self._catalog, self._source.uri)
        self._moves = Moves(self._catalog, self._state, listing)
        return force or self._enough(self._moves.possible)

    @property
    def contents(self) -> ContentSet:
        """The contents of the source's images, which may be found under other keys now."""
        return ContentSet() if self._moves is None else self._state.contents

    def process(self, queue: PendingQueue) -> None:
        """Compare the source with the catalogue; embed and write new and changed images."""
        try:
            self._process_pages(queue)
        except SourceError:  # what it has listed before is written all the same
            self._drain(queue)
            raise
        self._drain(queue)

    def _process_pages(self, queue: PendingQueue) -> None:
        size = self._limits.page
        for number, (page, repeated) in enumerate(list_pages(self._source, size)):
            if number == 0 and len(page) + repeated == size and self._catalog and not self._moves:
                # For a small source, looking up its keys is faster than reading all rows.
                self._state = SourceState(self._catalog, self._source.uri)
            if repeated:
                self._sink.add_repeated(repeated)
            unchanged = self._state.unchanged([] if self._check_content else page)
            self._sink.add_unchanged(int(unchanged.sum()))
            rest = page if self._check_content else list(compress(page, np.logical_not(unchanged)))
            if rest:
                changes, pending = compare_page(
                    rest,
                    self._catalog,
                    retry_failed=self._retry_failed,
                    check_content=self._check_content,
                )
                self._sink.write(changes)
                self._submit(map(self._with_match, pending), queue)

    def prune(self, queue: PendingQueue, *, force: bool) -> None:
        """Move the images that have swapped keys, then remove those that were not found."""
        if self._moves is None:
            return
        moves, copies = self._moves.close()
        self._sink.write(moves)
        self._submit(copies, queue)
        self._drain(queue)
        missing, overwritten = self._moves.left(), self._moves.overwritten
        if not force and not self._enough(len(self._state) - len(missing)):
            missing = []
        self._sink.remove(missing, overwritten=overwritten)

    def _with_match(self, pending: PendingImage) -> PendingImage:
        if self._moves is None or not self._moves.may_match(pending):
            return pending
        return replace(pending, match=True)

    def _submit(self, pending: Iterable[PendingImage], queue: PendingQueue) -> None:
        for chunk in queue.chunks(pending):
            self._take(queue.exchange(chunk))
            if len(self._copies) >= len(chunk):
                copies, self._copies = self._copies, []
                self._take(queue.exchange(copies))

    def _drain(self, queue: PendingQueue) -> None:
        for results in queue.drain():
            self._take(results)
        while self._copies:
            copies, self._copies = self._copies, []
            self._submit(copies, queue)
            for results in queue.drain():
                self._take(results)

    def _take(self, results: Sequence[tuple[PendingImage, ChunkResult]]) -> None:
        changes: list[ImageChange] = []
        for pending, result in results:
            change: ImageChange | ContentMatch | PendingImage | None
            change = self._matched(pending, result) or change_of(pending, result)
            if isinstance(change, ContentMatch):
                assert self._moves is not None
                change = self._moves.resolve(change)
            if isinstance(change, PendingImage) and change.embedded is not None:
                change = change_of(change, change.embedded)
            if isinstance(change, PendingImage):
                self._copies.append(change)
            elif isinstance(change, ImageChange):
                changes.append(change)
        self._sink.write(changes)

    def _matched(self, pending: PendingImage, result: ChunkResult) -> ContentMatch | None:
        """The match of an image whose executor has embedded it without looking for a match."""
        if not pending.match or not isinstance(result, EmbeddedImage):
            return None
        if result.content_hash not in self.contents:
            return None
        return ContentMatch(pending, result.content_hash, result.version, result)

    def _enough(self, remaining: int) -> bool:
        """Whether enough images remain that the others may be removed."""
        if 2 * remaining >= len(self._state):
            return True
        self._sink.refuse(
            f"{self._source.uri}: lists only {remaining:,} of the {len(self._state):,} images that "
            "the gallery has of it; nothing was removed. If that is right, --force (force=True) "
            "removes the others, and --dry-run --force shows them"
        )
        return False
