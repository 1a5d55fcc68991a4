"""Galleries with regions, from indexing to hits, as their users meet them."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from factories import encode, picture, turned
from PIL import Image
from terminal import cbir

from cbir import Gallery, Retriever, index_images, resolve_spec, verify_gallery
from cbir.config import MULTI_CROP, Whitening
from cbir.errors import GalleryError
from cbir.evaluation import evaluate, from_labels
from cbir.images import DecodeOptions, decode, decode_image
from cbir.indexing import ensure_regions
from cbir.recommendation import recommend, recommend_all
from cbir.reranking import open_reranker
from cbir.retrieval.confidence import scale_of

COUNT = 60
REGION = MULTI_CROP[8]
"""The lower right of an image."""


def photograph(number: int) -> Image.Image:
    return picture(160, 120, seed=number)


def detail(number: int, region: tuple[float, float, float, float] = REGION) -> Image.Image:
    image = photograph(number)
    x, y, w, h = region
    return image.crop((int(160 * x), int(120 * y), int(160 * (x + w)), int(120 * (y + h))))


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photographs")
    lines = ["path,kind"]
    for number in range(COUNT):
        photograph(number).save(folder / f"{number:02d}.png")
        lines.append(f"{number:02d}.png,{number % 7}")
    (folder / "labels.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="module")
def galleries(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two galleries of the same photographs, `plain` and `parts`."""
    folder = tmp_path_factory.mktemp("galleries")
    spec, _ = resolve_spec("tiny_image")
    for name, regions in (("plain", ()), ("parts", MULTI_CROP)):
        with Gallery.create(folder / name, spec, regions=regions) as gallery:
            index_images(photographs / "labels.csv", gallery)
    return folder


def first(gallery: Gallery, number: int) -> bool:
    return Retriever(gallery).search(detail(number), k=1).hits[0].image.name == f"{number:02d}.png"


def test_a_detail_finds_its_whole_where_there_are_regions(galleries: Path) -> None:
    with Gallery.open(galleries / "parts") as parts, Gallery.open(galleries / "plain") as plain:
        assert all(first(parts, number) for number in range(20))
        assert sum(first(plain, number) for number in range(20)) < 10
        hit = Retriever(parts).search(detail(3), k=1).hits[0]
        assert (hit.image.name, hit.region) == ("03.png", REGION)
        assert hit.similarity > 0.99
        whole = Retriever(parts).search(photograph(3), k=COUNT)
        assert (whole.hits[0].image.name, whole.hits[0].region) == ("03.png", None)
        assert len({hit.image.id for hit in whole.hits}) == COUNT
        assert not any(hit.region for hit in Retriever(plain).search(detail(3)).hits)


def test_pages_filters_and_groups_see_each_image_once(galleries: Path) -> None:
    from cbir import parse_where

    with Gallery.open(galleries / "parts") as gallery:
        retriever = Retriever(gallery)
        everything = [hit.image.id for hit in retriever.search(detail(4), k=COUNT).hits]
        assert sorted(everything) == list(range(1, COUNT + 1))
        paged = [
            hit.image.id
            for offset in range(0, COUNT, 7)
            for hit in retriever.search(detail(4), k=7, offset=offset).hits
        ]
        assert paged == everything
        of_kind = retriever.search(detail(4), k=COUNT, where=parse_where(["kind=4"])).hits
        assert [hit.image.id for hit in of_kind] == [i for i in everything if (i - 1) % 7 == 4]
        grouped = retriever.search(detail(4), k=COUNT, group_by="kind").hits
        assert sorted(hit.image.metadata["kind"] for hit in grouped) == [*range(7)]


