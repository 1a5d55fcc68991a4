"""Decodes JPEGs on a GPU: nvJPEG, then cropping and resampling as batched matrix products.

Only plain JPEGs are decoded there (`parse_plain_jpeg`). Everything else, and what the decoder
refuses, takes the CPU's way, which also words the reason of a failure.
"""

from __future__ import annotations

import logging
import math
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from cbir.config import Interpolation, max_pixels
from cbir.embedding.pytorch.resampling import SUPPORT, resample_boxes, vertical_first
from cbir.images import DecodeOptions
from cbir.images.frames import FLAT
from cbir.images.geometry import SIDEWAYS, WHOLE_IMAGE, Box, view_boxes
from cbir.images.jpeg_header import PlainJpeg, parse_plain_jpeg

__all__ = ["DecodePlan", "DeviceImage", "GpuDecoder", "JpegDecoder", "nvjpeg_decoder"]

log = logging.getLogger(__name__)

MAX_PIXELS = 50_000_000
"""Largest image decoded on the GPU; a CPU decodes larger ones at a reduced size, which is faster"""
BATCH_PIXELS = 128_000_000
"""Most pixels decoded at once: 384 MB, and half as much again for the resampling."""
STREAMS = 4
"""Number of batches in work at once: one is decoded while others are prepared and resampled."""

JpegDecoder: TypeAlias = "Callable[[list[Tensor]], list[Tensor]]"
"""Encoded JPEGs, uint8 (bytes,) in main memory → uint8 (3, H, W) RGB on the device. Raises
RuntimeError if it cannot decode all of them."""


@dataclass(frozen=True, slots=True, eq=False)
class DeviceImage:
    """An image that was decoded on a device."""

    pixels: Tensor
    """uint8 (1 + R, V, crop, crop, 3), as those of `DecodedImage`."""
    width: int
    height: int
    """Size of the whole image in pixels, upright."""


@dataclass(frozen=True, slots=True)
class DecodePlan:
    """Where the parts of one image lie that a network is given."""

    data: bytes
    header: PlainJpeg
    boxes: tuple[Box, ...]
    """One box for each region and view, in stored pixels."""
    window: tuple[int, int, int, int]
    """Left, upper, right, lower edge of the pixels that the boxes need."""


Indexed: TypeAlias = "tuple[int, DecodePlan]"
"""The place of an image among those to be decoded, and its plan."""


