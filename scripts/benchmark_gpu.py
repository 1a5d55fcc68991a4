"""How fast a GPU embeds, from the bare network out to JPEG bytes, and what holds it up.

Four rates with the same network: arrays that lie on the GPU (the network alone), arrays in main
memory (with the copies), decoding alone on every core, and JPEG bytes to embeddings with decoding
threads ahead of the GPU. The lowest of the parts is the bottleneck.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from benchmark_index import photographs, random_weights

from cbir.config import available_cores
from cbir.embedding import load_embedder, resolve_spec
from cbir.embedding.torch_runtime import GPU_BATCH, TorchRuntime
from cbir.images import decode

IMAGES = 4096
ROUNDS = 20


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/benchmark_gpu")
    parser.add_argument("data", type=Path, help="a folder of photographs")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--json", type=Path, metavar="FILE")
    asked = parser.parse_args()
    if not torch.cuda.is_available():
        print("torch sees no GPU here: nothing to measure")
        return
    with TemporaryDirectory() as folder:
        weights = random_weights(asked.backbone, Path(folder)) or None
        spec, origin = resolve_spec(asked.backbone, weights=weights)
        embedder = load_embedder(spec, weights_from=origin, device="cuda")
    assert isinstance(embedder, TorchRuntime)
    data = [path.read_bytes() for path in photographs(asked.data, 512)]
    cores = available_cores()
    pixels = [decode(one, spec.preprocessing).pixels for one in data[:GPU_BATCH]]
    batch = torch.from_numpy(np.stack(pixels)).cuda()
    with ThreadPoolExecutor(cores) as pool:
        rates = {
            "network alone": rate(lambda: bare(embedder, batch), GPU_BATCH),
            "decoded arrays": rate(lambda: embedder.embed(pixels), GPU_BATCH),
            f"decoding, {cores} threads": rate(
                lambda: list(pool.map(lambda one: decode(one, spec.preprocessing), data)),
                len(data),
                rounds=2,
            ),
            "JPEG bytes": whole(embedder, data, pool),
        }
    print(f"{asked.backbone}, {embedder.describe()}")
    for name, found in rates.items():
        print(f"{name:<24} {found:>9,.0f} images/s  {found / rates['network alone']:>6.0%}")
    parts = {name: found for name, found in rates.items() if name != "JPEG bytes"}
    print(f"bottleneck: {min(parts, key=parts.__getitem__)}")
    if asked.json:
        asked.json.write_text(json.dumps(rates, indent=1))


def bare(embedder: TorchRuntime, batch: torch.Tensor) -> None:
    embedder.forward(batch)
    torch.cuda.synchronize()


def whole(embedder: TorchRuntime, data: list[bytes], pool: ThreadPoolExecutor) -> float:
    """Decoding threads run ahead by a few batches; the GPU takes what is ready."""
    shape, wanted = embedder.spec.preprocessing, IMAGES
    started = time.perf_counter()
    arrays = iter(pool.map(lambda i: decode(data[i % len(data)], shape).pixels, range(wanted)))
    while batch := list(islice(arrays, GPU_BATCH)):
        embedder.embed(batch)
    return wanted / (time.perf_counter() - started)


def rate(work: Callable[[], object], images: int, *, rounds: int = ROUNDS) -> float:
    """Images a second, after a round that does not count."""
    work()
    started = time.perf_counter()
    for _ in range(rounds):
        work()
    return rounds * images / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
