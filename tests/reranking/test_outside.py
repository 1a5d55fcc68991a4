"""A reranker from outside the package: one new file and one line that registers it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from factories import picture, plain

from cbir import Gallery, Retriever, index_images, resolve_spec

TOY = '''
"""Ranks images by how much of their brightness they share with the query."""

import struct
from functools import partial

from cbir.descriptors import Descriptor
from cbir.reranking.pairwise import PairEvidence, PairwiseReranker


def brightness():
    return Descriptor(
        name="brightness",
        extract=lambda image: float(image.mean()),
        encode=partial(struct.pack, "<d"),
        decode=lambda data: struct.unpack("<d", data)[0],
        max_side=64,
    )


def brightness_reranker(gallery, *, depth):
    return PairwiseReranker(gallery, brightness(), compare, method="toy", depth=depth)


def compare(query, candidate):
    return PairEvidence(10 - abs(query - candidate) / 25.5)
'''

REGISTERED = """
from cbir.descriptors import DescriptorInfo, register_descriptor
from cbir.reranking import RerankerInfo, register_reranker

register_descriptor(DescriptorInfo(name="brightness", factory="toy:brightness", bytes_per_image=8, used_by="--rerank toy"))
register_reranker(RerankerInfo(name="toy", factory="toy:brightness_reranker", label="a toy", descriptor="brightness"))
"""  # noqa: E501

IN_THE_LIBRARY = """
import json, sys
from contextlib import closing
import registered
from cbir import Gallery, Retriever
from cbir.descriptors import ensure_descriptors
from cbir.reranking import open_reranker
from cbir.evaluation.tuning import tune

query, folder, path = sys.argv[1:]
with Gallery.open(path) as gallery, closing(open_reranker("toy", gallery)) as reranker:
    hits = Retriever(gallery).search(query, rerank=reranker).hits
    stored = gallery.catalog.descriptors([1, 2, 3], "brightness")
    failed = ensure_descriptors(gallery.catalog, "brightness")
tuning = tune(folder, backbones=["tiny_image"], sample=50)
print(json.dumps({
    "names": [hit.image.name for hit in hits],
    "methods": [hit.rerank.method for hit in hits],
    "bytes": sorted(map(len, stored.values())),
    "failed": len(failed),
    "tuned": [t.setting.rerank for t in tuning.trials if t.stage == "reranking"],
}))
"""

IN_THE_SERVER = """
import json, sys
import registered
from pathlib import Path
from serving import running
from cbir.server import Settings, create_app

with running(create_app(Settings(gallery=Path(sys.argv[1]), workers=2))) as http:
    gallery = http.get("/api/v1/gallery").json()
    found = http.get("/api/v1/images/1/similar", params={"rerank": "toy"}).json()
    refused = http.get("/api/v1/images/1/similar", params={"rerank": "toi"})
    described = http.get("/api/v1/openapi.json").json()
request = described["components"]["schemas"]["SearchRequest"]["properties"]["rerank"]
print(json.dumps({
    "choices": [one["name"] for one in gallery["rerankers"]],
    "methods": [hit["rerank"]["method"] for hit in found["hits"]],
    "refused": [refused.status_code, refused.text],
    "schema": request["anyOf"][0]["enum"],
}))
"""

CLI = "import registered; from cbir.cli import main; main()"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder with the toy's file, the lines that register it, and a gallery of photos/."""
    (tmp_path / "toy.py").write_text(TOY)
    (tmp_path / "registered.py").write_text(REGISTERED)
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("black", "grey", "white"):
        plain(name).save(photos / f"{name}.png")
    spec, _ = resolve_spec("tiny_image")
    with Gallery.create(tmp_path / "gallery", spec) as gallery:
        index_images(photos, gallery)
        assert Retriever(gallery).search(1).hits
    plain((240, 240, 240)).save(tmp_path / "query.png")
    return tmp_path


def run(outside: Path, program: str, *arguments: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(outside), *sys.path])},
        cwd=outside,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_library_takes_it(outside: Path) -> None:
    many = outside / "many"
    many.mkdir()
    for number in range(50):
        picture(32, 32, seed=number).save(many / f"{number}.png")
    query, gallery = outside / "query.png", outside / "gallery"
    answer = json.loads(run(outside, IN_THE_LIBRARY, query, many, gallery))
    assert answer["names"] == ["white.png", "grey.png", "black.png"]
    assert answer["methods"] == ["toy"] * 3
    assert answer["bytes"] == [8, 8, 8]
    assert answer["failed"] == 0
    assert "toy" in answer["tuned"]


def test_the_command_line_takes_and_lists_it(outside: Path) -> None:
    query, gallery = outside / "query.png", outside / "gallery"
    arguments = "search", query, "-g", gallery, "--rerank", "toy", "--json"
    hits = json.loads(run(outside, CLI, *arguments))["hits"]
    assert [Path(hit["uri"]).stem for hit in hits] == ["white", "grey", "black"]
    assert {hit["rerank"]["method"] for hit in hits} == {"toy"}
    assert "score" in run(outside, CLI, *arguments[:-1]).splitlines()[0]
    for command in ("search", "evaluate", "tune"):
        assert "toy" in run(outside, CLI, command, "--help")
    assert "brightness" in run(outside, CLI, "index", "--help")
    run(outside, CLI, "index", outside / "photos", "-g", gallery, "--descriptors", "brightness")


def test_the_server_and_its_page_take_it(outside: Path) -> None:
    answer = json.loads(run(outside, IN_THE_SERVER, outside / "gallery"))
    assert "toy" in answer["choices"]
    assert set(answer["methods"]) == {"toy"}
    assert answer["schema"] == answer["choices"]
    status, problem = answer["refused"]
    assert status == 422
    assert "did you mean 'toy'?" in problem
