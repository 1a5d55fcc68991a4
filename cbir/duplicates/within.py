"""Finds the duplicates within a gallery, in groups: exact, near and, on request, verified."""

from __future__ import annotations

import time
from collections.abc import Iterable

from cbir.duplicates.comparison import Comparison
from cbir.duplicates.disjoint_sets import DisjointSets
from cbir.duplicates.grouping import form_groups
from cbir.duplicates.keeping import KeepRule, keep_rule
from cbir.duplicates.links import Links
from cbir.duplicates.neighbour_pairs import nearest_pairs
from cbir.duplicates.result import AlikePair, Duplicates, Group
from cbir.duplicates.thumbnails import (
    Contents,
    Thumbnails,
    load_contents,
    load_thumbnails,
)
from cbir.gallery import Gallery
from cbir.types import FailedImage, ImageRecord, StageProgress

__all__ = ["NEIGHBOURS", "find_duplicates", "no_progress"]

NEIGHBOURS = 12
"""Nearest neighbours of each image by embedding that are verified."""

NEAR_NEIGHBOURS = 5
"""Nearest neighbours whose hashes are compared: most near duplicates are found by hash alone."""


def find_duplicates(
    gallery: Gallery,
    *,
    verify: bool = False,
    keep: KeepRule | str = "largest",
    progress: StageProgress | None = None,
) -> Duplicates:
    """Find groups of images that are copies of one another, each with the one to keep.

    Exact duplicates have the same bytes. Near duplicates show the same whole picture, at any size
    and compression, recoloured, mirrored or turned by right angles, or with text over it. With
    `verify`, pairs of similar embeddings are aligned by local features, too, which finds parts of
    images, images in a frame, and slight turns. Each pair is decided at a resolution where what
    differs can be seen, for which the files are read again; what cannot be decided is `alike`, and
    in no group. Dismissed pairs are never in one group.

    `keep` chooses the image to keep, by a name of `KEEP_RULES` or `folder:PATTERN`. `progress` is
    called with a stage (`describing`, `comparing`, `deciding`, `verifying`), how much of it is
    done, and how much there is. Descriptors are stored in the catalogue: interrupted, the next call
    goes on from there. Raises OptionError for an unknown rule, GalleryError when the gallery cannot
    be written to.
    """
    started = time.perf_counter()
    rule = keep_rule(keep) if isinstance(keep, str) else keep
    rule = rule.but_last(gallery.catalog.ids_with_remark("damaged"))
    progress = progress or no_progress
    contents = load_contents(gallery)
    groups = DisjointSets(gallery.catalog.dismissed())
    for first, copies in contents.copies.items():
        for copy in copies:
            groups.join(first, copy)
    thumbnails = load_thumbnails(gallery, contents.ids, progress)
    count = NEIGHBOURS if verify else NEAR_NEIGHBOURS
    neighbours = nearest_pairs(gallery, contents.ids, count, progress)
    with Comparison(
        gallery, thumbnails, neighbours, groups, rule=rule, verify=verify
    ) as comparison:
        comparison.decide_near(progress)
        if verify:
            comparison.verify(progress)
        members = _members(gallery, groups)
        formed = form_groups(
            members.values(), contents.first_of, comparison.links, comparison.decide_pairs, rule
        )
        alike = _alike(gallery, comparison.links, groups, formed, contents)
        failed = _failed(gallery, thumbnails, comparison.failed)
        compared = comparison.aligned if verify else None
    return Duplicates(
        groups=formed,
        images=contents.images,
        failed=failed,
        verified_pairs=compared,
        seconds=time.perf_counter() - started,
        alike=alike,
    )


def no_progress(stage: str, done: int, total: int) -> None:
    """A progress callback that does nothing."""


def _members(gallery: Gallery, groups: DisjointSets) -> dict[int, list[ImageRecord]]:
    """The records of connected images, by a number."""
    numbers = {image: number for number, group in enumerate(groups.groups()) for image in group}
    members: dict[int, list[ImageRecord]] = {}
    for image_id, record in gallery.catalog.records(numbers).items():
        members.setdefault(numbers[image_id], []).append(record)
    return members


def _alike(
    gallery: Gallery,
    links: Links,
    groups: DisjointSets,
    formed: Iterable[Group],
    contents: Contents,
) -> tuple[AlikePair, ...]:
    """The pairs that are not proven to be copies, the surest first, without those in one group."""
    group_of = {
        contents.first_of(image.id): number
        for number, group in enumerate(formed)
        for image in group.images
    }
    pairs = [
        link
        for link in links.alike()
        if group_of.get(link.evidence.first, -1) != group_of.get(link.evidence.second, -2)
        and groups.may_join(link.evidence.first, link.evidence.second)
    ]
    ids = {i for link in pairs for i in (link.evidence.first, link.evidence.second)}
    records = gallery.catalog.records(ids)
    return tuple(
        AlikePair(
            records[link.evidence.first],
            records[link.evidence.second],
            link.decision.reason,
            link.evidence,
        )
        for link in pairs
        if link.evidence.first in records and link.evidence.second in records
    )


def _failed(
    gallery: Gallery, thumbnails: Thumbnails, reasons: dict[int, str]
) -> tuple[FailedImage, ...]:
    failed = {image.uri: image for image in thumbnails.failed}
    for image_id, record in gallery.catalog.records(reasons).items():
        failed.setdefault(record.uri, FailedImage(record.uri, reasons[image_id]))
    return tuple(failed.values())
