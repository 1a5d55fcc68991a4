"""Forms groups around the image that is kept: each other one is a copy of that very image.

Copies of copies need not be copies: two posters may share a part that lies in the gallery, too. So
connected images are taken apart into a keeper and what was compared with it, as often as needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from cbir.duplicates.file_links import FileNames
from cbir.duplicates.keeping import KeepRule
from cbir.duplicates.links import Links
from cbir.duplicates.result import Evidence, Group
from cbir.types import ImageRecord

__all__ = ["form_groups"]

Decide = Callable[[Sequence[tuple[int, int]]], None]
"""Decides about pairs of contents, and adds what is decided to the links."""


def form_groups(
    connected: Iterable[Sequence[ImageRecord]],
    content_of: Callable[[int], int],
    links: Links,
    decide: Decide,
    rule: KeepRule,
) -> tuple[Group, ...]:
    """Groups of connected images, the largest first, then by the keeper's id.

    `content_of` gives the image by which those of the same bytes are linked.
    """
    groups: list[Group] = []
    waiting = [list(images) for images in connected]
    while waiting:
        chosen = [(_keeper(images, content_of, links, rule), images) for images in waiting]
        pairs = {
            (content_of(keeper.id), content_of(image.id)): None
            for keeper, images in chosen
            for image in images
            if content_of(image.id) != content_of(keeper.id)
        }
        decide(list(links.missing(pairs)))
        waiting = []
        for keeper, images in chosen:
            others: list[ImageRecord] = []
            rest: list[ImageRecord] = []
            for image in images:
                if image.id != keeper.id:
                    is_copy = _may_go(image, keeper, content_of, links)
                    (others if is_copy else rest).append(image)
            if others:
                group = _group(keeper, rule.sort(others), content_of, links)
                if group is not None:
                    groups.append(group)
            if len(rest) > 1:
                waiting.append(rest)
    return tuple(sorted(groups, key=lambda group: (-len(group.others), group.keeper.id)))


def _keeper(
    images: Sequence[ImageRecord], content_of: Callable[[int], int], links: Links, rule: KeepRule
) -> ImageRecord:
    """The first by the rule that is no part of another one."""
    contents = {content_of(image.id) for image in images}
    in_order = rule.sort(images)
    for image in in_order:
        if not any(_is_part(content_of(image.id), other, links) for other in contents):
            return image
    return in_order[0]


def _is_part(content: int, other: int, links: Links) -> bool:
    link = links.get(content, other) if content != other else None
    return link is not None and link.covers(other) and not link.covers(content)


def _may_go(
    image: ImageRecord, keeper: ImageRecord, content_of: Callable[[int], int], links: Links
) -> bool:
    content, keeper_content = content_of(image.id), content_of(keeper.id)
    if content == keeper_content:
        return True
    link = links.get(content, keeper_content)
    return link is not None and link.covers(keeper_content)


def _group(
    keeper: ImageRecord,
    others: Sequence[ImageRecord],
    content_of: Callable[[int], int],
    links: Links,
) -> Group | None:
    """The group, without further names of one file; None where nothing else is left."""
    names = FileNames([keeper, *others])
    exact = [image for image in others if names.same_file(image, keeper)]
    # Of a file and a symbolic link to it, the file is the one to keep.
    real = next((i for i in exact if names.is_symbolic(keeper) and not names.is_symbolic(i)), None)
    if real is not None:
        keeper, others = real, [keeper, *(image for image in others if image.id != real.id)]
    symbolic = [i for i in (keeper, *others) if names.is_symbolic(i)]
    # What a symbolic link points to stays, or the link would point to nothing.
    linked = [i for i in others if any(names.same_file(i, j) for j in (keeper, *symbolic))]
    copies = [i for i in others if i not in linked]
    if not copies:
        return None
    return Group(
        keeper=keeper,
        others=tuple(copies),
        evidence=tuple(_evidence(keeper.id, image.id, content_of, links) for image in copies),
        bytes_saved=names.bytes_freed(copies),
        links=tuple(linked),
    )


def _evidence(keeper: int, image: int, content_of: Callable[[int], int], links: Links) -> Evidence:
    content, keeper_content = content_of(image), content_of(keeper)
    link = None if content == keeper_content else links.get(content, keeper_content)
    if link is None:
        return Evidence(keeper, image, "exact")
    evidence = link.evidence
    first, second = (keeper, image) if evidence.first == keeper_content else (image, keeper)
    return Evidence(
        first, second, evidence.kind, evidence.similarity, evidence.bits, evidence.inliers,
        evidence.form,
    )  # fmt: skip
