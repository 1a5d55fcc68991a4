"""Tar shards: their samples, their damage, and their images one by one."""

import io
import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from factories import encode, picture
from terminal import cbir

from cbir import Gallery
from cbir.errors import ImageError, SourceError
from cbir.integrity import verify_gallery
from cbir.sources import SourceImage, distinct, open_source, tar_index
from cbir.sources.reading import current_version, read_uri
from cbir.sources.tar import TarSource, expand_braces
from cbir.sources.tar_index import TarIndexes
from cbir.types import FailedImage, ImageVersion

PNG = [encode(picture(seed=seed)) for seed in range(6)]


def shard(path: Path, files: Mapping[str, bytes], *, format: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=format) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def images(source: object) -> list[SourceImage]:
    assert isinstance(source, TarSource)
    found = list(distinct(source))
    assert source.count() == len(found)
    return [image for image in found if isinstance(image, SourceImage)]


def failures(source: TarSource) -> list[tuple[str, str]]:
    found = list(distinct(source))
    assert source.count() == len(found)
    return [(f.uri, f.reason) for f in found if isinstance(f, FailedImage)]


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """A folder of three shards with two samples each."""
    for number in range(3):
        files: dict[str, bytes] = {}
        for sample in (2 * number, 2 * number + 1):
            files[f"{sample:04}.png"] = PNG[sample]
            files[f"{sample:04}.json"] = json.dumps({"sku": f"A{sample}"}).encode()
            files[f"{sample:04}.cls"] = str(number).encode()
        shard(tmp_path / f"shard-{number:03}.tar", files)
    return tmp_path


# Samples


def test_files_of_one_basename_are_one_sample(tmp_path: Path) -> None:
    path = shard(
        tmp_path / "a.tar",
        {
            "README": b"no sample",
            "one/1.png": PNG[0],
            "one/1.json": b'{"price": 9.5, "tags": ["a"], "no": null}',
            "one/1.txt": "ein Bécher\n".encode(),
            "one/1.caption.txt": b"a cup",
            "one/1.cls": b"7\n",
            "./2.front.png": PNG[1],
            "./2.back.PNG": PNG[2],
            "./2.cls": b"cup",
            "3.json": b"{}",
            "._4.png": b"of a Mac",
            "5.png": PNG[3],
        },
    )
    one, front, back, five = images(open_source(path))
    status = path.stat()
    assert (one.uri, one.name) == (f"{path}/one/1.png", "a.tar/one/1.png")
    assert one.version == ImageVersion(len(PNG[0]), status.st_mtime_ns)
    assert one.metadata == {
        "price": 9.5,
        "tags": ["a"],
        "txt": "ein Bécher",
        "caption": "a cup",
        "cls": 7,
    }
    assert front.metadata == back.metadata == {"cls": "cup"}
    assert (front.name, back.name) == ("a.tar/2.front.png", "a.tar/2.back.PNG")
    assert five.metadata == {}
    assert [image.read() for image in (one, front, back, five)] == PNG[:4]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("1.json", b"{", "1.json is not JSON"),
        ("1.txt", b"\xff", "1.txt is not UTF-8 text"),
        ("1.txt", b"x" * 1_000_001, "1.txt is larger than 1,000,000 bytes"),
    ],
)
def test_a_bad_description_fails_its_sample(
    tmp_path: Path, name: str, data: bytes, reason: str
) -> None:
    path = shard(tmp_path / "a.tar", {"1.png": PNG[0], name: data, "2.png": PNG[1]})
    assert failures(TarSource(path)) == [(f"{path}/1.png", reason)]
    assert [image.name for image in images(TarSource(path))] == ["a.tar/2.png"]


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_tar_format_is_read(tmp_path: Path, format: int) -> None:
    name = "d" * 90 + "/é" + "n" * 80 + ".png"
    path = shard(tmp_path / "a.tar", {name: PNG[0], "2.png": PNG[1]}, format=format)
    assert [image.read() for image in images(TarSource(path))] == PNG[:2]


