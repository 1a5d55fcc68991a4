"""Embeds the regions of images that were indexed before their gallery had regions."""

from __future__ import annotations

from collections.abc import Sequence

from cbir.catalog.rows import RegionRow
from cbir.config import available_cores
from cbir.embedding import Embedder
from cbir.embedding.encoded import DecodeAll, embed_encoded
from cbir.errors import reason_of
from cbir.gallery import Gallery
from cbir.images import DecodeOptions
from cbir.images.processes import Decoders
from cbir.indexing.executor import ChunkQueue
from cbir.indexing.local_executor import CHUNK, EmbeddingThreads
from cbir.indexing.sink import ProgressCallback
from cbir.sources.reading import read_indexed
from cbir.types import FailedImage

__all__ = ["ensure_regions"]

Result = RegionRow | FailedImage


def ensure_regions(
    gallery: Gallery,
    *,
    embedder: Embedder | None = None,
    decoders: int | Decoders | None = None,
    chunk: int = CHUNK,
    progress: ProgressCallback | None = None,
) -> list[FailedImage]:
    """Embed the missing regions of a gallery's images; returns images that could not be read.

    Does nothing in a gallery without regions. Each chunk is committed, so that the next call
    continues after an interruption. A file that has changed since it was indexed fails: the next
    `index_images` embeds it with its regions. `decoders` is as in `index_images`, `chunk` is the
    number of images in a chunk, and `progress` is called with the number of images done so far, of
    those in `Catalog.without_regions`.
    """
    missing = gallery.catalog.without_regions() if gallery.config.regions else []
    if not missing:
        return []
    opened = embedder or gallery.embedder(streams=available_cores())
    gallery.check_spec(opened.spec, "the embedder")
    failed: list[FailedImage] = []
    done = 0

    def embed(ids: Sequence[int]) -> list[tuple[Result, ...]]:
        return _embed_regions(ids, gallery, opened, threads.decode_all)

    def write(results: Sequence[tuple[int, tuple[Result, ...]]]) -> None:
        nonlocal done
        outcomes = [outcome for _, group in results for outcome in group]
        gallery.catalog.write_regions([row for row in outcomes if isinstance(row, RegionRow)])
        failed.extend(failure for failure in outcomes if isinstance(failure, FailedImage))
        done += len(results)
        if progress is not None:
            progress(done)

    threads = EmbeddingThreads(
        embed, opened, decoders=decoders, regions=len(gallery.config.regions), chunk=chunk
    )
    with ChunkQueue(threads) as queue:
        for ids in queue.chunks(missing):
            write(queue.exchange(ids))
        for results in queue.drain():
            write(results)
    gallery.update_indexes()
    return failed


def _embed_regions(
    ids: Sequence[int], gallery: Gallery, embedder: Embedder, decode_all: DecodeAll
) -> list[tuple[Result, ...]]:
    """Embed the regions of a chunk of images, in a worker thread.

    The results are in the order of `ids`: tuples of one element, or empty if the image has just
    been removed.
    """
    spec, config = embedder.spec, gallery.config
    regions = config.regions
    options = DecodeOptions(spec.preprocessing, spec.views, regions, config.ground)
    records = gallery.catalog.records(ids)
    indexed_images = gallery.catalog.indexed_images([record.key for record in records.values()])
    results: dict[int, Result] = {}
    read = []
    for record in records.values():
        if record.key not in indexed_images:
            continue
        indexed = indexed_images[record.key].content_hash
        try:
            read.append((record, indexed, read_indexed(record.uri, indexed)))
        except Exception as error:
            results[record.id] = FailedImage(record.uri, reason_of(error, record.uri), record.key)
    pictures = embed_encoded(embedder, [data for *_, data in read], options, decode_all)
    for (record, indexed, _), picture in zip(read, pictures, strict=True):
        if isinstance(picture, Exception):
            reason = reason_of(picture, record.uri)
            results[record.id] = FailedImage(record.uri, reason, record.key)
        else:
            results[record.id] = RegionRow(record.id, indexed, picture.vectors[1:])
    return [(results[i],) if i in results else () for i in ids]
