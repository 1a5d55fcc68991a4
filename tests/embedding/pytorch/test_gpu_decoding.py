"""Decoding on a device, with Pillow in the place of nvJPEG."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from factories import encode, picture, plain, turned
from PIL import Image
from torch import Tensor

from cbir.config import MULTI_CROP, EmbeddingSpec, Preprocessing
from cbir.embedding import resolve_spec
from cbir.embedding.encoded import EmbeddedPicture, decode_each, embed_encoded
from cbir.embedding.pytorch import gpu_decoding
from cbir.embedding.pytorch.encoded import embed_on_device
from cbir.embedding.pytorch.gpu_decoding import GpuDecoder, nvjpeg_decoder
from cbir.embedding.vectors import unit_rows
from cbir.errors import ImageError
from cbir.images import DecodedImage, DecodeOptions

CPU = torch.device("cpu")
SHAPE = Preprocessing(resize=72, crop=64, interpolation="bicubic")
CROP = DecodeOptions(SHAPE)


def decode_on_cpu(images: list[Tensor]) -> list[Tensor]:
    """As nvJPEG does: all of them, or a RuntimeError."""
    try:
        pixels = [np.array(Image.open(io.BytesIO(image.numpy().tobytes()))) for image in images]
    except OSError as error:
        raise RuntimeError("Error while decoding JPEG images") from error
    return [torch.from_numpy(image).permute(2, 0, 1) for image in pixels]


def decoder(decode: Callable[[list[Tensor]], list[Tensor]] = decode_on_cpu) -> GpuDecoder:
    return GpuDecoder(CPU, decode)


def jpegs(count: int) -> list[bytes]:
    sizes = [(130, 90), (90, 160), (64, 64), (200, 75), (75, 200)]
    return [
        encode(picture(*sizes[n % len(sizes)], seed=n), "JPEG", quality=90) for n in range(count)
    ]


@pytest.mark.parametrize("kernel", ["bilinear", "bicubic"])
@pytest.mark.parametrize("views", [("crop",), ("crop", "whole", "zoom")])
@pytest.mark.parametrize("regions", [(), MULTI_CROP])
def test_pixels_are_those_of_the_cpu(kernel: Any, views: Any, regions: Any) -> None:
    shape = Preprocessing(resize=72, crop=64, interpolation=kernel)
    options = DecodeOptions(shape, views, regions)
    images = jpegs(5) + [turned(picture(90, 70, seed=o), o, "JPEG") for o in range(1, 9)]
    for found, expected in zip(
        decoder().decode(images, options), decode_each(images, options), strict=True
    ):
        assert found is not None
        assert isinstance(expected, DecodedImage)
        assert (found.width, found.height) == (expected.width, expected.height)
        difference = np.abs(found.pixels.numpy().astype(int) - expected.pixels)
        assert difference.max() <= 2
        assert difference.mean() < 0.2  # halves of a grey level are rounded either way


def test_what_is_not_plain_is_left_to_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    plain_jpeg = jpegs(1)[0]
    others = [
        b"",
        encode(picture(), "PNG"),
        encode(picture(), "JPEG", progressive=True),
        plain_jpeg[: len(plain_jpeg) // 2],
        encode(plain("red", 90, 90), "JPEG"),  # the CPU remarks that it is one flat colour
    ]
    decoded = decoder().decode([*others, plain_jpeg], CROP)
    assert [image is None for image in decoded] == [True] * len(others) + [False]
    monkeypatch.setenv("CBIR_MAX_PIXELS", "100")
    assert decoder().decode([plain_jpeg], CROP) == [None]


def test_an_image_that_the_decoder_refuses_is_alone() -> None:
    images = jpegs(20)
    refused = {len(images[3]), len(images[17])}
    calls: list[int] = []

    def strict(batch: list[Tensor]) -> list[Tensor]:
        calls.append(len(batch))
        if refused & {len(data) for data in batch}:
            raise RuntimeError("Error while decoding JPEG images")
        return decode_on_cpu(batch)

    decoded = decoder(strict).decode(images, CROP)
    assert [n for n, image in enumerate(decoded) if image is None] == [3, 17]
    assert len(calls) <= 20


def test_batches_are_small_enough_for_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_decoding, "BATCH_PIXELS", 50_000)
    sizes: list[int] = []

    def counting(batch: list[Tensor]) -> list[Tensor]:
        decoded = decode_on_cpu(batch)
        sizes.append(len(decoded) * max(image[0].numel() for image in decoded))
        return decoded

    decoded = decoder(counting).decode(jpegs(20), CROP)
    assert None not in decoded
    assert len(sizes) > 3
    assert max(sizes) <= 50_000


def test_without_a_gpu_there_is_no_decoder() -> None:
    assert nvjpeg_decoder(CPU) is None


class Means:
    """Embeds pixels by the mean of each of nine tiles."""

    device = "cpu"
    parallelism = 1

    def __init__(self, spec: EmbeddingSpec, decoder: GpuDecoder | None) -> None:
        self.spec = spec
        self.decoder = decoder
        self.batches: list[int] = []

    def embed_tensor(self, images: Tensor) -> Any:
        self.batches.append(len(images))
        return self.embed(list(images.numpy()))

    def embed(self, images: Sequence[Any]) -> Any:
        tiles = np.stack(images)[:, :63, :63].reshape(len(images), 3, 21, 3, 21, 3)
        return unit_rows(tiles.mean(axis=(2, 4)).reshape(len(images), -1).astype(np.float32))

    def describe(self) -> str:
        return "means"


class DecodingMeans(Means):
    def embed_encoded(self, images: Any, options: Any, decode_all: Any) -> Any:
        assert self.decoder is not None
        return embed_on_device(self, self.decoder, images, options, decode_all)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("views", [("crop",), ("crop", "whole")])
@pytest.mark.parametrize("regions", [(), MULTI_CROP[:2]])
def test_vectors_are_those_of_the_cpu(flip: bool, views: Any, regions: Any) -> None:
    """Mixed formats in any order; failures with the same reasons; one batch for the network."""
    spec, _ = resolve_spec("tiny_image", views=views, flip=flip)
    spec = EmbeddingSpec("means", "none", "none", 27, SHAPE, views, flip)
    options = DecodeOptions(SHAPE, views, regions)
    images: list[bytes] = []
    for number, data in enumerate(jpegs(12)):
        images += [data, encode(picture(80, 60, seed=number), "PNG")] if number % 3 else [data]
    images[5:5] = [b"no image", encode(plain("red", 80, 80), "JPEG"), images[0][:300]]
    there = DecodingMeans(spec, decoder())
    found = embed_encoded(there, images, options)
    expected = embed_encoded(Means(spec, None), images, options)
    assert len(there.batches) == 1
    for one, other in zip(found, expected, strict=True):
        if isinstance(other, ImageError):
            assert str(one) == str(other)
            continue
        assert isinstance(one, EmbeddedPicture)
        assert isinstance(other, EmbeddedPicture)
        assert (one.width, one.height, one.remarks) == (other.width, other.height, other.remarks)
        assert one.vectors.shape == (1 + len(regions), 27)
        np.testing.assert_allclose(one.vectors, other.vectors, atol=2e-3)


def test_a_batch_of_failures_embeds_nothing() -> None:
    spec = EmbeddingSpec("means", "none", "none", 27, SHAPE)
    there = DecodingMeans(spec, decoder())
    results = embed_encoded(there, [b"", b"no image"], CROP)
    assert [type(result).__name__ for result in results] == ["ImageFormatError"] * 2
    assert there.batches == []
