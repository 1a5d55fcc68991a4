"""torch → OpenVINO, once per embedding space; kept in the user's cache under its fingerprint.

    <cache>/networks/<fingerprint>/network.xml, network.bin     the network, in float32
                                   export.json                  their SHA-256, written last
                                   compiled/                    OpenVINO's own cache

A folder is built beside its place, fsynced and renamed into it, so it is there as a whole or not
at all; one that was damaged since is built again.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import uuid
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbir.config import EmbeddingSpec, cache_dir
from cbir.embedding.openvino_import import import_openvino
from cbir.embedding.openvino_precision import keep_first_depthwise_exact
from cbir.embedding.weights import sha256_of
from cbir.errors import BackboneError, CbirError

if TYPE_CHECKING:
    from cbir.embedding.networks import EmbeddingNetwork

__all__ = ["export_network", "exported_network"]

log = logging.getLogger(__name__)

FORMAT = 1
"""Raised when networks are built differently, so that older exports are made again."""
FILES = ("network.xml", "network.bin")
SEAL = "export.json"


def exported_network(spec: EmbeddingSpec) -> Path | None:
    """The exported network of a spec, if it is in the cache and undamaged; needs no torch."""
    folder = _folder(spec)
    return folder / FILES[0] if _is_complete(folder) else None


def export_network(spec: EmbeddingSpec, checkpoint: Path) -> Path:
    """Builds the network in torch, converts it and keeps it. Takes seconds, and imports torch.

    Several processes may export at once; one of them wins. Raises WeightsError if the checkpoint
    does not fit, BackboneError if the conversion fails, CbirError if the cache is not writable.
    """
    from cbir.embedding.networks import build_network

    log.info("exporting %s to OpenVINO; this happens once", spec.backbone)
    model = _convert(build_network(spec, checkpoint), spec)
    folder = _folder(spec)
    building = folder.with_name(f".{folder.name}-{uuid.uuid4().hex}")
    try:
        building.mkdir(parents=True)
        import_openvino().save_model(model, building / FILES[0], compress_to_fp16=False)
        keep_first_depthwise_exact(building / FILES[0])
        _seal(building)
        _move_into_place(building, folder)
    except OSError as error:
        raise CbirError(
            f"cannot keep the exported network in {folder}: {error.strerror}; "
            f"make it writable, or name another folder in CBIR_CACHE_DIR"
        ) from None
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return folder / FILES[0]


def _convert(network: EmbeddingNetwork, spec: EmbeddingSpec) -> Any:
    """An OpenVINO model for batches of any size that agrees with torch. Raises BackboneError."""
    import torch

    side = spec.preprocessing.crop
    images = _mosaics(side)
    with torch.inference_mode():
        expected = network(torch.from_numpy(images)).numpy()
    reasons = []
    for convert in (_by_tracing, _by_torch_export):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the tracer's remarks on torchvision's asserts
                model = convert(network, torch.zeros(1, side, side, 3, dtype=torch.uint8))
            model.reshape([-1, side, side, 3])
            if _agrees(model, images, expected):
                return model
            reasons.append("the converted network disagrees with torch")
        except Exception as error:  # converters raise many kinds; the next one may do better
            reasons.append(str(error).splitlines()[0] if str(error) else type(error).__name__)
    raise BackboneError(
        f"cannot convert {spec.backbone} to OpenVINO ({'; '.join(reasons)}); "
        f"run it in torch: --runtime torch"
    )


def _by_tracing(network: EmbeddingNetwork, example: Any) -> Any:
    return import_openvino().convert_model(network, example_input=example)


def _by_torch_export(network: EmbeddingNetwork, example: Any) -> Any:
    """For networks whose trace differs from run to run, such as vision transformers."""
    import torch

    batch = torch.export.Dim("batch", min=1, max=1024)
    example = example.repeat(2, 1, 1, 1)  # a batch of 1 would be taken for a constant
    program = torch.export.export(network, (example,), dynamic_shapes={"images": {0: batch}})
    return import_openvino().convert_model(program)


def _mosaics(side: int) -> Any:
    """Two images of large coloured tiles, uint8 (2, side, side, 3): a batch unlike the example."""
    import numpy as np

    tiles = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    rows = np.arange(side) * 8 // side
    return tiles[:, rows][:, :, rows]


def _agrees(model: Any, images: Any, expected: Any) -> bool:
    """Whether the converted network gives torch's vectors, cosine at least 0.999.

    A right conversion of a trained network comes to 0.999999, a wrong one falls far below.
    """
    import numpy as np

    config = {"INFERENCE_PRECISION_HINT": "f32"}
    vectors = import_openvino().Core().compile_model(model, "CPU", config)([images])[0]
    if vectors.shape != expected.shape:
        return False
    norms = np.linalg.norm(vectors, axis=1) * np.linalg.norm(expected, axis=1)
    return bool(((vectors * expected).sum(axis=1) >= 0.999 * norms).all())


def _folder(spec: EmbeddingSpec) -> Path:
    return cache_dir() / "networks" / spec.network_fingerprint


def _seal(folder: Path) -> None:
    """Writes down what is in a folder, and sees it onto the disk."""
    seal = {"format": FORMAT, "sha256": {name: sha256_of(folder / name) for name in FILES}}
    (folder / SEAL).write_text(json.dumps(seal, indent=1))
    for name in (*FILES, SEAL):
        with (folder / name).open("rb") as file:
            os.fsync(file.fileno())


def _is_complete(folder: Path) -> bool:
    """Whether a folder holds just what its seal says."""
    try:
        seal = json.loads((folder / SEAL).read_text())
        digests = {name: sha256_of(folder / name) for name in FILES}
    except (OSError, ValueError, CbirError):
        return False
    return bool(seal == {"format": FORMAT, "sha256": digests})


def _move_into_place(building: Path, folder: Path) -> None:
    """Renames a finished folder; one that another process finished first is left as it is."""
    try:
        building.rename(folder)
    except OSError:
        if _is_complete(folder):
            return
        damaged = building.with_name(f"{building.name}-damaged")
        folder.rename(damaged)
        building.rename(folder)
        shutil.rmtree(damaged, ignore_errors=True)
