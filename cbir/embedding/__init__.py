"""Computes embeddings from pixels: backbones, their weights, and the runtimes that run them.

`resolve_spec` defines an embedding space, `load_embedder` opens its network, `register_backbone`
adds a custom network (see `cbir.embedding.backbones`). Importing this package loads neither torch
nor OpenVINO; an exported network is loaded without torch.
"""

from cbir.embedding.backbone import Backbone, WeightsFile
from cbir.embedding.embedder import Embedder, Precision, Runtime, run_once
from cbir.embedding.loading import embedder_for, load_embedder, quantise
from cbir.embedding.registry import BACKBONES, find_backbone, register_backbone
from cbir.embedding.specs import resolve_spec
from cbir.embedding.views import embed_views
from cbir.embedding.weights import Weights, locate_weights, weights_present
from cbir.embedding.wrappers import EmbedderWrapper, LazyEmbedder

__all__ = [
    "BACKBONES",
    "Backbone",
    "Embedder",
    "EmbedderWrapper",
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
    "register_backbone",
    "resolve_spec",
    "run_once",
    "weights_present",
]
