"""What `cbir search` may be asked, as its users ask it."""

import json
from pathlib import Path

import pytest
from conftest import save_gradients
from terminal import cbir

PRICES = {"red": (10, "warm"), "pink": (20, "warm"), "green": (30, "cold"), "blue": (5.5, "cold")}


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    save_gradients(tmp_path / "colours")
    lines = [f"{name}.png,{price},{kind}" for name, (price, kind) in PRICES.items()]
    (tmp_path / "colours" / "feed.csv").write_text("path,price,kind\n" + "\n".join(lines))
    return tmp_path / "colours"


@pytest.fixture
def shop(colours: Path, tmp_path: Path) -> Path:
    run = cbir("index", colours / "feed.csv", "-g", tmp_path / "g", "--backbone", "tiny_image")
    assert run.code == 0, run.err
    return tmp_path / "g"


def found(*arguments: str | Path) -> list[str]:
    run = cbir("search", *arguments, "--json")
    assert run.code == 0, run.err
    return [Path(hit["uri"]).stem for hit in json.loads(run.out)["hits"]]


def test_conditions_must_all_hold(colours: Path, shop: Path) -> None:
    red = colours / "red.png", "-g", shop
    assert found(*red, "--where", "kind=warm") == ["red", "pink"]
    assert found(*red, "--where", "kind=warm", "--where", "kind!=warm") == []
    assert set(found(*red, "--where", "kind in cold,hot")) == {"green", "blue"}
    table = cbir("search", *red, "--where", "kind=cold").out.splitlines()
    assert table[-1].split(" · ")[1].startswith("searched 2 in ")


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("kynd=warm", "no image has a field 'kynd'; did you mean 'kind'? known fields: kind"),
        ("kind", "'kind' is not a condition; write as 'category=shoes'"),
        ("kind has warm", "'kind' holds values of type text"),
    ],
)
def test_a_condition_that_cannot_be_asked(shop: Path, condition: str, says: str) -> None:
    run = cbir("search", "id:1", "-g", shop, "--where", condition)
    assert run.code == 1
    assert says in run.err
    assert run.err.count("\n") == 1


def test_several_images_and_unwanted_ones(colours: Path, shop: Path, tmp_path: Path) -> None:
    red, blue, pink = (colours / f"{name}.png" for name in ("red", "blue", "pink"))
    data = red.read_bytes()
    run = cbir(
        *("search", "-", blue, "--not", pink, "--combine", "best", "-g", shop, "--json"),
        stdin=data,
    )
    answer = json.loads(run.out)
    assert answer["query"] == f"- + {blue}, not {pink}"
    assert answer["images"] == ["-", str(blue)]
    assert answer["not"] == [str(pink)]
    assert answer["combine"] == "best"
    assert set(found(red, blue, "--combine", "best", "-g", shop)[:2]) == {"red", "blue"}
    twice = cbir("search", "-", "-", "-g", shop, stdin=data)
    assert (twice.code, twice.err.count("\n")) == (2, 1)
    assert "standard input holds one image" in twice.err
    sheet = tmp_path / "sheet.html"
    assert cbir("search", red, blue, "--not", pink, "-g", shop, "--html", sheet).code == 0
    text = sheet.read_text()
    assert text.count('alt="the query"') == 2
    assert text.count('alt="unwanted"') == 1


def test_a_region(colours: Path, shop: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.html"
    arguments = "search", colours / "red.png", "-g", shop, "--crop", "0,0,0.5,0.25"
    answer = json.loads(cbir(*arguments, "--json", "--html", sheet).out)
    assert answer["crop"] == [0, 0, 0.5, 0.25]
    assert answer["query"].endswith("red.png [0,0,0.5,0.25]")
    assert answer["hits"][0]["similarity"] < 0.999
    assert 'alt="the query"' in sheet.read_text()
    for crop, says in (
        ("0,0,500,5", "reaches to 500,5 and the image ends at 64,64"),
        ("1,2,3", "--crop 1,2,3 is no region; give x,y,width,height"),
        ("a,b,c,d", "is no region"),
    ):
        run = cbir("search", colours / "red.png", "-g", shop, "--crop", crop)
        assert (run.code, run.err.count("\n")) == (2 if "no region" in says else 1, 1)
        assert says in run.err
    several = cbir("search", "id:1", "id:2", "-g", shop, "--crop", "0,0,1,1")
    assert "a region of one image" in several.err


def test_a_file_is_named_by_its_plain_path(
    colours: Path, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(colours)
    run = cbir("search", "./red.png", ".//blue.png", "--not", "./pink.png", "-g", shop, "--json")
    assert json.loads(run.out)["query"] == "red.png + blue.png, not pink.png"
    run = cbir("search", "", "-g", shop)
    assert (run.code, run.err) == (1, "error: .: cannot be read: Is a directory\n")


def test_groups_bounds_and_pages(colours: Path, shop: Path) -> None:
    red = colours / "red.png", "-g", shop
    everything = found(*red)
    assert len(everything) == 4
    assert found(*red, "-k", "2", "--offset", "2") == everything[2:]
    assert found(*red, "--min-similarity", "0.999") == ["red"]
    grouped = found(*red, "--group-by", "kind")
    assert grouped[0] == "red"
    assert len(grouped) == 2
    assert found(*red, "--group-by", "kind", "--max-per-group", "2") == everything
    page = json.loads(cbir("search", *red, "--offset", "3", "--json").out)
    assert (page["offset"], page["hits"][0]["rank"]) == (3, 4)
    beyond = cbir("search", *red, "--offset", "9")
    assert beyond.out.startswith("nothing found beyond the first 9")


def test_info_lists_the_fields(shop: Path) -> None:
    lines = cbir("info", "-g", shop).out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.split()[0] == "field")
    assert lines[at].split() == ["field", "type", "values", "such", "as"]
    assert lines[at + 1].split() == ["kind", "text", "4", "cold,", "warm"]
    fields = json.loads(cbir("info", "-g", shop, "--json").out)["fields"]
    assert fields[0] == {"name": "kind", "type": "text", "count": 4, "examples": ["cold", "warm"]}