def test_two_images_that_share_a_part_find_each_other_by_multi_crop(galleries: Path) -> None:
    collage = photograph(900).resize((320, 240))
    collage.paste(photograph(12), (0, 0))  # the upper left region of the collage
    with Gallery.open(galleries / "parts") as gallery:
        retriever = Retriever(gallery)
        found = retriever.search(collage, k=1, multi_crop=True).hits[0]
        assert (found.image.name, found.region) == ("12.png", None)
        assert found.similarity > 0.98
        assert retriever.search(collage, k=1).hits[0].similarity < 0.98
        # Stored regions serve where the query is an image of the gallery.
        by_id = retriever.search(5, k=3, multi_crop=True).hits
        by_file = retriever.search(photograph(4), k=4, multi_crop=True).hits[1:]
        assert [hit.image.id for hit in by_id] == [hit.image.id for hit in by_file]
        assert [hit.region for hit in by_id] == [hit.region for hit in by_file]
        reranked = retriever.search(
            collage, k=2, multi_crop=True, rerank=open_reranker("ssim", gallery, depth=2)
        )
        assert reranked.reranked == 2
        with pytest.raises(ValueError, match="combine them by best"):
            retriever.search([1, 2], multi_crop=True)
        several = retriever.search([collage, detail(30)], combine="best", multi_crop=True, k=2)
        assert {hit.image.name for hit in several.hits} == {"12.png", "30.png"}
    with Gallery.open(galleries / "plain") as plain, pytest.raises(GalleryError, match="--multi"):
        Retriever(plain).search(collage, multi_crop=True)


def test_recommendations_compare_whole_images(galleries: Path) -> None:
    with Gallery.open(galleries / "parts") as parts, Gallery.open(galleries / "plain") as plain:
        for item in (1, 9):
            mine, theirs = recommend(parts, item), recommend(plain, item)
            assert [r.image.id for r in mine] == [r.image.id for r in theirs]
        blocks = [next(iter(recommend_all(gallery))) for gallery in (parts, plain)]
        np.testing.assert_array_equal(blocks[0].ids, blocks[1].ids)


def test_evaluation_ranks_every_image_once(galleries: Path) -> None:
    with Gallery.open(galleries / "parts") as gallery:
        truth = from_labels(gallery, "kind")
        fast = evaluate(Retriever(gallery), truth, timed=0)
        retriever = Retriever(gallery)
        slow = evaluate(
            retriever, truth, timed=0, search=lambda query, k: retriever.search(query, k=k)
        )
    assert fast.metrics["mAP"].value == pytest.approx(slow.metrics["mAP"].value, abs=1e-3)
    assert fast.images == COUNT


def test_whitening_projects_regions_alike(photographs: Path, tmp_path: Path) -> None:
    spec, _ = resolve_spec("tiny_image")
    with Gallery.create(tmp_path / "g", spec, regions=MULTI_CROP) as gallery:
        index_images(photographs, gallery)
        gallery.whiten(Whitening(power=0.25, shrink=0.5))
        hit = Retriever(gallery).search(detail(3), k=1).hits[0]
        assert (hit.image.name, hit.region) == ("03.png", REGION)
        assert hit.similarity > 0.98
        assert verify_gallery(gallery).ok


def test_every_region_is_a_chance_of_its_own_to_be_similar(galleries: Path) -> None:
    counts = []
    for name in ("plain", "parts"):
        with Gallery.open(galleries / name) as gallery:
            scale = scale_of(gallery, Retriever(gallery).embed(1)[None])
            assert scale is not None
            counts.append(scale.count)
    assert counts == [COUNT, 10 * COUNT]


@pytest.mark.parametrize("method", ["aqe", "kreciprocal"])
def test_rerankers_see_the_region_that_matched(galleries: Path, method: str) -> None:
    with Gallery.open(galleries / "parts") as gallery:
        reranker = open_reranker(method, gallery, depth=20)
        hits = Retriever(gallery).search(detail(3), k=20, rerank=reranker).hits
    assert (hits[0].image.name, hits[0].region) == ("03.png", REGION)


