"""Every error cbir raises on purpose.

CbirError
├── GalleryError            a gallery cannot be opened, created or written
│   ├── GalleryNotFoundError
│   ├── GalleryExistsError
│   ├── GalleryVersionError     written by a newer cbir
│   └── SpecMismatchError       two sides whose embeddings cannot be compared
├── SourceError             what should be indexed cannot be read at all
│   └── SourceShrunkError       it has lost so many images that none is removed unasked
├── ImageError              one image cannot be read; never stops a run
│   ├── ImageMissingError       it is no longer where it was
│   └── ImageTooLargeError
├── BackboneError           no such backbone, or an option it does not have
│   └── WeightsError            its weights are missing, damaged or of another network
├── NotFoundError           no such image in the gallery
├── TransferError           a file of embeddings cannot be written, or is none that can be read
├── FilterError             a condition on metadata that means nothing in this gallery
└── MissingExtraError       an optional dependency is not installed

A message names the thing, the reason and the next step, in that order.
"""


class CbirError(Exception):
    """The base of all errors that cbir raises on purpose."""


class GalleryError(CbirError):
    """A gallery cannot be opened, created or written."""


class GalleryNotFoundError(GalleryError):
    """There is no gallery at this path."""


class GalleryExistsError(GalleryError):
    """There is a gallery at this path already."""


class GalleryVersionError(GalleryError):
    """The gallery was written by a newer version of cbir."""


class SpecMismatchError(GalleryError):
    """Two embedding specs whose vectors cannot be compared."""


class SourceError(CbirError):
    """A source of images cannot be read at all."""


class SourceShrunkError(SourceError):
    """A source lists fewer than half of the images it is known to have."""


class ImageError(CbirError):
    """One image cannot be read; the message is the reason alone, without the image's name."""


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


class TransferError(CbirError):
    """A file of embeddings cannot be written, or is none that can be read."""


class FilterError(CbirError):
    """A condition on metadata is malformed, or means nothing in this gallery."""


class MissingExtraError(CbirError):
    """An optional dependency is not installed."""
