"""From a source of images to a gallery: decide what is new, embed it, commit it.

    source ─ pages ─► compare with the catalogue ─ chunks ─► worker threads: read, decode, embed
                                    │                                   │
                                    └── unchanged, failed ──► batch ◄───┘ ──► one transaction

Each worker takes a chunk all the way through, so that no core waits for another; what lies behind
a network is read ahead by threads of its own. Chunks are committed in the order of the source,
which makes a run repeatable. What has gone from the source is looked for at other places of it
(`moves`), and removed when everything else is committed.
"""

from __future__ import annotations

import time
from functools import partial
from os import PathLike

from cbir.config import available_cores
from cbir.embedding import Embedder
from cbir.errors import SourceShrunkError
from cbir.gallery import Gallery
from cbir.images.processes import Decoders
from cbir.indexing.calibration import calibrate
from cbir.indexing.crew import EmbeddingCrew, ExaminingCrew
from cbir.indexing.follow import Follower
from cbir.indexing.keys import keyed, remember
from cbir.indexing.ledger import GalleryLedger, PlanLedger, Progress
from cbir.indexing.read_ahead import ReadAhead
from cbir.indexing.regions import ensure_regions
from cbir.indexing.settle import examine, settle
from cbir.indexing.workers import Workers
from cbir.sources import Source, open_source
from cbir.types import IndexPlan, IndexReport

__all__ = ["calibrate", "ensure_regions", "index_images", "plan_images"]


def index_images(
    source: str | PathLike[str] | Source,
    gallery: Gallery,
    *,
    embedder: Embedder | None = None,
    decoders: int | Decoders | None = None,
    prune: bool = False,
    force: bool = False,
    retry_failed: bool = False,
    progress: Progress | None = None,
) -> IndexReport:
    """Bring `gallery` up to `source`: embed what is new or changed, leave the rest.

    A file is unchanged when its size and time stamp are, or else when its content hash is. One
    that cannot be read becomes a failure with its reason and is tried again when it changes, or
    at once with `retry_failed`. Interrupted at any point, the next call goes on from there.
    `progress` is called with the number of images dealt with so far.

    `decoders` is how many processes decode: 0 leaves it to the threads that embed, None is that on
    a CPU, and as many as there are cores before a GPU.

    With `prune`, the gallery follows the source: an image of this source whose content now stands
    under another key is moved there, with its id and embedding, and one that is no longer listed
    is removed at the end. What is listed but cannot be read now stays.

    Raises SourceError when the source cannot be read at all, or names another `key` than before
    without `prune`, SpecMismatchError when `embedder`
    is not of the gallery's spec, and SourceShrunkError, having removed nothing, when `prune`
    would leave less than half of the source's images and `force` is not given.
    """
    started = time.perf_counter()
    opened = open_source(source) if isinstance(source, (str, PathLike)) else source
    opened = keyed(opened, gallery.catalog, prune=prune)
    embedder = embedder or gallery.embedder(streams=available_cores())
    gallery.check_spec(embedder.spec, "the embedder")
    ledger = GalleryLedger(gallery, opened.uri, progress)
    follower = Follower(opened, gallery.catalog, ledger, retry_failed=retry_failed)
    if not prune or follower.look(force=force):
        remember(opened, gallery.catalog)
        crew = EmbeddingCrew(embedder, decoders, regions=len(gallery.config.regions))
        work = partial(
            settle,
            embedder=embedder,
            is_twin=follower.is_twin,
            decode=crew.decode,
            regions=gallery.config.regions,
        )
        with crew, Workers(work, crew, ahead=ReadAhead()) as workers:
            follower.read(workers)
            follower.finish(workers, force=force)
        ledger.close()
    gallery.update_indexes()
    if ledger.refusal:
        raise SourceShrunkError(ledger.refusal)
    return IndexReport(
        added=ledger.counts["added"],
        updated=ledger.counts["updated"] + ledger.counts["touched"],
        unchanged=ledger.counts["unchanged"],
        removed=ledger.removed,
        moved=ledger.counts["moved"],
        failed=tuple(ledger.failed),
        seconds=time.perf_counter() - started,
    )


def plan_images(
    source: str | PathLike[str] | Source,
    gallery: Gallery | None,
    *,
    prune: bool = False,
    force: bool = False,
    retry_failed: bool = False,
    progress: Progress | None = None,
) -> IndexPlan:
    """What `index_images` would do with the same arguments; nothing is written or embedded.

    `gallery` is None where there is none yet. New and changed files are read, and only so far
    that damage behind a file's header is not met: such an image counts as one to add. Raises
    SourceError when the source cannot be read at all.
    """
    started = time.perf_counter()
    opened = open_source(source) if isinstance(source, (str, PathLike)) else source
    catalog = None if gallery is None else gallery.catalog
    opened = keyed(opened, catalog, prune=prune)
    ledger = PlanLedger(catalog, progress)
    follower = Follower(opened, catalog, ledger, retry_failed=retry_failed)
    work = partial(examine, is_twin=follower.is_twin)
    if not prune or follower.look(force=force):
        with Workers(work, ExaminingCrew(), ahead=ReadAhead()) as workers:
            follower.read(workers)
            follower.finish(workers, force=force)
    return ledger.plan(time.perf_counter() - started)