def test_a_name_that_is_not_text_can_be_read(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tar", {os.fsdecode(b"\xff.png"): PNG[0]})
    (image,) = images(TarSource(path))
    assert (image.name, image.uri) == (r"a.tar/\xff.png", f"{path.as_uri()}/%FF.png")
    assert image.read() == PNG[0]


def test_a_name_twice_is_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        for data in PNG[:2]:
            info = tarfile.TarInfo("1.png")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    assert failures(TarSource(path)) == [
        (f"{path}/1.png", "the same path stands in a.tar/1.png, which was taken")
    ]


# Which shards


def test_a_folder_of_tars_and_a_pattern_are_the_same_images(shards: Path) -> None:
    names = [f"shard-{s // 2:03}.tar/{s:04}.png" for s in range(6)]
    for source in (shards, shards / "shard-{000..002}.tar", shards / "shard-00{0,1,2}.tar"):
        assert [image.name for image in images(open_source(source))] == names
    assert len(images(open_source(shards / "shard-001.tar"))) == 2
    picture().save(shards / "beside.png")
    assert not isinstance(open_source(shards), TarSource)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a.tar", ["a.tar"]),
        ("s-{08..11}.tar", ["s-08.tar", "s-09.tar", "s-10.tar", "s-11.tar"]),
        ("{2..0}", ["2", "1", "0"]),
        ("{a,b}-{1..2}", ["a-1", "a-2", "b-1", "b-2"]),
        ("{a}{}", ["{a}{}"]),
    ],
)
def test_braces_are_expanded(pattern: str, expected: list[str]) -> None:
    assert expand_braces(pattern) == expected


@pytest.mark.parametrize("pattern", ["{0..999999999999}", "{1..1000}{1..1000}"])
def test_far_too_many_shards_are_refused(pattern: str) -> None:
    with pytest.raises(SourceError, match="more than 100,000 files"):
        expand_braces(pattern)


def test_a_shard_that_is_not_there(shards: Path) -> None:
    pattern = shards / "shard-{000..003}.tar"
    assert failures(TarSource(pattern)) == [
        (f"{shards}/shard-003.tar", "cannot be read: No such file or directory")
    ]
    with pytest.raises(SourceError, match="no such file or folder"):
        open_source(shards / "gone-{0..3}.tar")
    source = open_source(pattern)
    for path in shards.iterdir():
        path.unlink()
    with pytest.raises(SourceError, match="No such file"):
        list(source)


# Damage


@pytest.mark.parametrize(
    ("damage", "reason", "left"),
    [
        (lambda data: data[:3884], "damaged tar: unexpected end of data", 2),
        (lambda data: data[:4608], "truncated tar", 2),
        (lambda data: b"\x1f\x8b" + data, "a compressed tar", 0),
        (lambda data: b"text" * 400, "damaged tar: invalid header", 0),
        (lambda data: b"", "damaged tar: empty file", 0),
        (lambda data: data.replace(b"0002.png", b"\xff" * 8, 1), "damaged tar: no header", 1),
    ],
)
def test_damage_is_a_failure_with_a_reason(
    shards: Path, damage: object, reason: str, left: int
) -> None:
    path = shard(shards / "x.tar", {f"{n:04}.png": PNG[n][:700] for n in range(3)})
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    (failure,) = failures(TarSource(path))
    assert failure[0] == str(path)
    assert failure[1].startswith(reason)
    assert len(images(TarSource(path))) == left
    assert len(images(TarSource(shards))) == 6 + left


def test_a_damaged_shard_loses_no_image(shards: Path) -> None:
    args = "index", shards, "-g", shards / "g", "--backbone", "tiny_image"
    assert cbir(*args).code == 0
    path = shards / "shard-001.tar"
    path.write_bytes(path.read_bytes()[:100])
    run = cbir(*args, "--prune", "--json")
    assert run.code == 3
    said = json.loads(run.out)
    assert (said["unchanged"], said["removed"], said["images"]) == (4, 0, 6)
    path.unlink()
    assert json.loads(cbir(*args, "--prune", "--json").out)["removed"] == 2


