"""The exceptions that cbir raises deliberately.

CbirError
├── GalleryError            a gallery cannot be opened, created or written
│   ├── GalleryNotFoundError
│   ├── GalleryExistsError
│   ├── GalleryVersionError     written by a newer cbir
│   ├── GalleryUnavailableError locked by another process, or its disk is full: try again later
│   ├── GalleryReadOnlyError    it can be searched, and not changed, by this user or at this place
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

LONGEST_REASON = 300
"""Number of characters of another library's message that are recorded."""


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


class GalleryReadOnlyError(GalleryError):
    """The gallery can only be read: it belongs to another user, or to a read-only file system."""


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


def reason_of(error: Exception, uri: str = "an image") -> str:
    """The reason recorded for the image at `uri`, which could not be read, decoded or embedded.

    An exception that cbir does not raise on purpose is logged with its type. Raises `error` itself
    where it is about a setting or the gallery, and not about this image.
    """
    if isinstance(error, (OptionError, GalleryError)):
        raise error
    if isinstance(error, CbirError):
        return str(error)
    import logging

    log = logging.getLogger(__name__)
    text = " ".join(str(error).split())[:LONGEST_REASON]
    reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
    # Handlers, and the report of a test, take only what can be encoded.
    shown = uri.encode(errors="backslashreplace").decode()
    log.warning("%s failed with %s", shown, reason.encode(errors="backslashreplace").decode())
    log.debug("%s", shown, exc_info=error)
    return reason
