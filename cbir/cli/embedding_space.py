"""Options of `cbir index` that decide a gallery's embedding space, and the gallery they open."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cbir.cli.options import IndexKindOption
from cbir.messages import advised

if TYPE_CHECKING:
    from cbir.config import EmbeddingSpec, GalleryConfig, View
    from cbir.gallery import Gallery


@dataclass(frozen=True)
class SpaceOptions:
    """The options that decide a gallery's embedding space; those not given are empty."""

    backbone: str | None
    weights: str | None
    pooling: str | None
    input_size: int | None
    whole: bool
    zoom: bool
    flip: bool

    def spec(self, current: GalleryConfig | None) -> tuple[EmbeddingSpec, str | None]:
        """The embedding space that the options choose, and where its weights come from.

        Options not given are as in `current`, if that has the same backbone."""
        from cbir.config import DEFAULT_BACKBONE
        from cbir.embedding import resolve_spec

        same_backbone = current is not None and self.backbone in (None, current.spec.backbone)
        same = current if same_backbone else None
        name = self.backbone or (DEFAULT_BACKBONE if same is None else same.spec.backbone)
        views: tuple[View, ...] = ("crop",) if same is None else same.spec.views
        if self.whole or self.zoom:
            chosen: dict[View, bool] = {"crop": True, "whole": self.whole, "zoom": self.zoom}
            views = tuple(view for view, wanted in chosen.items() if wanted)
        return resolve_spec(
            name,
            pooling=self.pooling or (None if same is None else same.spec.pooling),
            weights=self.weights or (None if same is None else same.weights_from),
            input_size=self.input_size or (None if same is None else same.spec.preprocessing.crop),
            views=views,
            flip=self.flip or (same is not None and same.spec.flip),
        )


def open_or_create(
    path: Path,
    space: SpaceOptions,
    kind: IndexKindOption,
    *,
    catalog_url: str | None = None,
    multi_crop: bool,
) -> Gallery:
    """The gallery at `path`, created if there is none. Regions may be added later.

    Raises GalleryError when an existing gallery was created with other options.
    """
    from cbir.config import MULTI_CROP
    from cbir.errors import GalleryExistsError
    from cbir.gallery import Gallery

    regions = MULTI_CROP if multi_crop else ()
    gallery = open_existing(path, space, kind, catalog_url=catalog_url)
    if gallery is None:
        spec, origin = space.spec(None)
        try:
            gallery = Gallery.create(
                path,
                spec,
                weights_from=origin,
                index=kind or "auto",
                regions=regions,
                catalog_url=catalog_url,
            )
        except GalleryExistsError:  # perhaps another command has just created it: join that
            gallery = open_existing(path, space, kind, catalog_url=catalog_url)
            if gallery is None:
                raise
    if multi_crop and not gallery.config.regions:
        gallery.add_regions(regions)
    return gallery


def open_existing(
    path: Path, space: SpaceOptions, kind: IndexKindOption, *, catalog_url: str | None = None
) -> Gallery | None:
    """The gallery at `path`, None if there is none.

    Raises GalleryError when it was created with other options.
    """
    from cbir.catalog.dialects import parse_url
    from cbir.catalog.location import check_catalog_url, is_gallery
    from cbir.errors import GalleryError, GalleryNotFoundError
    from cbir.gallery import Gallery

    if catalog_url is not None:
        if is_gallery(path):
            check_catalog_url(path, catalog_url)
        else:
            parse_url(catalog_url)  # refused before anything else is done
    try:
        gallery = Gallery.open(path)
    except GalleryNotFoundError:
        return None
    if any(vars(space).values()):
        gallery.check_spec(space.spec(gallery.config)[0], "the options given")
    if kind not in (None, gallery.config.index):
        raise GalleryError(
            f"gallery {path} has a vector index of kind {gallery.config.index}; "
            f"{advised('rebuild', '--index', str(kind), gallery=path)} changes it"
        )
    return gallery
