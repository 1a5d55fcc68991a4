"""Finds images that have moved within a source; the other missing images are removed."""

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
    """Finds the new keys of moved images.

    An image is missing when its key is no longer listed, or has other content now. It moves to the
    key where its content is found; its id and embedding stay.
    """

    def __init__(self, catalog: Catalog, state: SourceState, listing: KeyListing) -> None:
        self._catalog = catalog
        self._state = state
        self._waiting: list[ContentMatch] = []
        self._missing: Mask = ~listing.contains(state.keys)
        new = len(listing) - (len(state) - int(self._missing.sum()))
        self._keep_unreadable(listing)
        self._taken: Mask = np.zeros(len(state), np.bool_)
        self._overwritten: list[int] = []
        lost = int(self._missing.sum())
        self.possible = len(state) - lost + min(lost, new)
        """Number of images that remain if as many as possible have moved, by the listing alone."""

    def _keep_unreadable(self, listing: KeyListing) -> None:
        """Keep images below folders that cannot be listed now: they may still exist."""
        folders = {uri_to_path(folder).rstrip("/") for folder in listing.unreadable}
        missing = np.flatnonzero(self._missing)
        for start in range(0, len(missing) if folders else 0, PAGE):
            part = missing[start : start + PAGE]
            records = self._catalog.records(self._state.ids[part].tolist())
            for place in part:
                record = records.get(int(self._state.ids[place]))
                if record is not None and below(record.uri, folders):
                    self._missing[place] = False

    def may_match(self, pending: PendingImage) -> bool:
        """Whether an image may be a moved one of this source.

        Not if its key belongs to another source's image, which must not be replaced.
        """
        return pending.indexed is None or self._state.position(pending.indexed.id) is not None

    def resolve(self, match: ContentMatch) -> ImageChange | PendingImage | None:
        """A move, a copy to be embedded, or None if this can only be decided at the end."""
        places = self._state.with_content(match.content_hash)
        free = places[self._missing[places] & ~self._taken[places]]
        if match.indexed is None and len(free):
            return self._move(match, int(free[0]))
        if (self._state.confirmed[places] | self._taken[places]).all():
            return match.as_copy(match.indexed)
        self._waiting.append(match)
        return None

    def close(self) -> tuple[list[ImageChange], list[PendingImage]]:
        """Resolve the rest at the end of the source: moves, to be written together, and copies.

        The moves include images that have swapped keys (a ↔ b; a → b, b → c).
        """
        displaced = {match.indexed.id for match in self._waiting if match.indexed is not None}
        free: dict[bytes, deque[int]] = defaultdict(deque)
        for content in {match.content_hash for match in self._waiting}:
            for place in self._state.with_content(content).tolist():
                lost = self._missing[place] or int(self._state.ids[place]) in displaced
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
            m.indexed.id for m in moved if m.indexed and not self._has_moved(m.indexed.id)
        ]
        pending = [
            c.as_copy(None if c.indexed and self._has_moved(c.indexed.id) else c.indexed)
            for c in copies
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
        """Ids of images whose key a moved image has taken; that move removes them."""
        return self._overwritten

    def left(self) -> list[int]:
        """Ids of the images that have to be removed."""
        ids: list[int] = self._state.ids[self._missing & ~self._taken].tolist()
        return ids
