"""Configuration: a gallery's embedding space and settings, and this machine's settings."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from cbir.errors import OptionError

__all__ = [
    "EmbeddingSpec",
    "GalleryConfig",
    "Ground",
    "Interpolation",
    "Pooling",
    "Preprocessing",
    "Region",
    "View",
    "Whitening",
    "available_cores",
    "cache_dir",
    "max_bytes",
    "max_download",
    "max_pixels",
    "network_timeout",
    "weights_dirs",
]

View = Literal["crop", "whole", "zoom"]
Interpolation = Literal["bilinear", "bicubic"]
Ground = Literal["contrast", "white"]
Pooling = Literal["avg", "max", "gem", "rmac", "flatten", "cls", "none"]
Region: TypeAlias = "tuple[float, float, float, float]"
"""x, y, width, height of a part of an image, as fractions of the upright whole."""

MULTI_CROP: tuple[Region, ...] = tuple(
    (x, y, 0.5, 0.5) for y in (0.0, 0.25, 0.5) for x in (0.0, 0.25, 0.5)
)
"""Nine regions of half the image's sides, each of which overlaps its neighbours by half."""

DEFAULT_GALLERY = Path("index_data/default")
CATALOG_FILE = "catalog.sqlite"
"""The catalogue in a gallery's folder."""
GALLERY_FILE = "cbir-gallery.json"
"""File in a gallery's folder that says where its catalogue is, if not in the folder."""
DEFAULT_BACKBONE = "efficientnet_lite0"


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Preprocessing of a decoded image for the network; the same for gallery and query.

    The shorter side is scaled to `resize` pixels and the centre square of `crop` pixels is cut out;
    `mean` and `std` apply to channels scaled to [0, 1] and are folded into the network's graph.
    """

    resize: int
    crop: int
    interpolation: Interpolation = "bilinear"
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class EmbeddingSpec:
    """Everything that makes two embeddings comparable, fixed when a gallery is created.

    Where a network runs (OpenVINO or torch, bf16 or fp32) is not part of it: the runtimes agree
    within a tolerance that the tests state.
    """

    backbone: str
    weights: str
    """`sha256:` and the digest of the checkpoint file; `none` for a backbone without weights."""
    pooling: Pooling
    dim: int
    preprocessing: Preprocessing
    views: tuple[View, ...] = ("crop",)
    """The parts of an image given to the network; the embeddings of several views are averaged.
    `crop` is the centre square, `whole` the full image squeezed into a square, `zoom` the middle of
    the centre square enlarged √2 times: a second scale."""
    flip: bool = False
    """Whether the mirror image of each view is embedded, too."""

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that differ whenever any part of the spec differs."""
        parts = self.to_json()
        # Options added later count only where they are used: older galleries keep their
        # fingerprint.
        if self.views == ("crop",):
            del parts["views"]
        if not self.flip:
            del parts["flip"]
        canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    @property
    def network_fingerprint(self) -> str:
        """Fingerprint of the network's part of the spec: views are averaged outside the network."""
        return replace(self, views=("crop",), flip=False).fingerprint

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> EmbeddingSpec:
        preprocessing = dict(data["preprocessing"])
        preprocessing["mean"] = tuple(preprocessing["mean"])
        preprocessing["std"] = tuple(preprocessing["std"])
        views = tuple(data.get("views", ("crop",)))
        changed = {"preprocessing": Preprocessing(**preprocessing), "views": views}
        return cls(**{**data, **changed})

    def differences(self, other: EmbeddingSpec) -> list[str]:
        """The fields in which two specs differ, as `field: this value against the other's`.

        Where the backbones differ, only their names and dimensions are given: most other fields
        then differ, too.
        """
        a, b = self.to_json(), other.to_json()
        names = ("backbone", "dim") if self.backbone != other.backbone else tuple(a)
        return [f"{name}: {a[name]} against {b[name]}" for name in names if a[name] != b[name]]


@dataclass(frozen=True, slots=True)
class Whitening:
    """Options of centring and whitening, which are applied before embeddings are compared.

    The mean is subtracted and each principal direction divided by its variance to the power
    `power` / 2: power 0 only centres, 0.5 is half-power, 1 full whitening. Before that, `shrink`
    moves the variances towards their mean, and `dims`, if given, keeps that many leading
    directions.
    """

    power: float = 0.0
    shrink: float = 0.0
    dims: int | None = None
    fitted: str = ""
    """Digest of the fitted mean and directions, which are stored in the catalogue."""


