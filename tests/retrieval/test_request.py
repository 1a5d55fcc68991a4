"""A search is one value: what each option needs, and that no way to search has forgotten one."""

import inspect
import json
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from conftest import save_gradients
from factories import encode, picture

from cbir import Gallery, Retriever, index_images
from cbir.cli.search import search as search_command
from cbir.client import Client
from cbir.errors import BackboneError, FilterError, OptionError
from cbir.filters import Compare, parse_where
from cbir.reranking import open_reranker
from cbir.retrieval import (
    SEARCH_OPTIONS,
    EmbeddedQuery,
    FileQuery,
    IdQuery,
    ImageQuery,
    SearchRequest,
    TextQuery,
    UrlQuery,
    as_queries,
    as_query,
)
from cbir.server.schemas import search as schemas

ELSEWHERE = {"unwanted": "unwanted_ids"}
"""Options that the HTTP API calls by other names, or takes in another place."""

EXAMPLES: dict[str, Any] = {
    "combine": "best",
    "unwanted": [3],
    "crop": (0.0, 0.0, 0.5, 0.5),
    "multi_crop": True,
    "where": ["price<50"],
    "min_similarity": 0.5,
    "matches_only": True,
    "group_by": "kind",
    "max_per_group": 2,
    "offset": 3,
    "k": 4,
    "exact": True,
    "rerank": "sift",
    "depth": 7,
}
"""A value of each option that is not its default."""


def test_every_way_to_search_has_every_option() -> None:
    """A new option is a field of the request, an option of the command and a line of the schema."""
    options = set(SEARCH_OPTIONS)
    assert {field.name for field in fields(SearchRequest)} == options | {"queries"}
    assert options <= set(inspect.signature(search_command).parameters)
    body = schemas.SearchRequest.model_fields
    assert {ELSEWHERE.get(name, name) for name in options} <= set(body)
    assert set(EXAMPLES) == options, "an example of the new option"


@pytest.mark.parametrize("option", SEARCH_OPTIONS)
def test_an_option_reaches_the_request_from_http_and_the_client(option: str) -> None:
    """Over the wire and back, the request is the same."""
    wanted = SearchRequest([1], **{option: EXAMPLES[option]})
    sent: list[dict[str, object]] = []

    def respond(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        return httpx.Response(
            200, json={"query": "", "hits": [], "timings_ms": {}, "reranked": 0, "matched": None}
        )

    with httpx.Client(transport=httpx.MockTransport(respond)) as http:
        client = Client("http://server", http=http)
        client.search([1], **{option: EXAMPLES[option]})
        client.search(wanted)
    assert sent[0] == sent[1]
    body = schemas.SearchRequest.model_validate(sent[0])
    received = body.to_request(body.ids, body.unwanted_ids, where=body.condition())
    if option == "where":  # the conditions of the text, and of the tree around it
        assert received.where is not None
        assert parse_where(["price<50"]) in received.where.children  # type: ignore[union-attr]
        received = replace(received, where=wanted.where)
    assert received == wanted


def test_a_request_and_its_options_give_the_same(tmp_path: Path, gallery: Gallery) -> None:
    save_gradients(tmp_path / "colours")
    index_images(tmp_path / "colours", gallery)
    red = tmp_path / "colours" / "red.png"
    with Retriever(gallery) as retriever:
        short = retriever.search(red, k=3, exact=True, rerank="ssim", depth=2)
        long = retriever.search(
            SearchRequest(FileQuery(str(red)), k=3, exact=True, rerank="ssim", depth=2)
        )
        assert short.hits == long.hits
        assert short.query == long.query == str(red)
        reranker = open_reranker("ssim", gallery, depth=2)
        assert retriever.search(red, k=3, exact=True, rerank=reranker).hits == long.hits
        reranker.close()
        with pytest.raises(TypeError, match=r"a SearchRequest takes no further options \(k\)"):
            retriever.search(SearchRequest([red]), k=3)
        with pytest.raises(OptionError, match="no reranker 'shift'; did you mean 'sift'"):
            retriever.search(red, rerank="shift")


def test_a_request_is_a_value() -> None:
    request = SearchRequest(["mug.jpg", 12], where=["price<50"], crop=None)
    assert request == SearchRequest(["mug.jpg", np.int64(12)], where=parse_where(["price<50"]))
    assert request.ids == {12}
    with pytest.raises(FrozenInstanceError):
        request.k = 3  # type: ignore[misc]
    assert SearchRequest(1, where=[]).where is None
    assert SearchRequest(1, where=Compare("a", "=", 1)).where == Compare("a", "=", 1)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"k": 0}, "k is 0"),
        ({"offset": -1}, "offset is -1"),
        ({"max_per_group": 0}, "max_per_group is 0"),
        ({"depth": 0}, "depth is 0"),
        ({"combine": "sum"}, "there are mean and best"),
        ({"min_similarity": 1.5}, "between -1 and 1"),
        ({"min_similarity": float("nan")}, "between -1 and 1"),
        ({"crop": (1, 2, 3)}, "give x, y, width and height"),
        ({"queries": [1, 2], "crop": (0, 0, 1, 1)}, "region of one image"),
        ({"queries": [1, 2], "multi_crop": True}, "combine them by best"),
        ({"queries": []}, "at least one image"),
    ],
)
def test_a_request_that_makes_no_sense(options: dict[str, object], says: str) -> None:
    with pytest.raises(OptionError, match=says):
        SearchRequest(**{"queries": [1], **options})  # type: ignore[arg-type]


