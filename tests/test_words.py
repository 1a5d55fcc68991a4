"""Names in the code are the field's: names that were retired do not come back."""

import io
import keyword
import tokenize
from pathlib import Path

import cbir

PACKAGE = Path(cbir.__file__).parent

RETIRED = {
    "Answer": "SearchResponse",
    "BuiltIndex": "SearchStructure",
    "Commits": "CommitWatcher",
    "Crew": "Executor",
    "Described": "a name for what is described",
    "ExactScan": "CatalogScan",
    "FaissIndex": "LocalIndex",
    "FieldShape": "ColumnType",
    "Follower": "SourceSync, IndexRefresher",
    "IndexHeader": "IndexManifest",
    "Judged": "Scores",
    "Kept": "RowCache",
    "Known": "SourceState",
    "Ledger": "CatalogSink, PlanSink",
    "Meeting": "MultiIndexHash",
    "Pending": "PendingImage",
    "RowIndex": "FlatIndex",
    "ScanIndex": "PqIndex",
    "Stamp": "ImageVersion",
    "StoredImage": "CatalogImage",
    "Twin": "ContentMatch",
    "Union": "DisjointSets",
    "among": "allowed",
    "asked": "options, or the name of the thing",
    "crew": "executor, workers",
    "field_shapes": "column_types",
    "found": "result, or the name of the thing",
    "kept": "the name of the thing",
    "ledger": "sink",
    "levelled": "up_to_date",
    "littles": "tiny images",
    "outgrown": "needs_rebuild",
    "own": "mine, or the name of the thing",
    "peek_config": "read_config_fast",
    "seeing": "embed_sample",
    "settle": "process_chunk",
    "soundness": "integrity",
    "stock": "thumbnails",
    "there": "present",
    "told": "reason, report",
    "wrapped": "EmbedderWrapper",
}
"""Retired name → what it is called now."""


def names_of(path: Path) -> set[str]:
    """Every identifier of a file, keywords left out, and the file's own name."""
    tokens = tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline)
    names = {token.string for token in tokens if token.type == tokenize.NAME}
    return {path.stem} | {name for name in names if not keyword.iskeyword(name)}


def test_retired_names_stay_retired() -> None:
    left = {
        str(path.relative_to(PACKAGE)): retired
        for path in sorted(PACKAGE.rglob("*.py"))
        if (retired := names_of(path) & RETIRED.keys())
    }
    assert left == {}


def test_a_retired_name_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "stock.py"
    file.write_text("def settle(ledger):\n    return 'among'\n")
    assert names_of(file) & RETIRED.keys() == {"stock", "settle", "ledger"}
