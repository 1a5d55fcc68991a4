"""The backbones, one file per family: their descriptions, and the functions that build them.

A backbone is a `cbir.embedding.Backbone` record in `BACKBONES`, or one that `register_backbone`
adds from outside. Its `builder` names a function

    def build(backbone: Backbone, side: int) -> Architecture

that makes the network in torch, untrained and in eval mode, for inputs of `side` × `side` pixels;
`cbir.embedding.pytorch.architecture` describes its return value. Nothing else is needed: reading a
checkpoint, normalising pixels, pooling, export to OpenVINO, int8 and running on a GPU work with
every architecture. The records are read by every command, so a module with records imports torch
only in `build`.

A method without a network names an `embedder` instead: a class constructed from an EmbeddingSpec
that satisfies `cbir.embedding.Embedder`, such as `tiny_image`.
"""