def test_a_condition_that_is_none_is_an_error() -> None:
    with pytest.raises(FilterError, match="'price' is not a condition"):
        SearchRequest(1, where=["price"])


def test_plain_values_are_the_queries_that_they_mean(tmp_path: Path) -> None:
    image = picture()
    assert as_query("a/b.jpg") == as_query(Path("a/b.jpg")) == FileQuery("a/b.jpg")
    assert as_query("https://shop.example/a.jpg") == UrlQuery("https://shop.example/a.jpg")
    assert as_query(7) == as_query(np.int64(7)) == as_query(np.uint8(7)) == IdQuery(7)
    assert type(as_query(np.int64(7)).id) is int  # type: ignore[union-attr]
    for value in (image, encode(image), np.asarray(image)):
        query = as_query(value)
        assert isinstance(query, ImageQuery)
        assert as_query(query) is query
    assert as_queries((1, "a")) == as_queries([1, "a"]) == (IdQuery(1), FileQuery("a"))


@pytest.mark.parametrize("value", [True, np.True_, 1.5, np.float64(1), None, {1}, np.zeros((3, 4))])
def test_a_value_that_is_no_query(value: object) -> None:
    with pytest.raises(TypeError, match=r"is no (query|id of an image)|are no image"):
        as_query(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [True, 1.0, "1"])
def test_a_value_that_is_no_id(value: object) -> None:
    with pytest.raises(TypeError, match="is no id of an image"):
        IdQuery(value)  # type: ignore[arg-type]


def test_words_are_no_query_yet(gallery: Gallery) -> None:
    with pytest.raises(BackboneError, match="no backbone embeds text yet"):
        Retriever(gallery).search(TextQuery("a blue mug"))


def test_an_embedding_that_is_known_is_not_made_again(
    tmp_path: Path, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_gradients(tmp_path / "colours")
    index_images(tmp_path / "colours", gallery)
    retriever, path = Retriever(gallery), tmp_path / "colours" / "red.png"
    query = EmbeddedQuery(FileQuery(str(path)), retriever.embed(path))
    expected = retriever.search(path)
    cropped = retriever.search(path, crop=(0, 0, 0.5, 1)).hits
    assert retriever.search(query, crop=(0, 0, 0.5, 1)).hits == cropped
    monkeypatch.setattr("cbir.retrieval.embed_queries.embed_views", None)
    result = retriever.search(query)
    assert (result.hits, result.query) == (expected.hits, expected.query)


def test_an_image_of_the_gallery_by_any_kind_of_integer(tmp_path: Path, gallery: Gallery) -> None:
    save_gradients(tmp_path / "colours")
    index_images(tmp_path / "colours", gallery)
    retriever = Retriever(gallery)
    assert retriever.search(np.int64(1)).hits == retriever.search(1).hits
    np.testing.assert_array_equal(retriever.embed(IdQuery(2)), retriever.embed(2))
