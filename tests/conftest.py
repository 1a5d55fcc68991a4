from collections.abc import Iterator
from pathlib import Path

import pytest
from factories import picture, plain
from sqlalchemy import Engine, event

from cbir.embedding import resolve_spec
from cbir.gallery import Gallery
from cbir.indexing import index_images

COLOURS = {
    "red": (220, 30, 30),
    "pink": (240, 120, 140),
    "green": (30, 160, 60),
    "blue": (30, 60, 200),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of six small pictures in two sub-folders."""
    photos = tmp_path / "photos"
    for number in range(6):
        path = photos / ("even" if number % 2 == 0 else "odd") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(seed=number).save(path)
    return photos


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    """An empty gallery on the classical backbone that needs no network."""
    spec, _ = resolve_spec("tiny_image")
    with Gallery.create(tmp_path / "gallery", spec) as gallery:
        yield gallery


@pytest.fixture
def colours(tmp_path: Path, gallery: Gallery) -> Path:
    """The folder of `save_gradients`, indexed into `gallery`."""
    save_gradients(tmp_path / "colours")
    index_images(tmp_path / "colours", gallery)
    return tmp_path / "colours"


@pytest.fixture
def stocked(shelf: Path, tmp_path: Path) -> Iterator[Gallery]:
    """A gallery of the room's own `shelf` as it is at first, compared by tiny images."""
    spec, _ = resolve_spec("tiny_image")
    with Gallery.create(tmp_path / "stocked", spec) as gallery:
        index_images(shelf, gallery)
        yield gallery


@pytest.fixture
def plain_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks run as on a processor without bfloat16 and a machine without a GPU."""
    monkeypatch.setattr("cbir.embedding.devices._cuda_works", lambda: False)
    monkeypatch.setattr("cbir.embedding.openvino.processor.read_flags", lambda: "")


def save_gradients(folder: Path) -> None:
    """Four pictures that fade from a colour to white: `red.png`, `pink.png` and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, colour in COLOURS.items():
        image = plain("white", 64, 64)
        image.paste(plain(colour, 32, 64), (0, 0))
        image.save(folder / f"{name}.png")


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """Every SQL statement of the test, as it is sent."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield sent
    event.remove(Engine, "before_cursor_execute", note)