# Keys


def test_a_field_or_the_sample_can_be_the_key(shards: Path, tmp_path: Path) -> None:
    assert [i.key for i in images(open_source(shards, key="sku"))] == [f"A{n}" for n in range(6)]
    assert images(open_source(shards, key="__key__"))[5].key == "0005"
    path = shard(
        tmp_path / "a.tar",
        {"1.png": PNG[0], "1.cls": b"3", "2.png": PNG[1], "2.cls": b"3", "3.png": PNG[2]},
    )
    assert failures(TarSource(path, key="cls")) == [
        (f"{path}/2.png", "the cls '3' stands in a.tar/1.png, which was taken"),
        (f"{path}/3.png", "has no 'cls', which --key names"),
    ]


# Later


def test_images_stay_readable_and_are_found_without_a_scan(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cbir("index", shards, "-g", shards / "g", "--backbone", "tiny_image").code == 0
    scans: list[str] = []
    members = tar_index.members

    def counted(path: str) -> object:
        scans.append(path)
        return members(path)

    monkeypatch.setattr(tar_index, "members", counted)
    monkeypatch.setattr(tar_index, "indexes", TarIndexes())
    uris = [f"{shards}/shard-{s // 2:03}.tar/{s:04}.png" for s in range(6)]
    for _ in range(3):
        assert [read_uri(uri) for uri in uris] == PNG
    assert len(scans) == 3
    shard(shards / "shard-000.tar", {"0000.png": PNG[5]})
    assert read_uri(uris[0]) == PNG[5]
    with pytest.raises(ImageError, match=r"^no such file in shard-000.tar$"):
        read_uri(uris[1])
    with pytest.raises(ImageError, match="No such file or directory"):
        read_uri(f"{shards}/gone.tar/1.png")


def test_indexes_are_bounded(shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    indexes = TarIndexes(most=13)
    monkeypatch.setattr(tar_index, "indexes", indexes)
    for number in (0, 1, 2):
        read_uri(f"{shards}/shard-00{number}.tar/{2 * number:04}.png")
    assert [f"{shards}/shard-00{n}.tar" in indexes for n in (0, 1, 2)] == [False, True, True]


def test_every_command_copes_with_members(shards: Path, tmp_path: Path) -> None:
    gallery = tmp_path / "g"
    args = "index", shards, "-g", gallery, "--backbone", "tiny_image"
    assert cbir(*args).out.startswith("added 6")
    assert cbir(*args, "--prune").out.startswith("added 0   unchanged 6")
    member = f"{shards}/shard-001.tar/0003.png"
    sheet = tmp_path / "sheet.html"
    run = cbir("search", member, "-g", gallery, "--rerank", "sift", "--html", sheet, "--json")
    assert json.loads(run.out)["hits"][0]["uri"] == member
    assert sheet.read_text().count("data:image/jpeg") >= 7
    assert cbir("compare", member, f"{shards}/shard-001.tar/0002.png").code == 0
    for options in ((), ("--content",)):
        assert cbir("verify", "-g", gallery, *options).out.endswith("6 images, sound\n")
    with Gallery.open(gallery) as opened:
        known = opened.catalog.indexed_images([member])[member].version
        assert current_version(member) == known
        shard(shards / "shard-001.tar", {"0003.png": PNG[0]})
        os.utime(shards / "shard-001.tar", ns=(1, 1))
        report = verify_gallery(opened)
    assert report.missing_files == (f"{shards}/shard-001.tar/0002.png",)
    assert report.changed_files == (member,)


def test_a_manifest_may_point_into_a_tar(shards: Path) -> None:
    (shards / "feed.csv").write_text("path\nshard-000.tar/0001.png\nshard-000.tar/none.png\n")
    image, missing = open_source(shards / "feed.csv")
    assert isinstance(image, SourceImage)
    assert image.read() == PNG[1]
    assert isinstance(missing, FailedImage)
    assert missing.reason == "no such file in shard-000.tar (line 3)"
