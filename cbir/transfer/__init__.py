"""Galleries as files that other tools can read, and back: Parquet, or `.npy` with `.jsonl`.

What travels is what cannot be made anew: images with their ids, metadata and embeddings, the
gallery's spec, its whitening, and which pairs people said are no duplicates. Descriptors, regions,
statistics and failures stay behind; the vector index is built where a gallery arrives.
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