def test_verify_finds_a_region_that_is_not_the_catalogues(
    photographs: Path, tmp_path: Path
) -> None:
    import sqlite3

    spec, _ = resolve_spec("tiny_image")
    with Gallery.create(tmp_path / "g", spec, regions=MULTI_CROP) as gallery:
        index_images(photographs / "07.png", gallery)
        assert verify_gallery(gallery).ok
    with sqlite3.connect(tmp_path / "g" / "catalog.sqlite") as database:
        vector = np.ones(spec.dim, "<f2").tobytes()
        database.execute("UPDATE regions SET vector = ? WHERE region = 4", [vector])
    with Gallery.open(tmp_path / "g") as gallery:
        problems = verify_gallery(gallery).index_problems
        assert problems == ("region 4 of image 1: its vector in the index is not the catalogue's",)
        gallery.rebuild_index()
        assert verify_gallery(gallery).ok
    with sqlite3.connect(tmp_path / "g" / "catalog.sqlite") as database:
        database.execute("DELETE FROM regions WHERE region = 9")
    with Gallery.open(tmp_path / "g") as gallery:
        assert verify_gallery(gallery).catalog_problems == (
            "image 1 has other regions than the gallery's 9",
        )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_regions_are_those_of_the_upright_image(orientation: int) -> None:
    spec, _ = resolve_spec("tiny_image")
    image = picture(160, 120, seed=1)
    data = turned(image, orientation, "PNG")
    seen = decode_image(data, DecodeOptions(spec.preprocessing, spec.views, MULTI_CROP))
    assert (seen.width, seen.height) == (160, 120)
    assert seen.pixels.shape == (10, 1, 32, 32, 3)
    np.testing.assert_array_equal(seen.pixels[0, 0], decode(data, spec.preprocessing).pixels)
    for region, pixels in zip(MULTI_CROP, seen.pixels[1:, 0], strict=True):
        x, y, w, h = region
        box = (int(160 * x), int(120 * y), int(160 * (x + w)), int(120 * (y + h)))
        own = decode(encode(image.crop(box)), spec.preprocessing).pixels
        assert np.abs(pixels.astype(int) - own).mean() < 1.5


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (2000, 1500)])
def test_regions_of_images_of_any_size(size: tuple[int, int]) -> None:
    spec, _ = resolve_spec("efficientnet_lite0")
    data = encode(picture(*size), "JPEG", quality=95)
    seen = decode_image(data, DecodeOptions(spec.preprocessing, spec.views, MULTI_CROP))
    assert seen.pixels.shape == (10, 1, 224, 224, 3)
    whole = decode(data, spec.preprocessing).pixels
    # Decoded at twice the size for the regions' sake, the whole looks the same.
    assert np.abs(seen.pixels[0, 0].astype(int) - whole).mean() < 1


@pytest.mark.parametrize(
    "regions", [[(0, 0, 0, 1)], [(0.6, 0, 0.5, 1)], [(-0.1, 0, 0.5, 1)], [(0, 0, 1, 1)] * 64]
)
def test_regions_that_are_none(
    gallery: Gallery, tmp_path: Path, regions: list[tuple[float, float, float, float]]
) -> None:
    with pytest.raises(ValueError, match="region"):
        gallery.add_regions(regions)
    with pytest.raises(ValueError, match="region"):
        Gallery.create(tmp_path / "other", gallery.spec, regions=regions)
    assert gallery.config.regions == ()
    assert not (tmp_path / "other").exists()


def test_the_command(photographs: Path, tmp_path: Path) -> None:
    gallery, query, sheet = tmp_path / "g", tmp_path / "detail.png", tmp_path / "sheet.html"
    detail(3).save(query)
    made = cbir(*("index", photographs, "-g", gallery, "--backbone", "tiny_image", "--multi-crop"))
    assert made.code == 0
    assert f"gallery {gallery}: {COUNT} images with 9 regions each, tiny_image" in made.out
    assert cbir("index", photographs, "-g", gallery).out.startswith(f"added 0   unchanged {COUNT}")
    answer = json.loads(cbir("search", query, "-g", gallery, "--json", "--html", sheet).out)
    assert Path(answer["hits"][0]["uri"]).name == "03.png"
    assert answer["hits"][0]["region"] == [0.5, 0.5, 0.5, 0.5]
    assert 'style="left: 50%; top: 50%; width: 50%; height: 50%"' in sheet.read_text()
    whole = json.loads(cbir("search", "id:3", "-g", gallery, "--json", "--multi-crop").out)
    assert whole["multi_crop"] is True
    assert "regions   9 in each image\n" in cbir("info", "-g", gallery).out
    info = json.loads(cbir("info", "-g", gallery, "--json").out)
    assert (len(info["regions"]), info["without_regions"]) == (9, 0)
    assert cbir("verify", "-g", gallery).code == 0
    assert cbir("rebuild", "-g", gallery, "--index", "hnsw").code == 0
    again = json.loads(cbir("search", query, "-g", gallery, "--json").out)
    assert Path(again["hits"][0]["uri"]).name == "03.png"
    mean = cbir("search", "id:1", "id:2", "-g", gallery, "--multi-crop")
    assert (mean.code, mean.err.count("\n")) == (2, 1)
    assert "--combine best" in mean.err


