"""Images that a source no longer has at their place: moved elsewhere, or to be removed."""

from __future__ import annotations

from collections import defaultdict, deque

import numpy as np

from cbir.catalog.catalog import Catalog
from cbir.catalog.rows import TouchedRow
from cbir.indexing.known import Known, Listing, Mask, below
from cbir.indexing.settle import Outcome, Pending, Twin
from cbir.sources import uri_to_path

PAGE = 1000


class Moves:
    """Finds the new place of images that have lost theirs.

    An image has lost its place when its key is no longer listed, or when another image's content
    stands there. Where its own content turns up, it goes: its id and embedding stay as they are.
    """

    def __init__(self, catalog: Catalog, known: Known, listing: Listing) -> None:
        self._catalog = catalog
        self._known = known
        self._waiting: list[Twin] = []
        self._gone: Mask = ~listing.holds(known.keys)
        new = len(listing) - (len(known) - int(self._gone.sum()))
        self._keep_unreadable(listing)
        self._taken: Mask = np.zeros(len(known), np.bool_)
        self._overwritten: list[int] = []
        lost = int(self._gone.sum())
        self.possible = len(known) - lost + min(lost, new)
        """How many of the images may be found again at best, going by the listing alone."""

    def _keep_unreadable(self, listing: Listing) -> None:
        """An image below a folder that cannot be listed now is not known to be gone."""
        folders = {uri_to_path(folder).rstrip("/") for folder in listing.unreadable}
        gone = np.flatnonzero(self._gone)
        for start in range(0, len(gone) if folders else 0, PAGE):
            part = gone[start : start + PAGE]
            records = self._catalog.records(self._known.ids[part].tolist())
            for place in part:
                record = records.get(int(self._known.ids[place]))
                if record is not None and below(record.uri, folders):
                    self._gone[place] = False

    def is_twin(self, item: Pending, content_hash: bytes) -> bool:
        """Whether the content is that of another image of this source. Safe in any thread."""
        if item.known is not None and self._known.position(item.known.id) is None:
            return False  # another source's image: its place is not ours to give away
        return len(self._known.with_content(content_hash)) > 0

    def sort_out(self, twin: Twin) -> Outcome | Pending | None:
        """A moved image, a copy that must be embedded, or None: the end of the run will tell."""
        places = self._known.with_content(twin.content_hash)
        free = places[self._gone[places] & ~self._taken[places]]
        if twin.known is None and len(free):
            return self._move(twin, int(free[0]))
        if (self._known.confirmed[places] | self._taken[places]).all():
            return Pending(twin.image, twin.known, compared=True)
        self._waiting.append(twin)
        return None

    def close(self) -> tuple[list[Outcome], list[Pending]]:
        """What is left when the source has been read: moves, to be written at once, and copies.

        Images that have changed places among each other (a ↔ b; a → b, b → c) are among them.
        """
        displaced = {twin.known.id for twin in self._waiting if twin.known is not None}
        free: dict[bytes, deque[int]] = defaultdict(deque)
        for content in {twin.content_hash for twin in self._waiting}:
            for place in self._known.with_content(content).tolist():
                lost = self._gone[place] or int(self._known.ids[place]) in displaced
                if lost and not self._taken[place]:
                    free[content].append(place)
        moves, moved, copies = [], [], []
        for twin in self._waiting:
            if free[twin.content_hash]:
                moves.append(self._move(twin, free[twin.content_hash].popleft()))
                moved.append(twin)
            else:
                copies.append(twin)
        self._overwritten = [
            t.known.id for t in moved if t.known and not self._has_moved(t.known.id)
        ]
        pending = [
            Pending(t.image, None if t.known and self._has_moved(t.known.id) else t.known, True)
            for t in copies
        ]
        self._waiting = []
        return moves, pending

    def _move(self, twin: Twin, place: int) -> Outcome:
        self._taken[place] = True
        image = twin.image
        row = TouchedRow(
            int(self._known.ids[place]),
            image.identity,
            image.uri,
            image.name,
            twin.version,
            image.metadata,
        )
        return Outcome("moved", image.name, row)

    def _has_moved(self, image_id: int) -> bool:
        place = self._known.position(image_id)
        return place is not None and bool(self._taken[place])

    @property
    def overwritten(self) -> list[int]:
        """Ids of the images whose place went to another one; they are gone with that move."""
        return self._overwritten

    def left(self) -> list[int]:
        """Ids of the images that are to be removed."""
        ids: list[int] = self._known.ids[self._gone & ~self._taken].tolist()
        return ids