class GpuDecoder:
    """Decodes batches of encoded images on one device. Thread-safe."""

    def __init__(
        self, device: torch.device, decode: JpegDecoder, *, streams: int = STREAMS
    ) -> None:
        self.device = device
        self._decode_jpegs = decode
        self._on_gpu = device.type == "cuda"
        self._turns = threading.BoundedSemaphore(streams)
        self._local = threading.local()

    def decode(self, images: Sequence[bytes], options: DecodeOptions) -> list[DeviceImage | None]:
        """The images decoded; None for each one that a CPU must decode.

        The work is done on a stream of the calling thread, and is complete on return.
        """
        return self.decode_planned(self.plan(images, options), options)

    def plan(self, images: Sequence[bytes], options: DecodeOptions) -> list[DecodePlan | None]:
        """How the images will be decoded; None for each one that is not for a GPU."""
        return [_plan(data, options) for data in images]

    def decode_planned(
        self, plans: Sequence[DecodePlan | None], options: DecodeOptions
    ) -> list[DeviceImage | None]:
        """As `decode`, of images that were planned with the same options."""
        results: list[DeviceImage | None] = [None] * len(plans)
        planned = [(index, plan) for index, plan in enumerate(plans) if plan is not None]
        for batch in _batches(planned):
            with self._turns:
                self._fill(results, batch, options)
        return results

    def _fill(
        self, results: list[DeviceImage | None], batch: Sequence[Indexed], options: DecodeOptions
    ) -> None:
        """Decode a batch into its places; halves of it where the whole is refused."""
        try:
            pixels, flat = self._on_stream([plan for _, plan in batch], options)
        except torch.cuda.OutOfMemoryError:
            log.info("no memory on %s for %d images at once", self.device, len(batch))
            if len(batch) == 1:
                return
        except RuntimeError as error:  # torch raises it for a JPEG that nvJPEG cannot decode
            log.debug("not decoded on %s: %s", self.device, error)
            if len(batch) == 1:
                return
        else:
            for (index, plan), parts, blank in zip(batch, pixels, flat, strict=True):
                if blank:  # the CPU finds out whether it is one colour, which is remarked
                    continue
                width, height = plan.header.width, plan.header.height
                if plan.header.orientation in SIDEWAYS:
                    width, height = height, width
                results[index] = DeviceImage(parts, width, height)
            return
        middle = len(batch) // 2
        self._fill(results, batch[:middle], options)
        self._fill(results, batch[middle:], options)

    def _on_stream(
        self, batch: Sequence[DecodePlan], options: DecodeOptions
    ) -> tuple[Tensor, list[bool]]:
        """uint8 (N, 1 + R, V, crop, crop, 3), and which images look like one flat colour."""
        with torch.inference_mode():
            if not self._on_gpu:
                pixels = self._decode_batch(batch, options)
                return pixels, _flat(pixels).tolist()
            stream: torch.cuda.Stream | None = getattr(self._local, "stream", None)
            if stream is None:
                stream = self._local.stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
            with torch.cuda.device(self.device), torch.cuda.stream(stream):
                # The decoder writes on a stream of its own into memory that this one may still
                # read: everything before has to be complete, and is, as every call waits.
                pixels = self._decode_batch(batch, options)
                flat = _flat(pixels).to("cpu", non_blocking=True)
                done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
                done.record(stream)
            done.synchronize()
        return pixels, flat.tolist()

    def _decode_batch(self, batch: Sequence[DecodePlan], options: DecodeOptions) -> Tensor:
        decoded = self._decode_jpegs([_as_tensor(plan.data) for plan in batch])
        windows, sizes = _windows(batch, decoded, self.device)
        side = options.preprocessing.crop
        tall = [vertical_first(plan.header.width, plan.header.height, side) for plan in batch]
        parts = [
            resample_boxes(
                windows,
                sizes,
                [_relative(plan.boxes[number], plan.window) for plan in batch],
                side,
                options.preprocessing.interpolation,
                vertical=tall,
                dtype=torch.float16 if self._on_gpu else torch.float32,
            )
            for number in range(len(batch[0].boxes))
        ]
        views = len(options.views)
        pixels = torch.stack(parts, dim=1)
        pixels = pixels.view(len(batch), -1, views, side, side, 3)
        for number, plan in enumerate(batch):
            if plan.header.orientation != 1:
                pixels[number] = upright(pixels[number], plan.header.orientation)
        return pixels


def upright(pixels: Tensor, orientation: int) -> Tensor:
    """(..., side, side, 3) as stored → upright, by its EXIF orientation."""
    turned = pixels.transpose(-3, -2) if orientation in SIDEWAYS else pixels
    # Axes that run in reverse, after rows and columns are exchanged: rows and columns.
    axes = {2: (-2,), 3: (-3, -2), 4: (-3,), 6: (-2,), 7: (-3, -2), 8: (-3,)}.get(orientation, ())
    return turned.flip(axes) if axes else turned.contiguous()


def nvjpeg_decoder(device: torch.device) -> JpegDecoder | None:
    """nvJPEG as torchvision contains it; None if it cannot be used there."""
    if device.type != "cuda" or torch.version.hip is not None:
        return None
    try:
        import torchvision.io  # noqa: F401  registers the operation

        decode = torch.ops.image.decode_jpegs_cuda
    except (ImportError, AttributeError, RuntimeError) as error:
        log.info("JPEGs are decoded on the CPU: %s", error)
        return None
    rgb = 3  # torchvision.io.ImageReadMode.RGB
    return lambda images: decode(images, rgb, device)


