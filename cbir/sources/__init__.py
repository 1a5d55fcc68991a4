"""Sources of images: a folder, a manifest, tar shards, a bucket, a single image."""

from cbir.sources.base import SelectiveSource, Source, SourceImage, SourceOptions
from cbir.sources.folder import FileSource, FolderSource
from cbir.sources.manifest import ManifestSource
from cbir.sources.opening import SOURCES, open_source, register_source
from cbir.sources.paths import path_to_uri, uri_to_path
from cbir.sources.repeats import RepeatedImage, distinct

__all__ = [
    "SOURCES",
    "FileSource",
    "FolderSource",
    "ManifestSource",
    "RepeatedImage",
    "SelectiveSource",
    "Source",
    "SourceImage",
    "SourceOptions",
    "distinct",
    "open_source",
    "path_to_uri",
    "register_source",
    "uri_to_path",
]
