"""Finds where images that are gone from their place have moved to; the others are to be removed."""

from __future__ import annotations

from collections import defaultdict, deque

import numpy as np

from cbir.catalog.catalog import Catalog
from cbir.catalog.rows import TouchedRow
from cbir.indexing.listing import KeyListing, Mask
from cbir.indexing.source_state import SourceState, below
from cbir.indexing.values import ContentMatch, ImageChange, PendingImage
from cbir.sources import uri_to_path

PAGE = 1000


class Moves:
    """Finds the new place of images that have lost theirs.

    An image has lost its place when its key is no longer listed, or when that key has another
    content now. It moves to where its own content is found; its id and embedding stay.
    """

    def __init__(self, catalog: Catalog, state: SourceState, listing: KeyListing) -> None:
        self._catalog = catalog
        self._state = state
        self._waiting: list[ContentMatch] = []
        self._gone: Mask = ~listing.contains(state.keys)
        new = len(listing) - (len(state) - int(self._gone.sum()))
        self._keep_unreadable(listing)
        self._taken: Mask = np.zeros(len(state), np.bool_)
        self._overwritten: list[int] = []
        lost = int(self._gone.sum())
        self.possible = len(state) - lost + min(lost, new)
        """Number of images that may be found again at best, judging by the listing alone."""

    def _keep_unreadable(self, listing: KeyListing) -> None:
        """An image below a folder that cannot be listed now is not known to be gone."""
        folders = {uri_to_path(folder).rstrip("/") for folder in listing.unreadable}
        gone = np.flatnonzero(self._gone)
        for start in range(0, len(gone) if folders else 0, PAGE):
            part = gone[start : start + PAGE]
            records = self._catalog.records(self._state.ids[part].tolist())
            for place in part:
                record = records.get(int(self._state.ids[place]))
                if record is not None and below(record.uri, folders):
                    self._gone[place] = False

    def may_match(self, pending: PendingImage) -> bool:
        """Whether an image may be another one of the source that has moved here.

        Not if it is another source's image now: that is not ours to replace.
        """
        return pending.known is None or self._state.position(pending.known.id) is not None

    def resolve(self, match: ContentMatch) -> ImageChange | PendingImage | None:
        """A move, a copy that has to be embedded, or None: that is known at the end of the run."""
        places = self._state.with_content(match.content_hash)
        free = places[self._gone[places] & ~self._taken[places]]
        if match.known is None and len(free):
            return self._move(match, int(free[0]))
        if (self._state.confirmed[places] | self._taken[places]).all():
            return match.as_copy(match.known)
        self._waiting.append(match)
        return None

    def close(self) -> tuple[list[ImageChange], list[PendingImage]]:
        """The rest, once the source has been read: moves, to be written together, and copies.

        Images that have exchanged places (a ↔ b; a → b, b → c) are among the moves.
        """
        displaced = {match.known.id for match in self._waiting if match.known is not None}
        free: dict[bytes, deque[int]] = defaultdict(deque)
        for content in {match.content_hash for match in self._waiting}:
            for place in self._state.with_content(content).tolist():
                lost = self._gone[place] or int(self._state.ids[place]) in displaced
                if lost and not self._taken[place]:
                    free[content].append(place)
        moves, moved, copies = [], [], []
        for match in self._waiting:
            if free[match.content_hash]:
                moves.append(self._move(match, free[match.content_hash].popleft()))
                moved.append(match)
            else:
                copies.append(match)
        self._overwritten = [
            m.known.id for m in moved if m.known and not self._has_moved(m.known.id)
        ]
        pending = [
            copy.as_copy(None if copy.known and self._has_moved(copy.known.id) else copy.known)
            for copy in copies
        ]
        self._waiting = []
        return moves, pending

    def _move(self, match: ContentMatch, place: int) -> ImageChange:
        self._taken[place] = True
        image = match.image
        row = TouchedRow(
            int(self._state.ids[place]),
            image.identity,
            image.uri,
            image.name,
            match.version,
            image.metadata,
        )
        return ImageChange("moved", image.name, row)

    def _has_moved(self, image_id: int) -> bool:
        place = self._state.position(image_id)
        return place is not None and bool(self._taken[place])

    @property
    def overwritten(self) -> list[int]:
        """Ids of images whose place another one has taken; they are removed with that move."""
        return self._overwritten

    def left(self) -> list[int]:
        """Ids of the images that have to be removed."""
        ids: list[int] = self._state.ids[self._gone & ~self._taken].tolist()
        return ids