@dataclass(frozen=True, slots=True)
class GalleryConfig:
    """The settings of a gallery, stored in its catalogue and changed only in transactions."""

    spec: EmbeddingSpec
    weights_from: str | None = None
    """Checkpoint file or torchvision weights name the spec's weights were read from, if any."""
    index: str = "auto"
    """Kind of vector index: a name in `cbir.indexes.registry`, or `auto`."""
    whitening: Whitening | None = None
    calibration: str | None = None
    """Digest of the images that calibrate the int8 network, where the gallery embeds in int8. Not
    in the spec: int8 and fp32 embeddings are comparable within a tolerance."""
    regions: tuple[Region, ...] = ()
    """The parts of each image that are embedded separately; none in most galleries. Not in the
    spec: they decide what can be found, not what can be compared."""
    ground: Ground = "contrast"
    """What transparent parts of images are blended with before they are embedded: a level of grey
    that shows the picture's edges, or white as before version 0.3. Not in the spec: the embeddings
    of all other images are the same."""

    def to_json(self) -> dict[str, Any]:
        return {
            "spec": self.spec.to_json(),
            "weights_from": self.weights_from,
            "index": self.index,
            "regions": [list(region) for region in self.regions],
            "whitening": None if self.whitening is None else asdict(self.whitening),
            "calibration": self.calibration,
            "ground": self.ground,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> GalleryConfig:
        return cls(
            spec=EmbeddingSpec.from_json(data["spec"]),
            weights_from=data["weights_from"],
            index=data["index"],
            whitening=None if data.get("whitening") is None else Whitening(**data["whitening"]),
            calibration=data.get("calibration"),
            regions=tuple((x, y, w, h) for x, y, w, h in data.get("regions", ())),
            ground=data.get("ground", "white"),
        )


def available_cores() -> int:
    """Cores this process may use: CPU affinity and the cgroup's quota; `CBIR_THREADS` overrides."""
    setting = os.environ.get("CBIR_THREADS")
    if setting:
        return max(1, _integer("CBIR_THREADS", setting))
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, min(cores, _cgroup_quota() or cores))


def max_pixels() -> int:
    """Largest image that is decoded, in pixels: `CBIR_MAX_PIXELS`, by default 100 million."""
    return _integer("CBIR_MAX_PIXELS", os.environ.get("CBIR_MAX_PIXELS", "100000000"))


def max_bytes() -> int:
    """Largest encoded image that is read, in bytes: 10 per pixel of the largest image.

    Uncompressed 16-bit RGBA has 8.
    """
    return 10 * max_pixels()


def max_download() -> int:
    """Largest image read over a network, in bytes: `CBIR_MAX_DOWNLOAD`, by default 64 MB."""
    setting = os.environ.get("CBIR_MAX_DOWNLOAD")
    return min(max_bytes(), _integer("CBIR_MAX_DOWNLOAD", setting) if setting else 64_000_000)


def network_timeout() -> float:
    """Time limit of one attempt to read over a network, in seconds: `CBIR_TIMEOUT`, or 30."""
    return max(1, _integer("CBIR_TIMEOUT", os.environ.get("CBIR_TIMEOUT", "30")))


def cache_dir() -> Path:
    """Folder of exported networks: `CBIR_CACHE_DIR`, or `cbir` in the user's cache.

    A folder in the system's temporary one where the user has no home, or may not write there.
    """
    setting = os.environ.get("CBIR_CACHE_DIR")
    if setting:
        return Path(setting)
    import platformdirs

    try:
        folder = Path(platformdirs.user_cache_dir("cbir", appauthor=False))
    except RuntimeError:  # no home; older versions return it as `~`
        return _temporary_cache()
    # A cache that somebody else has filled can be read.
    if folder.is_absolute() and (_can_be_made(folder) or (folder / "networks").is_dir()):
        return folder
    return _temporary_cache()


def weights_dirs() -> list[Path]:
    """Folders searched for checkpoints: `CBIR_WEIGHTS_DIR`, then torchvision's download folder."""
    home = os.environ.get("TORCH_HOME")
    if not home:
        home = str(Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch")
    expanded = Path(os.path.expanduser(home))  # noqa: PTH111  raises nothing without a home
    torch_home = cache_dir() / "torch" if str(expanded).startswith("~") else expanded
    downloads = torch_home / "hub" / "checkpoints"
    setting = os.environ.get("CBIR_WEIGHTS_DIR")
    return [Path(os.path.expanduser(setting)), downloads] if setting else [downloads]  # noqa: PTH111


def _can_be_made(folder: Path) -> bool:
    """Whether this process may write to a folder, or create it."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    effective = os.access in os.supports_effective_ids
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK, effective_ids=effective)


def _temporary_cache() -> Path:
    """This user's folder below the system's temporary one, which is created and said once."""
    import logging
    import stat
    import tempfile

    try:
        user = os.getuid() if hasattr(os, "getuid") else "user"
        folder = Path(tempfile.gettempdir()) / f"cbir-{user}"
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            logging.getLogger(__name__).warning(
                "no home folder to write to: networks are kept in %s; CBIR_CACHE_DIR names "
                "another folder",
                folder,
            )
        status = folder.lstat()
        if hasattr(os, "getuid") and (
            status.st_uid != user or not stat.S_ISDIR(status.st_mode) or status.st_mode & 0o022
        ):
            raise OptionError(f"{folder} belongs to another user; set CBIR_CACHE_DIR to a folder")
    except OSError as error:
        raise OptionError(
            "no folder to keep networks in: the user has no home, and no temporary folder can be "
            "written; set CBIR_CACHE_DIR to a folder"
        ) from error
    return folder


def _integer(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise OptionError(
            f"{name} is {text!r}, not a whole number; unset it or correct it"
        ) from None


def _cgroup_quota() -> int | None:
    """Cores granted by the cgroup (version 2, then 1), rounded up; None without a quota."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            root = Path("/sys/fs/cgroup/cpu")
            quota = (root / "cpu.cfs_quota_us").read_text().strip()
            period = (root / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    if quota in ("max", "-1"):
        return None
    return -(-int(quota) // int(period))
