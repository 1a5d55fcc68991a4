"""What a gallery says of itself, read by sqlite3 alone: before SQLAlchemy has been imported."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from cbir.config import GalleryConfig

__all__ = ["CATALOG", "read_config_fast"]

CATALOG = "catalog.sqlite"
"""The catalogue's name in a gallery's folder."""

TIMEOUT_S = 0.1


def read_config_fast(gallery: Path) -> GalleryConfig | None:
    """The configuration in a gallery's folder; None where it cannot be had at once.

    For work that may be begun early: whoever opens the gallery hears what is wrong with it.
    """
    place = f"{(gallery / CATALOG).absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(place, uri=True, timeout=TIMEOUT_S)) as connection:
            (config,) = connection.execute("SELECT config FROM state").fetchone()
        return GalleryConfig.from_json(json.loads(config))
    except (sqlite3.Error, ValueError, TypeError, KeyError):
        return None
