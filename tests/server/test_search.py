"""Searching over HTTP and by the client: the same answers as the library's."""

import dataclasses
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import COLOURS
from factories import encode, huge_png, picture, plain
from serving import names, running, tree

from cbir import Gallery, Retriever, index_images, parse_where, resolve_spec
from cbir.client import Client
from cbir.errors import CbirError, FilterError, ImageError, NotFoundError, OptionError
from cbir.recommendation import Rules, recommend
from cbir.server import Settings, create_app
from cbir.server.schemas.recommendations import RecommendQuery

JSON = {"Content-Type": "application/json"}
BLUE, GREEN, PINK, RED = 1, 2, 3, 4
"""The ids of the shop's pictures."""


def colour(tmp_path: Path, name: str) -> bytes:
    return (tmp_path / "colours" / f"{name}.png").read_bytes()


def test_the_client_answers_as_the_library_does(client: Client, shop: Path, tmp_path: Path) -> None:
    query = tmp_path / "colours" / "red.png"
    theirs = client.search(query, k=3, where=["price<25"])
    with Gallery.open(shop) as gallery:
        ours = Retriever(gallery).search(query, k=3, where=parse_where(["price<25"]))
    assert [hit.image.name for hit in theirs.hits] == ["red.png", "pink.png", "blue.png"]
    for one, other in zip(theirs.hits, ours.hits, strict=True):
        assert one.similarity == pytest.approx(other.similarity, abs=1e-6)
        assert one.image.metadata == other.image.metadata
        assert (one.rank, one.image.id, one.image.width) == (
            other.rank,
            other.image.id,
            other.image.width,
        )
    assert theirs.timings_ms.keys() == ours.timings_ms.keys()
    assert (theirs.matched, theirs.hits[0].confidence) == (ours.matched, ours.hits[0].confidence)


def test_by_id(http: httpx.Client, client: Client) -> None:
    assert names(http.get("/api/v1/images/4/similar?k=2")) == names(client.search(RED, k=2))
    assert names(client.search(RED, k=1)) == ["pink"]


def test_several_images_wanted_and_not(client: Client, tmp_path: Path) -> None:
    red, blue = colour(tmp_path, "red"), colour(tmp_path, "blue")
    assert set(names(client.search([red, BLUE], k=2, combine="best"))) == {"red", "pink"}
    away = client.search([red, blue], k=4, unwanted=[red])
    assert names(away)[0] == "blue"
    assert away.query == "- + -, not -"


def test_a_region_of_an_upload(client: Client) -> None:
    both = plain(COLOURS["red"], 64, 64)
    both.paste(plain(COLOURS["blue"], 32, 64), (32, 0))
    half = client.search(encode(both), k=1, crop=(0.5, 0, 0.5, 1))
    assert names(half) == ["blue"]
    with pytest.raises(ImageError, match="reaches to 128"):
        client.search(encode(both), crop=(64, 0, 64, 64))


def test_pages_and_groups(client: Client, tmp_path: Path) -> None:
    red = colour(tmp_path, "red")
    assert names(client.search(red, k=2)) + names(client.search(red, k=2, offset=2)) == names(
        client.search(red, k=4)
    )
    assert [h.image.metadata["kind"] for h in client.search(red, group_by="kind").hits] == [
        "warm",
        "cold",
    ]
    assert client.search(red, min_similarity=0.999).hits[-1].image.name == "red.png"


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        ({"field": "price", "op": "<", "value": 15}, {"red", "blue"}),
        ({"field": "kind", "op": "in", "value": ["warm", "hot"]}, {"red", "pink"}),
        ({"none": {"field": "kind", "op": "=", "value": "warm"}}, {"green", "blue"}),
        ({"any": [{"exists": "nothing"}, {"exists": "price"}]}, None),
        (
            {"all": [{"exists": "price"}, {"field": "day", "op": "<", "value": "2026-02"}]},
            {"red", "pink"},
        ),
        ({"all": []}, {"red", "pink", "green", "blue"}),
    ],
)
def test_filters_as_a_tree(reader: httpx.Client, node: Any, expected: set[str] | None) -> None:
    answer = reader.get("/api/v1/images", params={"filter": tree(node)})
    posted = reader.post("/api/v1/search", json={"ids": [RED], "filter": node})
    if expected is None:
        assert (answer.status_code, posted.status_code) == (422, 422)
        assert "no image has a field 'nothing'" in posted.json()["detail"]
        return
    assert {Path(one["name"]).stem for one in answer.json()["images"]} == expected
    assert set(names(posted)) == expected - {"red"}


