"""Images that are copies of one another: in a gallery, or in a folder that may join it.

>>> from cbir.duplicates import find_duplicates
>>> found = find_duplicates(gallery)  # doctest: +SKIP
>>> [image.name for image in found.groups[0].others]  # doctest: +SKIP
['cat-small.jpg']

Nothing is ever deleted; `removal_script` writes what a person may run.
"""


from cbir.duplicates.find import find_duplicates

from cbir.duplicates.values import Duplicates, Evidence, Group, Kind

__all__ = [
    "Duplicates",
    "Evidence",
    "Group",
    "Kind",
    "Known",
    "Newcomers",
    "find_duplicates",
    "find_known",
    "removal_script",
]
