"""From pixels to embeddings: the backbones, their weights, and the runtimes they run in.

`resolve_spec` fixes an embedding space, `load_embedder` opens it for work. Importing this package
loads neither torch nor OpenVINO; an exported network is loaded without torch.
"""

from cbir.embedding.backbone import Backbone, WeightsFile
from cbir.embedding.embedder import (
    Embedder,
    Precision,
    Runtime,
    embedder_for,
    load_embedder,
    quantise,
    resolve_spec,
    run_once,
)
from cbir.embedding.lazy import LazyEmbedder
from cbir.embedding.registry import BACKBONES, find_backbone
from cbir.embedding.views import embed_views
from cbir.embedding.weights import Weights, locate_weights, weights_present

__all__ = [
    "BACKBONES",
    "Backbone",
    "Embedder",
    "LazyEmbedder",
    "Precision",
    "Runtime",
    "Weights",
    "WeightsFile",
    "embed_views",
    "embedder_for",
    "find_backbone",
    "load_embedder",
    "locate_weights",
    "quantise",
    "resolve_spec",
    "run_once",
    "weights_present",
]