def test_an_existing_gallery_is_given_regions(tmp_path: Path) -> None:
    folder, path, query = tmp_path / "photographs", tmp_path / "g", tmp_path / "detail.png"
    folder.mkdir()
    for number in range(8):
        photograph(number).save(folder / f"{number}.png")
    detail(3).save(query)
    assert cbir("index", folder, "-g", path, "--backbone", "tiny_image").code == 0
    refused = cbir("search", query, "-g", path, "--multi-crop")
    assert (refused.code, refused.err.count("\n")) == (1, 1)
    assert "'cbir index SOURCE --multi-crop" in refused.err
    with Gallery.open(path) as gallery:
        gallery.add_regions(MULTI_CROP)
    assert "8 images lack them" in cbir("info", "-g", path).out
    planned = cbir("index", folder, "-g", path, "--dry-run")
    assert planned.out.startswith("would embed the regions of 8 images indexed before\n")
    (folder / "5.png").unlink()
    run = cbir("index", folder, "-g", path, "--multi-crop")
    assert run.code == 3
    assert f"no regions  {folder / '5.png'}: cannot be read" in run.out
    answer = json.loads(cbir("search", query, "-g", path, "--json").out)
    assert answer["hits"][0]["region"] == [0.5, 0.5, 0.5, 0.5]
    with Gallery.open(path) as gallery:
        assert gallery.catalog.without_regions() == [6]
        with pytest.raises(GalleryError, match="has other regions"):
            gallery.add_regions(MULTI_CROP[:2])


def test_an_imported_gallery_keeps_its_layout_and_is_given_its_regions(
    photographs: Path, galleries: Path, tmp_path: Path
) -> None:
    path, query = tmp_path / "g", tmp_path / "detail.png"
    detail(3).save(query)
    assert cbir("export", "--out", tmp_path / "g.npy", "-g", galleries / "parts").code == 0
    assert cbir("import", tmp_path / "g.npy", "-g", path).code == 0
    assert f"{COUNT} images lack them" in cbir("info", "-g", path).out
    assert cbir("index", photographs / "labels.csv", "-g", path).code == 0
    answer = json.loads(cbir("search", query, "-g", path, "--json", "-k", "1").out)
    assert answer["hits"][0]["region"] == [0.5, 0.5, 0.5, 0.5]


SLOW = """
import sys, time
from cbir import Gallery, index_images
from cbir.config import MULTI_CROP
from cbir.embedding.backbones.tiny_image import TinyImageEmbedder
from cbir.indexing import Limits, LocalExecutor, ensure_regions

embed = TinyImageEmbedder.embed
def slowly(self, images):
    time.sleep(0.02)
    return embed(self, images)
TinyImageEmbedder.embed = slowly
print("started", flush=True)
with Gallery.open(sys.argv[2]) as gallery:
    executor = LocalExecutor(chunk=2)
    index_images(sys.argv[1], gallery, executor=executor, limits=Limits(commit_rows=4))
    gallery.add_regions(MULTI_CROP)
    ensure_regions(gallery, chunk=2)
"""


def test_a_run_that_is_killed_goes_on(photographs: Path, tmp_path: Path) -> None:
    spec, _ = resolve_spec("tiny_image")
    path, script, rng = tmp_path / "killed", tmp_path / "slow.py", random.Random(3)
    script.write_text(SLOW)
    Gallery.create(path, spec).close()
    counts: list[int] = []
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, str(script), str(photographs), str(path)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(rng.uniform(0.1, 0.5))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        with Gallery.open(path) as gallery:
            counts.append(2 * gallery.count() - len(gallery.catalog.without_regions()))
    # Nothing committed is lost, and the kills came at several points of the work.
    assert counts == sorted(counts)
    assert len(set(counts)) > 1
    with Gallery.open(path) as gallery, Gallery.create(tmp_path / "g", spec) as undisturbed:
        index_images(photographs, gallery)
        gallery.add_regions(MULTI_CROP)
        assert ensure_regions(gallery) == []
        assert verify_gallery(gallery).ok
        undisturbed.add_regions(MULTI_CROP)
        index_images(photographs, undisturbed)
        for image_id in (1, 30, COUNT):
            np.testing.assert_array_equal(
                gallery.catalog.region_embeddings(image_id),
                undisturbed.catalog.region_embeddings(image_id),
            )
        assert gallery.catalog.without_regions() == []
