"""EfficientNet-Lite0 still classifies as published: the packaged weights are loaded right."""

import csv

import numpy as np
import torch
from datasets import dataset

from cbir.embedding import find_backbone, locate_weights
from cbir.embedding.pytorch.architecture import build_architecture
from cbir.embedding.pytorch.checkpoints import load_checkpoint
from cbir.images import decode


def test_the_packaged_weights_classify_photographs() -> None:
    from torchvision.models import ResNet18_Weights

    folder = dataset("photos")
    backbone = find_backbone("efficientnet_lite0")
    architecture = build_architecture(backbone, backbone.preprocessing.crop)
    net = architecture.net
    state = set(net.state_dict())
    checkpoint = locate_weights(backbone).path
    load_checkpoint(net, checkpoint, backbone.name, needed=state, heads=architecture.heads)
    classes = [name.replace(" ", "_") for name in ResNet18_Weights.DEFAULT.meta["categories"]]
    right = []
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if classes.count(row["label"]) == 1][::3]
    mean = torch.tensor(backbone.preprocessing.mean) * 255
    std = torch.tensor(backbone.preprocessing.std) * 255
    with torch.inference_mode():
        for row in rows:
            pixels = decode((folder / row["path"]).read_bytes(), backbone.preprocessing).pixels
            image = (torch.from_numpy(pixels).float() - mean) / std
            logits = net(image.permute(2, 0, 1)[None])
            right.append(classes[int(logits.argmax())] == row["label"])
    assert len(rows) > 50
    assert np.mean(right) >= 0.8