def test_confidence_comes_along(tmp_path: Path) -> None:
    """A gallery needs some images before it can say what is unusual."""
    (tmp_path / "many").mkdir()
    for seed in range(60):
        picture(40, 30, seed=seed).save(tmp_path / "many" / f"{seed}.png")
    with Gallery.create(tmp_path / "g", resolve_spec("tiny_image")[0]) as gallery:
        index_images(tmp_path / "many", gallery)
        ours = Retriever(gallery).search(tmp_path / "many" / "7.png", k=2)
    app = create_app(Settings(gallery=tmp_path / "g"))
    with running(app) as http, Client(str(http.base_url)) as client:
        theirs = client.search(tmp_path / "many" / "7.png", k=2)
        sure = client.search(tmp_path / "many" / "7.png", matches_only=True)
    assert theirs.matched is True
    for one, other in zip(theirs.hits, ours.hits, strict=True):
        assert one.confidence is not None
        assert other.confidence is not None
        assert one.confidence.word == other.confidence.word
        assert one.confidence.p_value == pytest.approx(other.confidence.p_value, rel=0.05)
    assert names(sure)[0] == "7"
    assert len(sure.hits) < 10


def test_reranking(client: Client) -> None:
    result = client.search(RED, k=3, rerank="ssim", depth=2)
    assert result.reranked == 2
    assert [hit.rerank is not None for hit in result.hits] == [True, True, False]
    assert {"embed", "search", "rerank", "total"} == set(result.timings_ms)


@pytest.mark.parametrize(
    ("data", "status", "says"),
    [
        (b"no image at all", 415, "not an image in a known format"),
        (b"", 415, "empty file"),
        (encode(picture(640, 480), "JPEG")[:900], 422, "truncated"),
        (huge_png(), 413, "400 megapixels, above the limit of 100"),
    ],
)
def test_what_is_no_image_says_so(
    reader: httpx.Client, data: bytes, status: int, says: str
) -> None:
    answer = reader.post("/api/v1/search/upload", files={"image": ("a.jpg", data)})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "content", "status", "says"),
    [
        ("/search", {"json": {}}, 422, "nothing to search with"),
        ("/search", {"json": {"ids": [99]}}, 404, "no image 99 in the gallery"),
        ("/search", {"json": {"ids": [1], "colour": 1}}, 422, "colour"),
        ("/search", {"json": {"ids": [1], "where": ["kynd=warm"]}}, 422, "did you mean 'kind'"),
        ("/search", {"json": {"ids": [1], "k": 0}}, 422, "k: Input should be"),
        ("/search", {"json": {"urls": ["http://example.com/a.jpg"]}}, 422, "--allow-fetch"),
        ("/search", {"content": b"{", "headers": JSON}, 422, "JSON"),
        ("/search", {"content": b"{}"}, 415, "must be JSON"),
        ("/search/upload", {"files": {"image": b""}, "data": {"options": "["}}, 422, "options"),
        ("/search/upload", {"content": b"x"}, 422, "nothing to search with"),
    ],
)
def test_what_cannot_be_asked(
    reader: httpx.Client, path: str, content: dict[str, Any], status: int, says: str
) -> None:
    answer = reader.post("/api/v1" + path, **content)
    assert answer.status_code == status, answer.text
    assert says in answer.json()["detail"]
    assert answer.json()["status"] == status


