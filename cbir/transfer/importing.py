"""Imports a file into a new gallery or one with the same spec; a killed import can be continued.

A new gallery is built in `GALLERY.importing` and renamed when it is complete.
"""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from cbir.catalog.location import is_gallery
from cbir.config import CATALOG_FILE, DEFAULT_GALLERY, EmbeddingSpec, GalleryConfig
from cbir.errors import GalleryError, GalleryNotFoundError, SpecMismatchError, TransferError
from cbir.files import is_unfinished, replacing
from cbir.gallery import Gallery
from cbir.indexes.gallery_indexes import IMAGES, REGIONS
from cbir.messages import advised
from cbir.transfer.description import Description
from cbir.transfer.merge import Merge
from cbir.transfer.npy_file import NpyReader
from cbir.transfer.pages import Reader
from cbir.transfer.parquet_file import ParquetReader
from cbir.transfer.roots import Root, moved_uri
from cbir.transfer.rows import BadRow, RowReader
from cbir.types import FailedImage, Remark

__all__ = ["ImportReport", "import_gallery", "row_count"]

log = logging.getLogger(__name__)

PLAN = "import.json"
"""File in an unfinished gallery that identifies the import. Without it the import starts over."""

EXPECTED_FILES = frozenset(
    {CATALOG_FILE, f"{CATALOG_FILE}-wal", f"{CATALOG_FILE}-shm", IMAGES, REGIONS, PLAN}
)
"""All files of an unfinished gallery; a folder with other files is never replaced."""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """Counts of one import; rows that an earlier run of the same import wrote are unchanged."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: tuple[FailedImage, ...] = ()
    """Invalid rows, identified by the file and their number, from 1."""
    created: bool = False
    """Whether the gallery is new; its images then have the ids of the file."""
    images: int = 0
    """Number of images in the gallery after the import."""
    seconds: float = 0.0


def import_gallery(
    file: str | Path,
    path: str | Path = DEFAULT_GALLERY,
    *,
    spec: EmbeddingSpec | None = None,
    weights_from: str | None = None,
    roots: Sequence[Root] = (),
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Import a file of `export_gallery` into the gallery at `path`, which is created if missing.

    A new gallery equals the exported one, including spec, whitening and ids; no weights are needed.
    Into an existing gallery, rows are merged by their keys, and new images get new ids; images that
    the file lacks stay. `roots` map old locations of files to new ones. After a kill at any point,
    the same call continues and ends with the same gallery. `progress` is called with the number of
    rows processed so far.

    Another tool's file needs the columns `embedding` (unit vectors) and `uri`, and may have `key`;
    its other columns become metadata. `spec` must then say how its embeddings were made.

    Raises TransferError for a file that cannot be read, SpecMismatchError when its embeddings
    are not of the gallery's spec, or not of `spec`, GalleryError when `path` cannot be written.
    """
    started, file, path = time.perf_counter(), Path(file), Path(path)
    reader = _open(file)
    config = _config(file, reader, spec, weights_from, roots)
    if reader.dim not in (None, config.spec.dim):
        raise SpecMismatchError(
            f"{file} has {reader.dim} dimensions and {config.spec.backbone} gives "
            f"{config.spec.dim}; they cannot be compared"
        )
    rows = RowReader(file, reader, roots)
    created = not is_gallery(path)
    if created:
        gallery = _begin(path, config, reader.description, _plan(file, config, roots))
    else:
        gallery = Gallery.open(path)
        gallery.check_spec(config.spec, str(file))
    with gallery:
        _import_key_columns(gallery, reader.description, roots)
        keep_ids = created and reader.description is not None
        merge = Merge(gallery, keep_ids=keep_ids, remarks=_remarks(reader.description, roots))
        failed: list[FailedImage] = []
        done = 0
        for page in rows.pages():
            bad = [row for row in page if isinstance(row, BadRow)]
            failed += [FailedImage(f"{file}: row {row.number}", row.reason) for row in bad]
            merge.write([row for row in page if not isinstance(row, BadRow)])
            done += len(page)
            if progress is not None:
                progress(done)
        _import_dismissals(gallery, reader.description, roots)
        for root in rows.unused:
            log.warning("%s: no image is below %s", file, root.old)
        gallery.update_indexes()
        images = gallery.count()
    if created:
        _finish(path)
    return ImportReport(
        merge.added,
        merge.updated,
        merge.unchanged,
        tuple(failed),
        created,
        images,
        time.perf_counter() - started,
    )


def row_count(file: str | Path) -> int:
    """Number of rows in a file. Raises TransferError when it cannot be read."""
    return _open(Path(file)).rows


