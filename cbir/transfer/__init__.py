"""Galleries as files that other tools can read, and back: Parquet, or `.npy` with `.jsonl`.

A file has what cannot be computed again: images with their ids, metadata and embeddings, the
gallery's spec, its whitening, and the pairs marked as no duplicates. Descriptors, regions
and failures are left out; the vector index is built where a gallery arrives.
"""

from cbir.transfer.export import ExportReport, export_gallery
from cbir.transfer.importing import ImportReport, import_gallery, row_count
from cbir.transfer.roots import Root

__all__ = [
    "ExportReport",
    "ImportReport",
    "Root",
    "export_gallery",
    "import_gallery",
    "row_count",
]
