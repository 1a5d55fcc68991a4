"""Folds batch normalisation into the convolution before it: same result, half the kernels.

At inference, normalisation is a scale and an offset per channel, which a convolution's own
weights and bias can hold. B. Jacob et al., "Quantization and Training of Neural Networks for
Efficient Integer-Arithmetic-Only Inference", CVPR 2018, section 3.2.
"""

from __future__ import annotations

import logging
from collections import Counter

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

__all__ = ["fold_batch_norms"]

log = logging.getLogger(__name__)


def fold_batch_norms(body: nn.Module) -> nn.Module:
    """Folds the normalisations that directly follow a convolution, in a copy of a network.

    `body` is in eval mode and is not changed; unchanged parameters are shared. A network that
    cannot be traced, because its path depends on its input, is returned as it is.
    """
    try:
        traced = body if isinstance(body, fx.GraphModule) else _traced(body)
    except Exception as error:  # tracing runs the network's own code, which may raise anything
        log.info("batch normalisation not folded: %s", error)
        return body
    folded = fx.GraphModule(traced, _copy(traced.graph))
    modules = dict(folded.named_modules())
    calls = Counter(node.target for node in folded.graph.nodes if node.op == "call_module")
    for node in list(folded.graph.nodes):
        if node.op != "call_module" or not isinstance(modules[node.target], nn.BatchNorm2d):
            continue
        before = node.args[0]
        if not isinstance(before, fx.Node) or before.op != "call_module":
            continue
        conv, norm = modules[str(before.target)], modules[node.target]
        alone = len(before.users) == calls[before.target] == calls[node.target] == 1
        if not isinstance(conv, nn.Conv2d) or not alone:
            continue
        parent, _, name = str(before.target).rpartition(".")
        setattr(folded.get_submodule(parent), name, fuse_conv_bn_eval(conv, norm))
        node.replace_all_uses_with(before)
        folded.graph.erase_node(node)
    folded.delete_all_unused_submodules()
    folded.recompile()
    return folded


class _Tracer(fx.Tracer):
    """Does not trace into convolutions that pad their input themselves, as EfficientNet-Lite's."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, nn.Conv2d) or super().is_leaf_module(m, module_qualified_name)


def _traced(body: nn.Module) -> fx.GraphModule:
    return fx.GraphModule(body, _Tracer().trace(body))


def _copy(graph: fx.Graph) -> fx.Graph:
    copied = fx.Graph()
    copied.output(copied.graph_copy(graph, {}))
    return copied
