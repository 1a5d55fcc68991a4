"""A folder with everything that people's folders really hold never breaks a run."""

import json
import os
from pathlib import Path

import numpy as np
from factories import encode, folder_for_everyone, huge_png, picture, plain, turned, unprivileged
from PIL import Image
from terminal import cbir

from cbir import Gallery, Retriever


def fill(folder: Path) -> None:
    """Good and bad files: see the test for what is what."""
    jpeg = encode(picture(200, 160, seed=1), "JPEG")
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("This is no photograph.")
    (folder / "truncated.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (folder / "huge.png").write_bytes(huge_png())
    (folder / "one-pixel.png").write_bytes(encode(plain("red", 1, 1)))
    sixteen_bit = np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)
    (folder / "sixteen-bit.png").write_bytes(encode(Image.fromarray(sixteen_bit)))
    (folder / "cmyk.jpg").write_bytes(encode(picture(seed=2).convert("CMYK"), "JPEG"))
    frames = [picture(seed=3), plain("blue", 64, 48)]
    (folder / "animated.gif").write_bytes(
        encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    )
    (folder / "upright.jpg").write_bytes(encode(picture(60, 40, seed=4), "JPEG", quality=95))
    (folder / "turned.jpg").write_bytes(turned(picture(60, 40, seed=4), 6, "JPEG", quality=95))
    (folder / "SHOUTING.JPG").write_bytes(encode(picture(seed=5), "JPEG"))
    (folder / "no-suffix").write_bytes(encode(picture(seed=6), "WEBP"))
    (folder / "wrong-suffix.png").write_bytes(encode(picture(seed=7), "BMP"))
    (folder / "scan.tiff").write_bytes(encode(picture(seed=8), "TIFF"))
    (folder / "line\nbreak.png").write_bytes(encode(picture(seed=9)))
    Path(os.fsdecode(os.fsencode(folder) + b"/not-utf-8-\xff.png")).write_bytes(
        encode(picture(seed=10))
    )
    (folder / "notes.txt").write_text("skipped without a word")
    (folder / "forbidden.png").write_bytes(encode(picture(seed=11)))
    (folder / "forbidden.png").chmod(0)
    (folder / "broken-link.png").symlink_to("nowhere.png")
    (folder / "link.png").symlink_to("one-pixel.png")
    (folder / "loop").symlink_to(".")
    os.mkfifo(folder / "pipe.png")


def test_an_odd_folder_is_indexed_as_far_as_it_can_be() -> None:
    with folder_for_everyone() as place:
        folder = place / "odd"
        folder.mkdir()
        fill(folder)
        gallery = place / "gallery"
        place.chmod(0o777)
        # Modules that are imported late may lie where only the present user can read.
        cbir("index", folder / "one-pixel.png", "-g", place / "warm", "--backbone", "tiny_image")
        for _ in range(2):
            with unprivileged():
                run = cbir("index", folder, "-g", gallery, "--backbone", "tiny_image", "--json")
            assert run.code == 3, run.err
            report = json.loads(run.out)
            failed = {Path(f["uri"]).name: f["reason"] for f in report["failed"]}
        assert failed.keys() == {
            "empty.jpg",
            "text.jpg",
            "truncated.jpg",
            "huge.png",
            "forbidden.png",
            "broken-link.png",
        }
        assert "400 megapixels, above the limit of 100" in failed["huge.png"]
        assert "empty" in failed["empty.jpg"]
        assert "truncated" in failed["truncated.jpg"]
        assert "Permission denied" in failed["forbidden.png"]

        with Gallery.open(gallery) as opened:
            names = {record.name: record for record, _ in opened.catalog.scan()}
            assert names.keys() == {
                "one-pixel.png",
                "link.png",
                "sixteen-bit.png",
                "cmyk.jpg",
                "animated.gif",
                "upright.jpg",
                "turned.jpg",
                "SHOUTING.JPG",
                "no-suffix",
                "wrong-suffix.png",
                "scan.tiff",
                "line\nbreak.png",
                r"not-utf-8-\xff.png",
            }
            turned_one = names["turned.jpg"]
            assert (turned_one.width, turned_one.height) == (60, 40)
            alike = Retriever(opened).search(turned_one.id, k=1).hits[0]
            assert alike.image.name == "upright.jpg"
            assert alike.similarity > 0.99
            odd_name = names[r"not-utf-8-\xff.png"]
            assert Retriever(opened).query_image(odd_name.id) is not None
            assert opened.find(odd_name.uri) == odd_name

        (folder / "forbidden.png").chmod(0o644)
        with unprivileged():
            again = json.loads(cbir("index", folder, "-g", gallery, "--json").out)
        assert again["added"] == 1
        assert len(again["failed"]) == 5
