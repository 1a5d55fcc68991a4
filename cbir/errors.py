"""Every error cbir raises on purpose.

CbirError
├── GalleryError            a gallery cannot be opened, created or written
│   ├── GalleryNotFoundError
│   ├── GalleryExistsError
│   ├── GalleryVersionError     written by a newer cbir
│   ├── GalleryUnavailableError locked by another process, or its disk is full: try again later
│   └── SpecMismatchError       two sides whose embeddings cannot be compared
├── SourceError             what should be indexed cannot be read at all
│   └── SourceShrunkError       it has lost so many images that none is removed unasked
├── ImageError              one image cannot be read; never stops a run
│   ├── ImageFormatError        not in a format that cbir reads
│   ├── ImageMissingError       it is no longer where it was
│   └── ImageTooLargeError
├── BackboneError           no such backbone, or an option it does not have
│   └── WeightsError            its weights are missing, damaged or of another network
├── NotFoundError           no such image in the gallery
├── TransferError           a file of embeddings cannot be written, or is none that can be read
├── FilterError             a condition on metadata that means nothing in this gallery
├── OptionError             an option out of range, or options that contradict each other
└── MissingExtraError       an optional dependency is not installed

A message names the thing, the reason and the next step, in that order. `CbirError.public` is the
same message for a caller on another machine: without the paths of this one.
"""

from __future__ import annotations


class CbirError(Exception):
    """The base of all errors that cbir raises on purpose."""

    def __init__(self, message: str = "", *, public: str | None = None) -> None:
        """`public` is the message without paths of this machine; None: there are none in it."""
        super().__init__(message)
        self.public = message if public is None else public


class GalleryError(CbirError):
    """A gallery cannot be opened, created or written."""

    def __init__(self, reason: str = "", *, gallery: object = None) -> None:
        """`gallery` is the path that stands before the reason, and is not public."""
        super().__init__(reason if gallery is None else f"{gallery}: {reason}", public=reason)


class GalleryNotFoundError(GalleryError):
    """There is no gallery at this path."""


class GalleryExistsError(GalleryError):
    """There is a gallery at this path already."""


class GalleryVersionError(GalleryError):
    """The gallery was written by a newer version of cbir."""


class GalleryUnavailableError(GalleryError):
    """The gallery is locked by another process, or its disk is full: trying again may help."""


class SpecMismatchError(GalleryError):
    """Two embedding specs whose vectors cannot be compared."""


class SourceError(CbirError):
    """A source of images cannot be read at all."""


class SourceShrunkError(SourceError):
    """A source lists fewer than half of the images it is known to have."""


class ImageError(CbirError):
    """One image cannot be read; the message is the reason alone, without the image's name."""


class ImageFormatError(ImageError):
    """These bytes are no image in a format that cbir reads."""


class ImageMissingError(ImageError):
    """There is no such file, object or member; to try again will not help."""


class ImageTooLargeError(ImageError):
    """An image has more pixels than the limit allows."""


class BackboneError(CbirError):
    """There is no such backbone, or it has no such option."""


class WeightsError(BackboneError):
    """The weights of a backbone are missing, damaged or of another network."""


class NotFoundError(CbirError):
    """There is no such image in the gallery."""

    def __init__(self, message: str = "", *, gallery: object = None) -> None:
        """`gallery` is the path of the gallery that lacks the image, and is not public."""
        if gallery is None:
            super().__init__(message)
        else:
            super().__init__(f"{message} in {gallery}", public=f"{message} in the gallery")


class TransferError(CbirError):
    """A file of embeddings cannot be written, or is none that can be read."""


class FilterError(CbirError):
    """A condition on metadata is malformed, or means nothing in this gallery."""


class OptionError(CbirError, ValueError):
    """An option is out of range, or options contradict each other."""


class MissingExtraError(CbirError):
    """An optional dependency is not installed."""
