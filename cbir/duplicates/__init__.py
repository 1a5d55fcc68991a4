"""Duplicates: images that are copies of one another, in a gallery or in a folder of new files.

>>> from cbir.duplicates import find_duplicates
>>> result = find_duplicates(gallery)  # doctest: +SKIP
>>> [image.name for image in result.groups[0].others]  # doctest: +SKIP
['cat-small.jpg']
>>> gallery.catalog.dismiss([(3, 7)])  # never in one group  # doctest: +SKIP
1

Nothing is deleted; `write_script` writes a script that deletes copies when a person runs it.
"""

from cbir.duplicates.against import find_known
from cbir.duplicates.export import export_duplicates
from cbir.duplicates.keeping import KEEP_RULES, KeepRule, keep_rule
from cbir.duplicates.result import (
    AlikeFile,
    AlikePair,
    Duplicates,
    Evidence,
    Group,
    Kind,
    KnownFile,
    SourceComparison,
)
from cbir.duplicates.script import removals_of, removals_of_known, write_script
from cbir.duplicates.within import find_duplicates

__all__ = [
    "KEEP_RULES",
    "AlikeFile",
    "AlikePair",
    "Duplicates",
    "Evidence",
    "Group",
    "KeepRule",
    "Kind",
    "KnownFile",
    "SourceComparison",
    "export_duplicates",
    "find_duplicates",
    "find_known",
    "keep_rule",
    "removals_of",
    "removals_of_known",
    "write_script",
]
