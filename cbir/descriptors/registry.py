"""Every kind of descriptor by name. A new one is one file and one entry here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cbir.errors import MissingExtraError, OptionError
from cbir.registry import did_you_mean, load_part

if TYPE_CHECKING:
    from cbir.descriptors.descriptor import Descriptor

__all__ = [
    "DESCRIPTORS",
    "DescriptorInfo",
    "find_descriptor",
    "open_descriptor",
    "register_descriptor",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class DescriptorInfo:
    """Description of a kind of descriptor, which costs no import."""

    name: str
    """Stored in the catalogue beside each descriptor: never renamed or given to another kind."""
    factory: str
    """`module:attribute` of a function without arguments that returns a `Descriptor`."""
    bytes_per_image: int
    """Largest size of one in the catalogue, in bytes."""
    used_by: str
    """Options that need it, for help texts: `--rerank sift`."""
    local_features: bool = False
    """Whether it is of type `LocalFeatures`, which can be matched, verified and drawn."""
    needs: str = ""
    """How to install further packages that it needs, as `pip install 'cbir[x]'`; else empty."""


DESCRIPTORS: dict[str, DescriptorInfo] = {
    info.name: info
    for info in (
        DescriptorInfo(
            name="sift",
            factory="cbir.descriptors.local_features:sift",
            bytes_per_image=98_000,
            used_by="--rerank sift and duplicates --verify",
            local_features=True,
        ),
        DescriptorInfo(
            name="orb",
            factory="cbir.descriptors.local_features:orb",
            bytes_per_image=24_100,
            used_by="--rerank orb",
            local_features=True,
        ),
        DescriptorInfo(
            name="grey",
            factory="cbir.descriptors.thumbnails:grey",
            bytes_per_image=9_216,
            used_by="--rerank ssim",
        ),
        DescriptorInfo(
            name="colour",
            factory="cbir.descriptors.thumbnails:colour",
            bytes_per_image=27_648,
            used_by="duplicates --verify",
        ),
        DescriptorInfo(
            name="phash",
            factory="cbir.descriptors.thumbnails:phash",
            bytes_per_image=1_216,
            used_by="duplicates",
        ),
    )
}
"""By name, in the order in which they are listed."""


def find_descriptor(name: str) -> DescriptorInfo:
    """The description of a kind of descriptor. Raises OptionError for an unknown name."""
    if name not in DESCRIPTORS:
        hint = did_you_mean(name, DESCRIPTORS)
        raise OptionError(f"no descriptors {name!r}; {hint}there are {', '.join(DESCRIPTORS)}")
    return DESCRIPTORS[name]


def open_descriptor(name: str) -> Descriptor[Any]:
    """Create the descriptor of that name.

    Raises OptionError for an unknown name, MissingExtraError where it cannot be imported.
    """
    info = find_descriptor(name)
    try:
        descriptor: Descriptor[Any] = load_part(info.factory)()
    except ImportError as error:
        if not info.needs:
            raise
        raise MissingExtraError(
            f"descriptors {name!r} cannot be computed: {error}; {info.needs}"
        ) from error
    return descriptor


def register_descriptor(info: DescriptorInfo) -> None:
    """Add a kind of descriptor. Raises ValueError when another one has its name."""
    if DESCRIPTORS.setdefault(info.name, info) != info:
        raise ValueError(f"there are descriptors {info.name!r} already; choose another name")
