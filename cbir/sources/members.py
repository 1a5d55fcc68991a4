"""Images inside another file: members of tars and cells of Parquet files.

The path of such an image continues that of the file: `/data/shard-000.tar/0001.jpg`,
`/data/train.parquet/image/3`. A file cannot contain files, so that such a path is unambiguous.
"""

from __future__ import annotations

import os

from cbir.errors import ImageError, MissingExtraError
from cbir.sources.tar_index import read_member as read_tar_member
from cbir.sources.tar_index import tar_member_version
from cbir.types import ImageVersion

__all__ = ["member_version", "read_member"]


def read_member(path: str) -> bytes | None:
    """The encoded image inside a file; None if no such file is part of the path.

    Raises ImageError.
    """
    if (inside := _split(path)) is None:
        return None
    file, member = inside
    if _is_tar(file):
        return read_tar_member(file, member)
    from cbir.sources.parquet_images import read_row_image

    try:
        return read_row_image(file, member)
    except MissingExtraError as error:
        raise ImageError(str(error)) from error


def member_version(path: str) -> ImageVersion | None:
    """The version of the image inside a file; None if no such file is part of the path.

    Raises ImageError.
    """
    if (inside := _split(path)) is None:
        return None
    file, member = inside
    if _is_tar(file):
        return tar_member_version(file, member)
    from cbir.sources.parquet_images import row_image_version

    try:
        return ImageVersion(*row_image_version(file, member))
    except MissingExtraError as error:
        raise ImageError(str(error)) from error


def _split(path: str) -> tuple[str, str] | None:
    """(file, path within it); None for any other path."""
    file, member = os.path.split(path)
    while file and member and not os.path.isfile(file):  # noqa: PTH113  (need not be UTF-8)
        if os.path.isdir(file) or file == os.path.dirname(file):  # noqa: PTH112, PTH120
            return None
        file, part = os.path.split(file)
        member = f"{part}/{member}"
    contains = file.casefold().endswith((".tar", ".parquet"))
    return (file, member) if contains and member else None


def _is_tar(file: str) -> bool:
    return file.casefold().endswith(".tar")
