"""Indexing: brings a gallery up to date with a source of images, in four stages.

    list ──► compare with the catalogue ──► read, decode, embed ──► write, one transaction a batch
                     │                      (chunks, by an executor)          ▲
                     └──────── unchanged, touched, moved, failed ─────────────┘

1. `listing` yields the entries of the source page by page.
2. `compare` finds the images of a page that are new or may have changed.
3. `process_chunk` reads, decodes and embeds a chunk of them: in threads of this process
   (`local_executor`) or wherever another `executor` sends it.
4. `catalog_sink` commits rows; `plan_sink` records what would be written.

`source_sync` runs the stages. Results are written in the order of the source, which makes a run
reproducible. With `prune`, `moves` finds images that have moved within the source; images that are
no longer listed are removed after everything else is committed.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from os import PathLike

from cbir.config import available_cores
from cbir.embedding import Embedder
from cbir.errors import SourceShrunkError
from cbir.gallery import Gallery
from cbir.images.processes import Decoders
from cbir.indexing.calibration import calibrate
from cbir.indexing.catalog_sink import CatalogSink
from cbir.indexing.executor import (
    EXECUTORS,
    EmbedJob,
    Executor,
    open_executor,
    pending_queue,
    register_executor,
)
from cbir.indexing.key_columns import remember_key_column, with_key_column
from cbir.indexing.left_out import left_out
from cbir.indexing.local_executor import HeaderExecutor, LocalExecutor
from cbir.indexing.plan_sink import PlanSink
from cbir.indexing.process_chunk import EmbedderConfig, embed_chunk
from cbir.indexing.regions import ensure_regions
from cbir.indexing.sink import Limits, ProgressCallback
from cbir.indexing.source_sync import SourceSync
from cbir.sources import Source, open_source
from cbir.types import IndexPlan, IndexReport

__all__ = [
    "EXECUTORS",
    "EmbedJob",
    "EmbedderConfig",
    "Executor",
    "Limits",
    "LocalExecutor",
    "calibrate",
    "embed_chunk",
    "ensure_regions",
    "index_images",
    "plan_images",
    "register_executor",
]

DEFAULT_LIMITS = Limits()


def index_images(
    source: str | PathLike[str] | Source,
    gallery: Gallery,
    *,
    embedder: Embedder | None = None,
    decoders: int | Decoders | None = None,
    executor: str | Executor = "local",
    prune: bool = False,
    force: bool = False,
    retry_failed: bool = False,
    check_content: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    progress: ProgressCallback | None = None,
) -> IndexReport:
    """Bring `gallery` up to date with `source`: embed new and changed images, keep the rest.

    A file counts as unchanged if its size and modification time, or else its content hash, are
    unchanged. One that cannot be read becomes a failure with its reason and is tried again when it
    changes, or at once with `retry_failed`. With `check_content` every image is read and compared
    by its content hash: this finds files that have changed and kept their size and time. After an
    interruption at any point, the next call continues there. `progress` is called with the number
    of entries done so far.

    `executor` embeds: `local`, another registered name, or an executor. `embedder` and `decoders`
    are options of the local one: `decoders` is the number of decoding processes. With 0 the
    embedding threads decode; None is 0 on a CPU and one per core with a GPU.

    With `prune`, an image of this source whose content is now listed under another key is moved
    there, with its id and embedding, and one that is no longer listed is removed at the end. Images
    that are listed but cannot be read now stay.

    Raises SourceError when the source cannot be read at all, or names another `key` than before
    without `prune`; GalleryReadOnlyError for a gallery that can only be read;
    SpecMismatchError when `embedder` is not of the gallery's spec; and
    SourceShrunkError, having removed nothing, when `prune` would leave less than half of the
    source's images and `force` is not given.
    """
    started = time.perf_counter()
    gallery.catalog.check_writable()  # before any work is done in vain
    opened = open_source(source) if isinstance(source, (str, PathLike)) else source
    opened = with_key_column(opened, gallery.catalog, prune=prune)
    worker = _executor(executor, gallery, embedder, decoders)
    sink = CatalogSink(gallery, opened.uri, limits, progress)
    sync = SourceSync(
        opened,
        gallery.catalog,
        sink,
        retry_failed=retry_failed,
        check_content=check_content,
        limits=limits,
    )
    if not prune or sync.list(force=force):
        remember_key_column(opened, gallery.catalog)
        worker.start(EmbedJob(EmbedderConfig(gallery.config), sync.contents))
        try:
            with pending_queue(worker) as queue:
                sync.process(queue)
                sync.prune(queue, force=force)
        except BaseException:
            with suppress(Exception):  # the first error counts
                sink.commit()  # what was embedded before an interruption need not be done again
            raise
        sink.close()
    gallery.update_indexes()
    if sink.refusal:
        raise SourceShrunkError(sink.refusal)
    report = sink.report(time.perf_counter() - started)
    return replace(report, left_out=left_out(opened, gallery.catalog))


def plan_images(
    source: str | PathLike[str] | Source,
    gallery: Gallery | None,
    *,
    prune: bool = False,
    force: bool = False,
    retry_failed: bool = False,
    check_content: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    progress: ProgressCallback | None = None,
) -> IndexPlan:
    """Find what `index_images` would do with the same arguments, without writing or embedding.

    `gallery` is None if it does not exist yet. Of new and changed files only the header is checked:
    an image with damage behind it counts as one to add. Raises SourceError when the source cannot
    be read at all.
    """
    started = time.perf_counter()
    opened = open_source(source) if isinstance(source, (str, PathLike)) else source
    catalog = None if gallery is None else gallery.catalog
    opened = with_key_column(opened, catalog, prune=prune)
    sink = PlanSink(catalog, progress)
    sync = SourceSync(
        opened, catalog, sink, retry_failed=retry_failed, check_content=check_content, limits=limits
    )
    if not prune or sync.list(force=force):
        with pending_queue(HeaderExecutor(sync.contents)) as queue:
            sync.process(queue)
            sync.prune(queue, force=force)
    plan = sink.plan(time.perf_counter() - started)
    return replace(plan, left_out=left_out(opened, None if prune else catalog))


def _executor(
    executor: str | Executor,
    gallery: Gallery,
    embedder: Embedder | None,
    decoders: int | Decoders | None,
) -> Executor:
    """The executor of a run. Raises SpecMismatchError, ValueError for options it does not have."""
    if executor == "local":
        embedder = embedder or gallery.embedder(streams=available_cores())
        gallery.check_spec(embedder.spec, "the embedder")
        return LocalExecutor(embedder=embedder, decoders=decoders)
    if embedder is not None or decoders is not None:
        raise ValueError(
            "embedder and decoders are options of the local executor; "
            "give them to LocalExecutor(...), or leave executor out"
        )
    return open_executor(executor) if isinstance(executor, str) else executor