def _flat(pixels: Tensor) -> Tensor:
    """bool (N,): whether the levels of an image's first view differ no more than noise does."""
    levels = pixels[:, 0, 0].flatten(1, 2)
    return (levels.amax(1) - levels.amin(1)).amax(1) <= FLAT


def _plan(data: bytes, options: DecodeOptions) -> DecodePlan | None:
    """What to decode of an image; None if it is not for the GPU."""
    header = parse_plain_jpeg(data)
    if header is None or header.pixels > min(MAX_PIXELS, max_pixels()):
        return None
    size = header.width, header.height
    preprocessing = options.preprocessing
    boxes: list[Box] = []
    for region in (WHOLE_IMAGE, *options.regions):
        by_view = view_boxes(region, size, size, header.orientation, preprocessing)
        boxes.extend(by_view[view] for view in options.views)
    window = _window(boxes, size, preprocessing.crop, preprocessing.interpolation)
    return DecodePlan(data, header, tuple(boxes), window)


def _window(
    boxes: Sequence[Box], size: tuple[int, int], side: int, interpolation: Interpolation
) -> tuple[int, int, int, int]:
    """The whole pixels that the kernels of all boxes reach."""
    edges = []
    for left, upper, right, lower in boxes:
        across = SUPPORT[interpolation] * max(1.0, (right - left) / side)
        down = SUPPORT[interpolation] * max(1.0, (lower - upper) / side)
        edges.append((left - across, upper - down, right + across, lower + down))
    lefts, uppers, rights, lowers = zip(*edges, strict=True)
    return (
        max(0, math.floor(min(lefts)) - 1),
        max(0, math.floor(min(uppers)) - 1),
        min(size[0], math.ceil(max(rights)) + 1),
        min(size[1], math.ceil(max(lowers)) + 1),
    )


def _relative(box: Box, window: tuple[int, int, int, int]) -> Box:
    left, upper, right, lower = box
    return left - window[0], upper - window[1], right - window[0], lower - window[1]


def _windows(
    batch: Sequence[DecodePlan], decoded: Sequence[Tensor], device: torch.device
) -> tuple[Tensor, list[tuple[int, int]]]:
    """uint8 (N, 3, H, W): the windows, padded to the largest; and their (width, height)."""
    sizes = [
        (right - left, lower - upper) for left, upper, right, lower in (p.window for p in batch)
    ]
    height, width = max(h for _, h in sizes), max(w for w, _ in sizes)
    padded = torch.zeros((len(batch), 3, height, width), dtype=torch.uint8, device=device)
    targets, sources = [], []
    for target, image, plan in zip(padded.unbind(), decoded, batch, strict=True):
        left, upper, right, lower = plan.window
        if image.shape[1:] != (plan.header.height, plan.header.width):
            raise RuntimeError("the decoder returned another size than the header states")
        targets.append(target[:, : lower - upper, : right - left])
        sources.append(image[:, upper:lower, left:right])
    torch._foreach_copy_(targets, sources)
    return padded, sizes


def _batches(plans: Sequence[Indexed]) -> list[list[Indexed]]:
    """Lists of images of at most `BATCH_PIXELS`, also when padded to the largest."""
    batches: list[list[Indexed]] = []
    largest = pixels = 0
    # Images of similar size together: the padding is then small.
    for index, plan in sorted(plans, key=lambda indexed: indexed[1].header.pixels):
        size = plan.header.pixels
        largest, pixels = max(largest, size), pixels + size
        if not batches or max(pixels, largest * (len(batches[-1]) + 1)) > BATCH_PIXELS:
            batches.append([])
            largest = pixels = size
        batches[-1].append((index, plan))
    return batches


def _as_tensor(data: bytes) -> Tensor:
    """The bytes as a tensor that shares their memory; it is only read."""
    return torch.frombuffer(data, dtype=torch.uint8)


with warnings.catch_warnings():
    # torch warns once in a process that the memory is read-only; nothing writes into it.
    warnings.simplefilter("ignore")
    _as_tensor(b"\0")
