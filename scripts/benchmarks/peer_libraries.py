"""Runs one other library in its environment: indexes a folder, searches, and prints the times.

Random weights come where torchvision would download its own; nothing else of a peer is changed.
Each peer is a generator: it yields once when its network is open, then its search.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

START = time.perf_counter()

Steps: TypeAlias = "Iterator[Callable[[Any], object] | None]"
"""None when the network is open, then the search."""


def without_downloads() -> None:
    """torchvision is given random numbers where it asks for a checkpoint."""
    import torch
    from torchvision import models

    def random_weights(url: str, *_: object, **__: object) -> object:
        torch.manual_seed(0)
        return getattr(models, Path(url).name.split("-")[0])(weights=None).state_dict()

    torch.hub.load_state_dict_from_url = random_weights  # type: ignore[assignment]
    models._api.load_state_dict_from_url = random_weights


def nearest(names: Sequence[object], rows: ArrayLike) -> Callable[[Any], list[object]]:
    import numpy as np

    matrix = np.asarray(rows, np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    return lambda vector: [names[i] for i in np.argsort(-(matrix @ vector))[:10]]


def imagededup(photos: Path) -> Steps:
    from imagededup.methods import CNN
    from imagededup.utils import CustomModel
    from torch import nn
    from torchvision import models

    # It has no ResNet-50, but accepts other networks.
    weights = models.ResNet50_Weights.IMAGENET1K_V2
    net = models.resnet50(weights=weights)
    net.fc = nn.Identity()
    custom = CustomModel(model=net, transform=weights.transforms(), name="resnet50")
    cnn = CNN(verbose=False, model_config=custom)
    yield None
    encodings = cnn.encode_images(image_dir=str(photos), num_enc_workers=0)
    search = nearest(list(encodings), list(encodings.values()))
    yield lambda path: search(cnn.encode_image(image_file=str(path))[0])


def img2vec_pytorch(photos: Path) -> Steps:
    import numpy as np
    from img2vec_pytorch import Img2Vec
    from PIL import Image

    net = Img2Vec(cuda=False, model="resnet50")
    yield None
    files, rows = sorted(photos.iterdir()), []
    for start in range(0, len(files), 32):
        batch = [Image.open(path).convert("RGB") for path in files[start : start + 32]]
        rows.append(np.asarray(net.get_vec(batch)).reshape(len(batch), -1))
    search = nearest(files, np.concatenate(rows))
    yield lambda path: search(net.get_vec(Image.open(path).convert("RGB")))


def DeepImageSearch(photos: Path) -> Steps:  # noqa: N802  as the peer is called
    from DeepImageSearch import Search_Setup

    files = [str(path) for path in sorted(photos.iterdir())]
    setup = Search_Setup(image_list=files, model_name="resnet50", pretrained=False)
    yield None
    setup.run_index()
    yield lambda path: setup.get_similar_images(image_path=str(path), number_of_images=10)


def clip_retrieval(photos: Path) -> Steps:
    import numpy as np
    import open_clip
    import torch
    from all_clip import load_clip
    from clip_retrieval.clip_inference import clip_inference
    from PIL import Image

    make = open_clip.create_model_and_transforms  # without pretrained=, it loads random numbers
    open_clip.create_model_and_transforms = lambda name, **_: make(name)
    name = "open_clip:RN50"
    net, prepare, _ = load_clip(name, use_jit=False, device="cpu")
    yield None
    # Its usual batch is 256, with which it warms up for two minutes on a processor.
    clip_inference(str(photos), "out", clip_model=name, enable_text=False, batch_size=32)
    rows = np.concatenate([np.load(p) for p in sorted(Path("out/img_emb").glob("*.npy"))])
    search = nearest(range(len(rows)), rows)

    def answer(path: Path) -> list[object]:
        with torch.no_grad():
            vector = net.encode_image(prepare(Image.open(path))[None])[0].numpy()
        return search(vector)

    yield answer


def main() -> None:
    peer, photos, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    files = sorted(photos.iterdir())
    without_downloads()
    steps = globals()[peer](photos)
    next(steps)
    opened = time.perf_counter() - START
    search = next(steps)
    indexed = time.perf_counter() - START
    search(files[0])
    answered = time.perf_counter() - START
    for path in files[:count]:
        search(path)
    each = (time.perf_counter() - START - answered) / count
    # With its vectors at hand, a new process imports and opens the network before it answers.
    first = opened + answered - indexed
    print()  # behind what a peer has left on its last line
    print(json.dumps({"rate": len(files) / indexed, "first": first, "query_ms": 1000 * each}))


if __name__ == "__main__":
    main()