def _open(file: Path) -> Reader:
    suffix = file.suffix.lower()
    if suffix not in (".parquet", ".npy"):
        raise TransferError(f"{file} is of no known format; it should end in .parquet or .npy")
    if not file.is_file():
        export = advised("export", "--out", file, gallery="DIR")
        raise TransferError(f"no such file: {file}; {export} writes one")
    return ParquetReader(file) if suffix == ".parquet" else NpyReader(file)


def _config(
    file: Path,
    reader: Reader,
    spec: EmbeddingSpec | None,
    weights_from: str | None,
    roots: Sequence[Root],
) -> GalleryConfig:
    """The gallery's configuration, from the file or, for another tool's file, from `spec`."""
    head = reader.description
    if head is None:
        if spec is None:
            raise TransferError(
                f"{file} does not say how its embeddings were made (no spec of cbir's); "
                "--backbone NAME does (spec=)"
            )
        return GalleryConfig(spec, weights_from)
    if head.projected:
        raise TransferError(
            f"{file} contains projected vectors, which make no gallery; export it again "
            "without --projected"
        )
    written = head.config.spec
    if spec is not None and spec.fingerprint != written.fingerprint:
        raise SpecMismatchError(
            f"{file} and the options given cannot be compared "
            f"({'; '.join(written.differences(spec))}); leave the options out"
        )
    origin = head.config.weights_from
    return replace(head.config, weights_from=weights_from or (origin and moved_uri(origin, roots)))


def _plan(file: Path, config: GalleryConfig, roots: Sequence[Root]) -> str:
    status = file.stat()
    plan = {
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "gallery": config.to_json(),
        "roots": [[root.old, root.new] for root in roots],
    }
    return json.dumps(plan, sort_keys=True)


def _begin(
    path: Path, config: GalleryConfig, description: Description | None, plan: str
) -> Gallery:
    """The unfinished gallery of the import: left by a killed run, or an empty one."""
    folder = _beside(path)
    plan_file = folder / PLAN
    try:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise GalleryError(f"{path} exists and is not a gallery; choose another path")
        if plan_file.is_file() and plan_file.read_text(encoding="ascii", errors="replace") == plan:
            try:
                return Gallery.open(folder)
            except GalleryNotFoundError:
                pass
        if folder.exists():
            if not all(
                file.name in EXPECTED_FILES or is_unfinished(file, PLAN)
                for file in folder.iterdir()
            ):
                raise GalleryError(
                    f"{folder} is not an unfinished import; rename it, the import needs its name"
                )
            # The plan is removed first: what a kill in between leaves is then not continued.
            plan_file.unlink(missing_ok=True)
            shutil.rmtree(folder)
        gallery = Gallery.create(
            folder, config.spec, weights_from=config.weights_from, index=config.index
        )
        try:
            if description is not None:
                gallery.catalog.reserve_ids(description.next_image_id)
                gallery.catalog.change_config(lambda _: replace(config, whitening=None))
                gallery.catalog.set_whitening(config.whitening, description.projection)
            with replacing(plan_file) as temporary:
                temporary.write_text(plan, encoding="ascii")
        except BaseException:
            gallery.close()
            raise
    except OSError as error:
        raise GalleryError(f"{folder} cannot be written: {error.strerror}") from error
    return gallery


def _import_key_columns(
    gallery: Gallery, description: Description | None, roots: Sequence[Root]
) -> None:
    """Copy the key columns of sources, so that the next `cbir index` finds the same keys."""
    for source, column in ({} if description is None else description.key_columns).items():
        if gallery.catalog.key_column(moved := moved_uri(source, roots)) is None:
            gallery.catalog.set_key_column(moved, column)


def _remarks(
    description: Description | None, roots: Sequence[Root]
) -> dict[str, tuple[Remark, ...]]:
    """The remarks on images by their keys."""
    remarks: dict[str, tuple[Remark, ...]] = {}
    for key, remark in [] if description is None else description.remarks:
        moved = moved_uri(key, roots)
        remarks[moved] = (*remarks.get(moved, ()), remark)
    return remarks


def _import_dismissals(
    gallery: Gallery, description: Description | None, roots: Sequence[Root]
) -> None:
    """Copy the dismissed pairs whose images are both in the gallery."""
    pairs = [] if description is None else description.dismissed
    moved = [(moved_uri(a, roots), moved_uri(b, roots)) for a, b in pairs]
    ids = {key: image.id for key, image in gallery.catalog.indexed_images([*chain(*moved)]).items()}
    gallery.catalog.dismiss((ids[a], ids[b]) for a, b in moved if a in ids and b in ids)


def _finish(path: Path) -> None:
    folder = _beside(path)
    try:
        folder.replace(path)
        (path / PLAN).unlink()
    except OSError as error:
        raise GalleryError(f"{folder} cannot be renamed to {path}: {error.strerror}") from error


def _beside(path: Path) -> Path:
    absolute = path.absolute()
    return absolute.with_name(absolute.name + ".importing")
