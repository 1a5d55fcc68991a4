"""What a search costs, counted: time differs by machine and day, statements do not."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path

import httpx
import pytest
from serving import Serve, names

from cbir.embedding.backbones.tiny_image import TinyImageEmbedder
from cbir.indexes.local import LocalIndex

RED = 4

Ask = Callable[[httpx.Client, Path], httpx.Response]

SEARCHES: dict[str, Ask] = {
    "by id": lambda http, _: http.get(f"/api/v1/images/{RED}/similar"),
    "by ids": lambda http, _: http.post("/api/v1/search", json={"ids": [RED]}),
    "by upload": lambda http, picture: http.post(
        "/api/v1/search/upload", files={"image": picture.read_bytes()}
    ),
}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Searches of an index and runs of the network, as they come."""
    made: list[str] = []

    def counted(inner: Callable[..., object]) -> Callable[..., object]:
        @wraps(inner)
        def call(*arguments: object, **options: object) -> object:
            made.append(inner.__name__)
            return inner(*arguments, **options)

        return call

    for owner, method in ((LocalIndex, "search"), (TinyImageEmbedder, "embed")):
        monkeypatch.setattr(owner, method, counted(getattr(owner, method)))
    return made


@pytest.mark.parametrize("search", SEARCHES)
def test_a_search_reads_little(
    search: str, serve: Serve, tmp_path: Path, statements: list[str], calls: list[str]
) -> None:
    http, picture = serve(refresh_s=600.0), tmp_path / "colours" / "red.png"
    ask, network = SEARCHES[search], ["embed"] if search == "by upload" else []
    # The hits' records, and the embedding of a query that has one already; once.
    for selects in (1 if network else 2, 0):
        statements.clear()
        calls.clear()
        assert "pink" in names(ask(http, picture))
        assert sum(one.startswith("SELECT") for one in statements) <= selects
        assert calls == [*network, "search"]


def test_a_change_is_read_anew(serve: Serve, statements: list[str]) -> None:
    http = serve(refresh_s=600.0)
    http.get(f"/api/v1/images/{RED}/similar")
    http.patch("/api/v1/images/3", json={"metadata": {"price": 77}})
    statements.clear()
    nearest = http.get(f"/api/v1/images/{RED}/similar").json()["hits"][0]["image"]
    assert nearest["metadata"]["price"] == 77
    assert sum(one.startswith("SELECT") for one in statements) <= 2
