"""Backbones, a file a family: records of what they are, and the functions that build them.

A backbone is a `cbir.embedding.Backbone` record in `BACKBONES`, or one that `register_backbone`
adds from outside. Its `builder` names a function

    def build(backbone: Backbone, side: int) -> Architecture

that makes the network in torch, untrained and in eval mode, for inputs of `side` × `side` pixels;
`cbir.embedding.pytorch.architecture` describes what it returns. Everything else follows from that:
reading a checkpoint, normalising pixels, pooling, exporting to OpenVINO, int8, running on a GPU.
The records are read by every command, so a module that holds them imports torch only in `build`.

A method that is no network names an `embedder` instead, a class whose objects are made from an
EmbeddingSpec and satisfy `cbir.embedding.Embedder`; `tiny_image` is one.
"""