def test_the_client_raises_what_the_library_raises(client: Client) -> None:
    with pytest.raises(NotFoundError, match="no image 99"):
        client.search(99)
    with pytest.raises(FilterError, match="known fields: day, kind, price, sold, tags"):
        client.search(1, where=["kynd=warm"])
    with pytest.raises(ImageError, match="cannot be read"):
        client.search("no such file")


def test_why_it_matched(http: httpx.Client, client: Client) -> None:
    photograph = picture(400, 300, seed=1)
    for number in range(60):  # corners for keypoints to stand on
        spot = plain((number * 4, 255 - number * 3, 90), 9 + number % 7, 11)
        photograph.paste(spot, ((number * 67) % 380, (number * 41) % 280))
    whole = client.add(encode(photograph), name="whole.png")
    part = encode(photograph.crop((100, 50, 400, 300)))
    found = client.matches(part, whole.id)
    assert found["likely"]
    assert found["inliers"] == len(found["places"]) >= 20
    for x, y, u, v in found["places"]:
        assert 100 + 300 * x == pytest.approx(400 * u, abs=6)
        assert 50 + 250 * y == pytest.approx(300 * v, abs=6)
    assert client.matches(whole.id, whole.id)["inliers"] >= found["inliers"]
    assert client.matches(1, whole.id)["places"] == []
    data = {"image_id": str(whole.id), "crop": "0.25,0.1,0.75,0.9"}
    cropped = http.post(
        "/api/v1/search/matches", files={"image": encode(photograph)}, data=data
    ).json()
    assert cropped["inliers"] >= 20
    for x, y, u, v in cropped["places"]:
        assert (x, y) == pytest.approx((u, v), abs=0.02)


RULES: dict[str, Any] = {
    "k": 3,
    "where": ["price<50"],
    "same": ("kind",),
    "different": ("sold",),
    "group_by": "day",
    "keep_duplicates": True,
    "duplicate_similarity": 0.5,
    "min_similarity": -1.0,
    "diversity": 0.5,
    "weight": "price",
    "weight_strength": 0.3,
    "pool": 40,
}
"""A value of each rule that is not its default."""


def test_every_rule_is_an_option_of_the_client_and_the_server(client: Client, shop: Path) -> None:
    rules = [field.name for field in dataclasses.fields(Rules)]
    assert set(RULES) == set(rules), "an example of the new rule"
    assert set(rules) | {"filter"} == set(RecommendQuery.model_fields)
    with Gallery.open(shop) as gallery:
        for name in rules:
            options = {name: RULES[name]}
            theirs = client.recommend(RED, **options)
            if name == "where":
                options = {"where": parse_where(RULES["where"])}
            ours = recommend(gallery, RED, Rules(**options))
            assert [one.image.id for one in theirs] == [one.image.id for one in ours], name
            assert client.recommend(RED, Rules(**options)) == theirs
    with pytest.raises(TypeError, match="colour"):
        client.recommend(RED, colour="blue")
    with pytest.raises(OptionError, match="pool of 2 is too small"):
        client.recommend(RED, k=3, pool=2)


def test_a_gallery_without_regions_says_so(reader: httpx.Client, client: Client) -> None:
    answer = reader.post("/api/v1/search", json={"ids": [1], "multi_crop": True})
    assert answer.status_code == 409
    assert "--multi-crop" in answer.json()["detail"]
    with pytest.raises(CbirError, match="has no regions"):
        client.search(1, multi_crop=True)


def test_recommendations(client: Client) -> None:
    (first, *_) = client.recommend(RED, k=2, same=["kind"], keep_duplicates=True)
    assert first.image.name == "pink.png"
    assert client.recommend(RED, different=["kind"], k=1)[0].image.metadata["kind"] == "cold"
    with pytest.raises(FilterError):
        client.recommend(1, same=["nothing"])
