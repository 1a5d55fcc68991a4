"""Locates, downloads and verifies checkpoints by their hash, without torch."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cbir.config import DEFAULT_BACKBONE, weights_dirs
from cbir.embedding.backbone import Backbone, WeightsFile
from cbir.errors import WeightsError
from cbir.messages import shell_word

__all__ = ["Weights", "locate_weights", "weights_present"]

log = logging.getLogger(__name__)

CHUNK = 1 << 23
"""Number of bytes read and hashed at a time; other threads run in between."""
TIMEOUT = 30.0
"""Seconds without a response after which a download fails."""


@dataclass(frozen=True, slots=True)
class Weights:
    """A checkpoint on this machine."""

    path: Path
    sha256: str
    """64 hexadecimal digits."""
    label: str
    """Its name in the registry, or its absolute path if it was given as a file."""
    variant: WeightsFile
    """The published weights; for a file, the default ones, whose preprocessing is used."""

    @property
    def identity(self) -> str:
        """Its identity in an EmbeddingSpec: `sha256:` and the digest."""
        return f"sha256:{self.sha256}"


def locate_weights(
    backbone: Backbone, weights: str | None = None, *, identity: str | None = None
) -> Weights:
    """Finds a checkpoint by name or path, downloads it if necessary, and checks its hash.

    Without `weights` it is the one with the hash in a spec's `identity`, or the backbone's default.
    Raises WeightsError where it is missing, damaged or cannot be downloaded.
    """
    variant = _variant(backbone, weights, identity)
    if variant is None:
        path = Path(str(weights)).expanduser().absolute()
        if not path.is_file():
            names = ", ".join(published.name for published in backbone.weights)
            raise WeightsError(
                f"no weights {weights!r} for {backbone.name}: neither a file nor a name it has; "
                f"choose one of {names}, or give the path of a checkpoint"
            )
        return Weights(path, sha256_of(path), str(path), backbone.weights[0])
    path = _find(variant) or _fetch(backbone, variant)
    digest = sha256_of(path)
    if not digest.startswith(_hash_in_name(variant.file)):
        raise WeightsError(
            f"{path} is damaged: its SHA-256 begins with {digest[:8]}, its name says "
            f"{_hash_in_name(variant.file)}; delete it and run again, or pass it as a file to use "
            f"it as it is: --weights {shell_word(path)}"
        )
    return Weights(path, digest, variant.name, variant)


def weights_present(backbone: Backbone, weights: str | None = None) -> bool:
    """Whether a checkpoint, by default that of the default weights, is on this machine."""
    if not backbone.weights:
        return True
    variant = _variant(backbone, weights, None)
    return Path(str(weights)).is_file() if variant is None else _find(variant) is not None


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, 64 hexadecimal digits. Raises WeightsError if it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror}; check its permissions") from None
    return digest.hexdigest()


def _variant(backbone: Backbone, weights: str | None, identity: str | None) -> WeightsFile | None:
    """The published weights with a name or an identity; None for any other name."""
    if weights is not None:
        return next(
            (published for published in backbone.weights if published.name == weights), None
        )
    digest = (identity or "").removeprefix("sha256:")
    for published in backbone.weights:
        if digest and digest.startswith(_hash_in_name(published.file)):
            return published
    return backbone.weights[0]


def _hash_in_name(file: str) -> str:
    """The first digits of the SHA-256, which published checkpoints have in their name."""
    match = re.search(r"-([a-f0-9]{8,})\.pth$", file)
    return match.group(1) if match else ""


def _find(variant: WeightsFile) -> Path | None:
    """The path of a checkpoint file on this machine, if there is one."""
    folders = weights_dirs()
    if variant.package:
        package = importlib.util.find_spec(variant.package)
        folders += [
            Path(p) / "models" for p in (package and package.submodule_search_locations) or ()
        ]
    return next(
        (folder / variant.file for folder in folders if (folder / variant.file).is_file()), None
    )


def _fetch(backbone: Backbone, variant: WeightsFile) -> Path:
    """Downloads a checkpoint to torchvision's download folder. Raises WeightsError."""
    if variant.url is None:
        raise WeightsError(
            f"the weights of {backbone.name} are not installed; {variant.install} brings them"
        )
    target = weights_dirs()[-1] / variant.file
    log.info("downloading %s to %s", variant.url, target)
    try:
        _download(variant.url, target)
    except (OSError, ValueError) as error:  # URLError and timeouts are OSErrors
        raise WeightsError(
            f"no weights for {backbone.name}: {variant.file} is not on this machine and the "
            f"download failed ({error}); fetch {variant.url} and put it into {target.parent}, or "
            f"name its folder in CBIR_WEIGHTS_DIR, or pass it as --weights FILE; "
            f"{DEFAULT_BACKBONE} works offline"
        ) from None
    return target


def _download(url: str, target: Path) -> None:
    """Downloads a URL to a file that appears only when it is complete and its hash is right."""
    target.parent.mkdir(parents=True, exist_ok=True)
    from urllib.request import urlopen  # most runs download nothing, and it takes 16 ms

    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file, urlopen(url, timeout=TIMEOUT) as response:
            while chunk := response.read(CHUNK):
                file.write(chunk)
        if not sha256_of(part).startswith(_hash_in_name(target.name)):
            raise ValueError("the download is incomplete or another file")
        part.chmod(0o644)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
