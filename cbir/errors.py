"""The exceptions that cbir raises deliberately.

CbirError
├── GalleryError            a gallery cannot be opened, created or written
│   ├── GalleryNotFoundError
│   ├── GalleryExistsError
│   ├── GalleryVersionError     written by a newer cbir
│   ├── GalleryUnavailableError locked by another process, or its disk is full: try again later
│   └── SpecMismatchError       embeddings made in different ways cannot be compared
├── SourceError             a source of images cannot be read at all
│   └── SourceShrunkError       it lists far fewer images than before; nothing is removed
├── ImageError              one image cannot be read; never stops a run
│   ├── ImageFormatError        not in a format that cbir reads
│   ├── ImageMissingError       no longer at its URI
│   └── ImageTooLargeError
├── BackboneError           no such backbone, or an option it does not have
│   └── WeightsError            its weights are missing, damaged or of another network
├── NotFoundError           no such image in the gallery
├── TransferError           a file of embeddings cannot be written or read
├── FilterError             a condition on metadata is malformed or cannot apply to this gallery
├── OptionError             an option out of range, or options that contradict each other
└── MissingExtraError       an optional dependency is not installed

A message names the thing, the reason and the next step, in that order. `CbirError.public` is the
same message without local paths, for callers on other machines.
"""

from __future__ import annotations


class CbirError(Exception):
    """The base class of all exceptions that cbir raises deliberately."""

    def __init__(self, message: str = "", *, public: str | None = None) -> None:
        """`public` is the message without local paths; None where `message` has none."""
        super().__init__(message)
        self.public = message if public is None else public


class GalleryError(CbirError):
    """A gallery cannot be opened, created or written."""

    def __init__(self, reason: str = "", *, gallery: object = None) -> None:
        """`gallery` is its path, put before the reason; `public` leaves it out."""
        super().__init__(reason if gallery is None else f"{gallery}: {reason}", public=reason)


class GalleryNotFoundError(GalleryError):
    """There is no gallery at this path."""


class GalleryExistsError(GalleryError):
    """There is a gallery at this path already."""


class GalleryVersionError(GalleryError):
    """The gallery was written by a newer version of cbir."""


class GalleryUnavailableError(GalleryError):
    """The gallery is locked by another process, or its disk is full. A retry may succeed."""


class SpecMismatchError(GalleryError):
    """Two embedding specs differ, so that their vectors cannot be compared."""


class SourceError(CbirError):
    """A source of images cannot be read at all."""


class SourceShrunkError(SourceError):
    """A source lists fewer than half of the images that the catalogue has from it."""


class ImageError(CbirError):
    """One image cannot be read. The message is the reason alone, without the image's name."""


class ImageFormatError(ImageError):
    """The bytes are not an image in a format that cbir reads."""


class ImageMissingError(ImageError):
    """There is no such file, object or tar member. A retry does not help."""


class ImageTooLargeError(ImageError):
    """An image has more pixels than the limit allows."""


class BackboneError(CbirError):
    """There is no such backbone, or it has no such option."""


class WeightsError(BackboneError):
    """The weights of a backbone are missing, damaged or of another network."""


class NotFoundError(CbirError):
    """There is no such image in the gallery."""

    def __init__(self, message: str = "", *, gallery: object = None) -> None:
        """`gallery` is the path of the gallery that was searched; `public` leaves it out."""
        if gallery is None:
            super().__init__(message)
        else:
            super().__init__(f"{message} in {gallery}", public=f"{message} in the gallery")


class TransferError(CbirError):
    """A file of embeddings cannot be written or read."""


class FilterError(CbirError):
    """A condition on metadata is malformed, or cannot apply to this gallery's fields."""


class OptionError(CbirError, ValueError):
    """An option is out of range, or options contradict each other."""


class MissingExtraError(CbirError):
    """An optional dependency is not installed."""
