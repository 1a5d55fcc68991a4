"""Export of galleries to files that other tools can read, and import: Parquet, or `.npy`.

A file contains everything that cannot be recomputed: images with their ids, metadata and
embeddings, the gallery's spec, its whitening, and the pairs marked as not duplicates. Descriptors,
regions and failures are left out; the vector index is rebuilt after the import.
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
