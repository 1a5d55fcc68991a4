"""Regions for images that were indexed before their gallery had any."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from cbir.catalog.rows import RegionRow
from cbir.config import available_cores
from cbir.embedding import Embedder, embed_views
from cbir.errors import ImageError
from cbir.gallery import Gallery
from cbir.images import DecodeOptions
from cbir.images.processes import Decode
from cbir.indexing.crew import EmbeddingCrew
from cbir.indexing.ledger import Progress
from cbir.indexing.workers import Workers
from cbir.sources.reading import read_indexed
from cbir.types import FailedImage


def ensure_regions(
    gallery: Gallery,
    *,
    embedder: Embedder | None = None,
    decoders: int | None = None,
    progress: Progress | None = None,
) -> list[FailedImage]:
    """Embed the regions that images of a gallery lack; returns what could not be read.

    Nothing to do in a gallery without regions. Committed chunk by chunk: interrupted at any
    point, the next call goes on from there. A file that has changed since it was indexed fails:
    the next `index_images` embeds it with its regions. `decoders` is as there, and `progress` is
    called with how many were dealt with so far, of the `Catalog.without_regions`.
    """
    missing = gallery.catalog.without_regions() if gallery.config.regions else []
    if not missing:
        return []
    embedder = embedder or gallery.embedder(streams=available_cores())
    gallery.check_spec(embedder.spec, "the embedder")
    failed: list[FailedImage] = []
    done = 0

    def enter(outcomes: Sequence[RegionRow | FailedImage]) -> None:
        nonlocal done
        gallery.catalog.write_regions([one for one in outcomes if isinstance(one, RegionRow)])
        failed.extend(one for one in outcomes if isinstance(one, FailedImage))
        done += len(outcomes)
        if progress is not None:
            progress(done)

    with (
        EmbeddingCrew(embedder, decoders, regions=len(gallery.config.regions)) as crew,
        Workers(
            partial(_embed, gallery=gallery, embedder=embedder, decode=crew.decode), crew
        ) as workers,
    ):
        for chunk in workers.chunks(missing):
            enter(workers.exchange(chunk))
        for outcomes in workers.drain():
            enter(outcomes)
    gallery.update_indexes()
    return failed


def _embed(
    ids: Sequence[int], *, gallery: Gallery, embedder: Embedder, decode: Decode
) -> list[RegionRow | FailedImage]:
    """The regions of a chunk of images, in a worker thread; those just removed are left out."""
    spec, regions = embedder.spec, gallery.config.regions
    records = gallery.catalog.records(ids).values()
    known = gallery.catalog.known([record.key for record in records])
    outcomes: list[RegionRow | FailedImage] = []
    seen = []
    for record in records:
        if record.key not in known:
            continue
        indexed = known[record.key].content_hash
        try:
            data = read_indexed(record.uri, indexed)
            decoded = decode(data, DecodeOptions(spec.preprocessing, spec.views, regions))
        except ImageError as error:
            outcomes.append(FailedImage(record.uri, str(error), record.key))
        else:
            seen.append((record.id, indexed, decoded.pixels[1:]))
    vectors = embed_views(embedder, [part for *_, parts in seen for part in parts])
    for place, (image_id, indexed, _) in enumerate(seen):
        own = vectors[place * len(regions) : (place + 1) * len(regions)]
        outcomes.append(RegionRow(image_id, indexed, own))
    return outcomes
