"""Images over HTTP: listed, shown, added, described, removed."""

import io
from pathlib import Path
from typing import Any

import httpx
import pytest
from factories import encode, picture
from PIL import Image

from cbir import Gallery, index_images
from cbir.client import Client
from cbir.errors import CbirError, ImageError, NotFoundError

BLUE, GREEN, PINK, RED = 1, 2, 3, 4
WRITES = {"X-Requested-With": "test"}


def test_pages_and_samples(client: Client) -> None:
    first, second = client.images(limit=3), client.images(limit=3, offset=3)
    assert [one.id for one in first + second] == [1, 2, 3, 4]
    assert {one.id for one in client.images(sample=True)} == {1, 2, 3, 4}
    assert [one.name for one in client.images(where=["kind=cold"])] == ["blue.png", "green.png"]


def test_fields_are_counted(client: Client) -> None:
    fields = {field.name: field for field in client.fields()}
    assert fields["kind"].values == (("cold", 2), ("warm", 2))
    assert fields["sold"].values == ((True, 1),)
    assert fields["tags"].values == (("sea", 1), ("sky", 1))
    price = fields["price"]
    assert (price.least, price.greatest, price.distinct) == (5.5, 30, 4)
    assert sum(count for _, count in price.histogram) == 4
    assert price.histogram[0] == (5.5, 1)
    assert price.histogram[-1][1] == 1
    day = fields["day"]
    assert (day.least, day.greatest) == ("2026-01-05", "2026-03-01")
    assert day.histogram[0] == ("2026-01-05", 1)
    assert sum(count for _, count in day.histogram) == 4


def test_a_file_and_its_thumbnail(http: httpx.Client, client: Client, tmp_path: Path) -> None:
    on_disk = (tmp_path / "colours" / "red.png").read_bytes()
    assert client.read(RED) == on_disk
    record = http.get(f"/api/v1/images/{RED}").json()
    file = http.get(record["file"])
    assert file.headers["content-type"] == "image/png"
    assert file.headers["cache-control"] == "public, max-age=31536000, immutable"
    again = http.get(record["file"], headers={"If-None-Match": file.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    small = http.get(f"/api/v1/images/{RED}/thumbnail?size=160")
    assert small.headers["cache-control"] == "public, no-cache"
    with Image.open(io.BytesIO(small.content)) as image:
        assert (image.format, image.size) == ("JPEG", (64, 64))
    assert http.get(f"/api/v1/images/{RED}/thumbnail?size=161").status_code == 422


def test_a_file_that_has_changed_is_not_kept_by_anybody(http: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "colours" / "red.png").write_bytes(encode(picture(80, 60), "JPEG"))
    for what in ("file", "thumbnail"):
        answer = http.get(f"/api/v1/images/{RED}/{what}")
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["cache-control"] == "no-store"
        assert "etag" not in answer.headers
    (tmp_path / "colours" / "red.png").write_text("<script>alert(1)</script>")
    assert http.get(f"/api/v1/images/{RED}/file").status_code == 404
    assert http.get(f"/api/v1/images/{RED}/thumbnail").status_code == 415
    (tmp_path / "colours" / "red.png").unlink()
    assert http.get(f"/api/v1/images/{RED}/file").status_code == 404


def test_an_added_image_is_one_like_any_other(client: Client, shop: Path) -> None:
    data = encode(picture(120, 90, seed=7))
    added = client.add(data, name="../new.png", metadata={"price": 7, "kind": "new"})
    assert (added.name, added.width, added.metadata) == (
        "new.png",
        120,
        {"price": 7, "kind": "new"},
    )
    assert client.search(data, k=1).hits[0].image.id == added.id
    assert [one.id for one in client.images(where=["price<9"])] == [BLUE, added.id]
    again = client.add(data, metadata={"price": 8})
    assert (again.id, again.metadata) == (added.id, {"price": 8})
    (file,) = (shop / "uploads").rglob("*.png")
    assert file.read_bytes() == data
    with Gallery.open(shop) as gallery:
        assert index_images(file, gallery).added == 0
    client.remove(added.id)
    assert not file.exists()
    with pytest.raises(NotFoundError):
        client.image(added.id)
    assert added.id not in [hit.image.id for hit in client.search(data).hits]


def test_removing_another_image_leaves_its_file(client: Client, tmp_path: Path) -> None:
    client.remove(PINK)
    assert (tmp_path / "colours" / "pink.png").exists()
    assert {hit.image.id for hit in client.search(RED).hits} == {BLUE, GREEN}


def test_what_is_no_image_is_not_added(client: Client, shop: Path) -> None:
    for data in (b"no image", encode(picture(640, 480), "JPEG")[:900]):
        with pytest.raises(ImageError):
            client.add(data)
    assert [path for path in (shop / "uploads").rglob("*") if path.is_file()] == []
    assert client.gallery()["failed"] == 0
    assert client.gallery()["images"] == 4


def test_metadata_changes_field_by_field(client: Client) -> None:
    changed = client.update(RED, {"price": None, "day": "2026-04-01", "tags": ["a", 1]})
    expected = {"kind": "warm", "day": "2026-04-01", "sold": True, "tags": ["a", 1]}
    assert changed.metadata == expected
    assert client.image(RED).metadata == expected
    assert [one.id for one in client.images(where=["day>2026-03-15"])] == [RED]
    assert {field.name: field.type for field in client.fields()}["day"] == "date"
    assert client.images(where=["price=10"]) == []


@pytest.mark.parametrize("value", [{"a": 1}, [[1]], [True], "x" * 20_001])
def test_metadata_that_cannot_be_kept(client: Client, value: Any) -> None:
    with pytest.raises(CbirError, match="metadata price"):
        client.add(encode(picture()), metadata={"price": value})
    with pytest.raises(CbirError, match="metadata price"):
        client.update(RED, {"price": value})
    assert client.image(RED).metadata["price"] == 10
    assert client.gallery()["images"] == 4


@pytest.mark.parametrize(
    "metadata", [r'{"kind": "\ud800"}', r'{"kind": ["\udfff"]}', r'{"\ud800": 1}']
)
def test_metadata_is_valid_unicode(http: httpx.Client, client: Client, metadata: str) -> None:
    """JSON can spell half of a surrogate pair: no text that can be stored and shown again."""
    headers = WRITES | {"Content-Type": "application/json"}
    body = f'{{"metadata": {metadata}}}'
    changed = http.patch(f"/api/v1/images/{RED}", content=body, headers=headers)
    added = http.post(
        "/api/v1/images",
        files={"image": encode(picture())},
        data={"metadata": metadata},
        headers=WRITES,
    )
    assert (changed.status_code, added.status_code) == (422, 422)
    assert client.image(RED).metadata["kind"] == "warm"
    assert client.gallery()["images"] == 4


def test_an_image_can_be_shown_whatever_its_metadata_holds(client: Client, shop: Path) -> None:
    with Gallery.open(shop) as gallery:
        gallery.catalog.change_metadata(RED, {"kind": "not Unicode: \udcff"})
    assert client.image(RED).metadata["kind"] == "not Unicode: \udcff"
    assert client.search(PINK, k=1).hits[0].image.metadata["kind"] == "not Unicode: \udcff"
    assert "kind" in {field.name for field in client.fields()}
