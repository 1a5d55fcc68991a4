"""The service behind all routes: the opened gallery and the worker pools."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from fastapi import Request

from cbir.errors import ImageError, NotFoundError
from cbir.gallery import Gallery
from cbir.retrieval import Retriever
from cbir.server.batching_embedder import BatchingEmbedder
from cbir.server.duplicate_search import DuplicateSearch
from cbir.server.index_refresher import IndexRefresher
from cbir.server.metrics import Metrics
from cbir.server.settings import Settings
from cbir.server.thumbnails import Thumbnails
from cbir.server.worker_pool import WorkerPool
from cbir.sources.reading import content_hash, read_uri
from cbir.types import ImageRecord

__all__ = ["Service", "service_of"]

log = logging.getLogger(__name__)

T = TypeVar("T")

QUICK_THREADS = 2
QUICK_WAITING = 512


class Service:
    """An opened gallery with its retriever and worker pools. Raises the errors of
    `Gallery.open`."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.settings = settings
        self.metrics = metrics
        self.gallery = Gallery.open(settings.gallery)
        inner = self.gallery.embedder(
            device=settings.device,
            runtime=settings.runtime,
            precision=settings.precision,
            streams=settings.threads,
        )
        self.embedder = BatchingEmbedder(inner, on_batch=self.metrics.batch)
        # This starts a thread, which would be left behind if anything after it failed.
        self.refresher = IndexRefresher(self.gallery, every_s=settings.refresh_s)
        self.retriever = Retriever(self.gallery, embedder=self.embedder)
        self.thumbnails = Thumbnails(settings.thumbnail_bytes)
        # A search by id takes a millisecond: it must not queue behind uploads, nor an upload
        # behind a page of thumbnails.
        threads = settings.threads
        if inner.parallelism == 1 and settings.workers == 0:
            # The network runs one call at a time; other threads decode meanwhile.
            threads = max(threads, 4)
        self.quick = WorkerPool("quick", threads=QUICK_THREADS, waiting=QUICK_WAITING)
        self.work = WorkerPool("work", threads=threads, waiting=settings.waiting)
        self.pictures = WorkerPool("pictures", threads=threads, waiting=QUICK_WAITING)
        # Writers take turns anyway, and may have to wait for one in another process.
        self.writes = WorkerPool("writes", threads=1, waiting=settings.waiting)
        self.duplicate_search = DuplicateSearch(self.gallery)
        self.retriever.warm_up()
        self.refresher.ready.wait(settings.index_wait_s)
        self._add_gauges()
        log.info("%s, %s", self.gallery.path, self.embedder.describe())

    def close(self) -> None:
        """Let accepted requests finish, then close the gallery."""
        for pool in self._pools:
            pool.close()
        self.duplicate_search.close()
        self.refresher.close()
        self.retriever.close()
        self.gallery.close()

    def content_of(self, image_id: int) -> tuple[ImageRecord, bytes, bool]:
        """An image, the bytes of its file, and whether they are unchanged since indexing.

        Raises NotFoundError when there is no such image, or its file cannot be read.
        """
        record = self.gallery.image(image_id)
        try:
            data = read_uri(record.uri)
        except ImageError as error:
            raise NotFoundError(f"the file of image {image_id} cannot be read: {error}") from error
        return record, data, content_hash(data).hex() == record.content

    def timed(self, work: Callable[[], T]) -> Callable[[], tuple[T, float]]:
        """Wrap work to also return the seconds that it waited for a thread."""
        queued = time.perf_counter()

        def begin() -> tuple[T, float]:
            waited = time.perf_counter() - queued
            return work(), waited

        return begin

    @property
    def _pools(self) -> tuple[WorkerPool, ...]:
        return self.quick, self.work, self.pictures, self.writes

    def _add_gauges(self) -> None:
        add = self.metrics.add_gauge
        add("cbir_images", "Images in the gallery.", {"": self.gallery.count})
        add("cbir_generation", "Changes of vectors.", {"": self.gallery.catalog.generation})
        waiting = {pool.name: partial(getattr, pool, "waiting") for pool in self._pools}
        add("cbir_queue", "Requests waiting for a thread.", waiting)


def service_of(request: Request) -> Service:
    """The service that answers a request."""
    service: Service = request.app.state.service
    return service
