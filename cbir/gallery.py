"""A gallery: the catalogue and its vector indexes. All access to stored data goes through it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import URL

from cbir.catalog.catalog import Catalog
from cbir.catalog.location import create_catalog, is_gallery, open_catalog
from cbir.catalog.vectors import region_layout
from cbir.config import DEFAULT_GALLERY, EmbeddingSpec, GalleryConfig, Region, View, Whitening
from cbir.embedding import (
    Embedder,
    LazyEmbedder,
    Precision,
    Runtime,
    embedder_for,
    quantise,
    resolve_spec,
)
from cbir.embedding.whitening import fit
from cbir.errors import (
    GalleryError,
    GalleryExistsError,
    GalleryNotFoundError,
    NotFoundError,
    SpecMismatchError,
)
from cbir.indexes.gallery_indexes import GalleryIndexes
from cbir.indexes.registry import AUTO, check_choice
from cbir.messages import advised
from cbir.sources.paths import path_to_uri

if TYPE_CHECKING:
    from cbir.arrays import Pixels, Vectors
    from cbir.catalog.rows import Batch
    from cbir.filters import Filter
    from cbir.indexes.background import Background
    from cbir.indexes.protocol import VectorIndex
    from cbir.types import Candidates, ImageRecord

FIT_IMAGES = 20_000
"""Largest number of images, drawn at random, that whitening is fitted on."""


class Gallery:
    """A stored set of images that can be searched. Use `Gallery.create` and `Gallery.open`.

    A gallery is a folder. The catalogue, `catalog.sqlite` or another database that the folder
    names, holds all data; the index in `vectors/` can be rebuilt from it at any time. Several
    threads and processes may use one gallery.

    >>> with Gallery.open("index_data/default") as gallery:  # doctest: +SKIP
    ...     print(gallery.count())
    """

    def __init__(self, path: Path, catalog: Catalog) -> None:
        self.path = path
        self.catalog = catalog
        self._indexes = GalleryIndexes(path, catalog)
        self._blank: tuple[int, frozenset[int]] | None = None

    @classmethod
    def create(
        cls,
        path: str | Path = DEFAULT_GALLERY,
        spec: EmbeddingSpec | None = None,
        *,
        backbone: str | None = None,
        weights_from: str | None = None,
        pooling: str | None = None,
        input_size: int | None = None,
        views: Sequence[View] | None = None,
        flip: bool | None = None,
        index: str = AUTO,
        regions: Sequence[Region] = (),
        catalog_url: str | URL | None = None,
        exist_ok: bool = False,
    ) -> Gallery:
        """Create an empty gallery, with the default backbone unless another is named.

        `weights_from` is a published weights name or a checkpoint file, by default the backbone's
        best weights; `pooling`, `input_size`, `views` and `flip` are those of `resolve_spec`. A
        `spec` can be given in place of all these; `weights_from` then names the weights it was made
        with.

        `regions` are parts of each image that are embedded separately, so that a query for a detail
        finds its image: `cbir.config.MULTI_CROP`, for example. `catalog_url` is the location of the
        catalogue (`sqlite:////data/shop.sqlite`), by default the gallery's folder. With `exist_ok`,
        a gallery with the same spec that is there already, or that another process creates at the
        same time, is opened.

        Raises GalleryExistsError when `path` holds a gallery, SpecMismatchError when it may exist
        and has another spec, GalleryError when it cannot be
        written, OptionError for an unknown kind of index, ValueError for invalid regions and for
        options that contradict a `spec`, BackboneError or WeightsError for a backbone that is not
        available.
        """
        path, layout, index = Path(path), region_layout(regions), check_choice(index)
        options: dict[str, Any] = {
            "backbone": backbone,
            "pooling": pooling,
            "input_size": input_size,
            "views": views,
            "flip": flip,
        }
        given = {name: value for name, value in options.items() if value is not None}
        if spec is None:
            spec, weights_from = resolve_spec(weights=weights_from, **given)
        elif given:
            raise ValueError(f"a spec fixes {' and '.join(given)}; leave one or the other out")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GalleryError(f"{path} cannot be made: {error.strerror}") from error
        config = GalleryConfig(spec, weights_from, index, regions=layout)
        try:
            return cls(path, create_catalog(path, config, catalog_url))
        except GalleryExistsError:
            if not (exist_ok and is_gallery(path)):
                raise
        return cls.open(path, spec=spec)

    @classmethod
    def open(
        cls, path: str | Path = DEFAULT_GALLERY, *, spec: EmbeddingSpec | None = None
    ) -> Gallery:
        """An existing gallery; a catalogue of an older version is migrated.

        Raises GalleryNotFoundError when there is none at `path`, GalleryVersionError when a newer
        cbir wrote it, SpecMismatchError when `spec` is given and is not the gallery's.
        """
        path = Path(path)
        if not is_gallery(path):
            raise GalleryNotFoundError(
                f"no gallery at {path}; {advised('index', 'FOLDER', gallery=path)} makes one"
            )
        gallery = cls(path, open_catalog(path))
        if spec is not None:
            gallery.check_spec(spec, "the spec given")
        return gallery

    @property
    def config(self) -> GalleryConfig:
        """The configuration as last committed, or, without waiting, as of the indexes."""
        return self._indexes.config

    @property
    def spec(self) -> EmbeddingSpec:
        """The embedding space of this gallery, fixed when it was created."""
        return self.catalog.spec

    def check_spec(self, spec: EmbeddingSpec, whose: str) -> None:
        """Raise SpecMismatchError, naming both sides, if `spec` differs from the gallery's."""
        if spec.fingerprint != self.spec.fingerprint:
            differences = "; ".join(self.spec.differences(spec))
            raise SpecMismatchError(
                f"gallery {self.path} and {whose} cannot be compared ({differences}); "
                "use the gallery's spec, or index into another gallery"
            )

    def count(self, where: Filter | None = None) -> int:
        """Number of images, or of those that match a filter. Raises FilterError."""
        return self.catalog.count() if where is None else self.catalog.count_matching(where)

    def search(
        self, queries: Vectors, k: int, *, where: Filter | None = None, exact: bool = False
    ) -> Candidates:
        """The k nearest images of each query: (Q, D) unit vectors → ids and similarities (Q, k).

        The result includes all commits of any process before the call. With `where`, only images
        that match are found: k of them, or all if there are fewer. In a gallery with regions, the
        similarity of an image is the greatest of the whole and its regions. Raises FilterError.
        """
        if queries.ndim != 2 or queries.shape[1] != self.spec.dim:
            raise ValueError(f"queries of shape {queries.shape}, not (Q, {self.spec.dim})")
        return self.index().search(queries, k, allowed=where, exact=exact, projected=False)

    def project(self, embeddings: Vectors) -> Vectors:
        """Project embeddings (N, D) as the gallery compares them (N, d): centred or whitened."""
        return self.image_index().project(embeddings)

    def whiten(self, whitening: Whitening | None, *, fit_on: Gallery | None = None) -> None:
        """Centre and whiten embeddings before comparing them from now on; None ends this.

        The projection is fitted once, on this gallery's embeddings or on those of `fit_on`, and
        applies to later images, too. Nothing is embedded again. Raises GalleryError when there are
        too few images to fit on, SpecMismatchError when `fit_on` has another spec.
        """
        if whitening is None:
            self.catalog.set_whitening(None, None)
        else:
            other = fit_on or self
            self.check_spec(other.spec, f"gallery {other.path}")
            try:
                projection = fit(other.catalog.sample(FIT_IMAGES), whitening)
            except ValueError as error:
                raise GalleryError(f"gallery {other.path}: {error}") from error
            fitted = replace(whitening, fitted=projection.digest)
            self.catalog.set_whitening(fitted, projection)
        self.update_indexes()

    def index(self) -> VectorIndex:
        """The index for searches, up to date: of whole images, with their regions if any."""
        return self._indexes.searched()

    def image_index(self) -> VectorIndex:
        """The index of whole images, up to date."""
        return self._indexes.images()

    def region_index(self) -> VectorIndex | None:
        """The index of the regions alone, up to date, if the gallery has any.

        The ids of regions are those of `cbir.catalog.vectors.region_rows`.
        """
        return self._indexes.regions()

    def index_kind(self) -> str:
        """Kind of the index for searches, or of the one that would be built. Loads no index."""
        return self._indexes.kind()

    def update_indexes(self) -> None:
        """Bring all indexes and their files up to date; searches go on meanwhile."""
        self._indexes.update()

    def rebuild_index(self, kind: str | None = None) -> None:
        """Rebuild the indexes from the catalogue; `kind` changes their kind permanently.

        Raises OptionError for a kind that is not in `cbir.indexes.registry`.
        """
        if kind is not None:
            wanted = check_choice(kind)
            self.catalog.change_config(lambda config: replace(config, index=wanted))
        self._indexes.rebuild()

    def search_without_waiting(self) -> None:
        """Let searches use the indexes as they are, without bringing them up to date.

        The caller must call `update_indexes` regularly. Until its first call, every search scans
        all embeddings in the catalogue.
        """
        self._indexes.stop_waiting()

    def background(self) -> Background:
        """A sample of the gallery as of its last search, for the confidence of hits."""
        return self._indexes.background()

    def blank_ids(self) -> frozenset[int]:
        """The ids of images of one flat colour, as of the last search: they are a match of none."""
        generation = self.background().generation
        if self._blank is None or self._blank[0] != generation:
            self._blank = generation, self.catalog.ids_with_remark("blank")
        return self._blank[1]

    def add_regions(self, regions: Sequence[Region]) -> None:
        """Give the gallery's images regions from now on.

        Indexing embeds the regions of new images, `cbir.indexing.ensure_regions` those of existing
        ones. Raises GalleryError when the gallery has other regions, ValueError for invalid ones.
        """
        layout = region_layout(regions)

        def add(config: GalleryConfig) -> GalleryConfig:
            if config.regions and config.regions != layout:
                raise GalleryError(f"{self.path} has other regions; index into another gallery")
            return replace(config, regions=layout)

        self.catalog.change_config(add)

    def embedder(
        self,
        *,
        device: str = "auto",
        runtime: Runtime = "auto",
        precision: Precision = "auto",
        streams: int | None = None,
    ) -> Embedder:
        """The embedder of this gallery's embedding space, which opens its network on first use.

        The options are those of `cbir.load_embedder`.
        """
        return LazyEmbedder(
            self.spec,
            partial(
                embedder_for,
                self.config,
                device=device,
                runtime=runtime,
                precision=precision,
                streams=streams,
            ),
        )

    def quantise(self, images: Sequence[Pixels]) -> None:
        """Embed images in int8 from now on, calibrated on sample images (crop, crop, 3).

        Existing embeddings stay. Raises MissingExtraError without NNCF, BackboneError when there
        are too few images or int8 is too inaccurate for the network.
        """
        calibration = quantise(self.spec, images, weights_from=self.config.weights_from)
        self.catalog.change_config(lambda config: replace(config, calibration=calibration))

    def write(self, source: str, batch: Batch) -> None:
        """Commit a batch of rows that come from `source` (its URI)."""
        self.catalog.write(source, batch)

    def image(self, image_id: int) -> ImageRecord:
        """The record of one image. Raises NotFoundError."""
        record = self.catalog.records([image_id]).get(image_id)
        if record is None:
            raise NotFoundError(f"no image {image_id}", gallery=self.path)
        return record

    def find(self, reference: str) -> ImageRecord:
        """Find one image by `id:N`, path, URI or key. Raises NotFoundError."""
        if reference.startswith("id:") and reference[3:].isdecimal():
            return self.image(int(reference[3:]))
        record = self.catalog.find(path_to_uri(reference)) or self.catalog.find(reference)
        if record is None:
            raise NotFoundError(
                f"{reference} is not in {self.path}; give id:N, a file, a URI or a key"
            )
        return record

    def embedding(self, image_id: int) -> Vectors:
        """The stored embedding of one image: (D,) float32, unit norm. Raises NotFoundError."""
        vector = self.catalog.embeddings([image_id]).get(image_id)
        if vector is None:
            raise NotFoundError(f"no image {image_id}", gallery=self.path)
        return np.asarray(vector)

    def remove(self, ids: Sequence[int]) -> int:
        """Remove images from the gallery; their files stay. Returns the number removed."""
        removed = self.catalog.remove(ids)
        self.update_indexes()
        return removed

    def close(self) -> None:
        """Release files and memory; everything written is already committed."""
        self._indexes.close()
        self.catalog.close()

    def __enter__(self) -> Gallery:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
