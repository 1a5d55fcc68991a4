"""Duplicates over HTTP: looked for beside the requests, kept or dismissed."""

import time
from typing import Any

import httpx
import pytest
from factories import encode, picture

from cbir.client import Client


def found(client: Client, *, current: bool = True) -> dict[str, Any]:
    """The answer when it is there."""
    end = time.monotonic() + 20
    while True:
        answer = client.duplicates()
        if answer is not None and answer["current"] == current:
            return answer
        assert time.monotonic() < end
        time.sleep(0.02)


def groups(answer: dict[str, Any]) -> list[list[int]]:
    return [
        [group["keeper"]["id"], *(one["id"] for one in group["others"])]
        for group in answer["groups"]
    ]


@pytest.fixture
def copies(client: Client) -> tuple[int, int, int]:
    """A large picture and two smaller copies of it, one compressed."""
    image = picture(240, 180, seed=3)
    small = image.resize((120, 90))
    added = [encode(image), encode(small), encode(small, "JPEG", quality=85)]
    large, one, two = (client.add(data).id for data in added)
    return large, one, two


def test_groups_name_the_one_to_keep(
    http: httpx.Client, client: Client, copies: tuple[int, int, int]
) -> None:
    assert http.get("/api/v1/duplicates").status_code in (200, 202)
    answer = found(client)
    (group,) = [group for group in groups(answer) if copies[0] in group]
    assert group[0] == copies[0]
    assert set(group) == set(copies)
    assert answer["redundant"] >= 2
    assert groups(found(client))[:1] == groups(answer)[:1]
    assert client.duplicates(limit=1, offset=answer["total"])["groups"] == []  # type: ignore[index]


def test_dismissed_pairs_part(client: Client, copies: tuple[int, int, int]) -> None:
    large, one, two = copies
    found(client)
    assert client.dismiss([(one, large), (two, large), (one, two)]) == 3
    assert not any(large in group for group in groups(found(client)))
    assert client.dismiss([(large, one)], undo=True) == 1
    assert [large, one] in groups(found(client))


def test_an_image_that_has_left_is_in_no_group(
    client: Client, copies: tuple[int, int, int]
) -> None:
    found(client)
    client.remove(copies[0])
    client.remove(copies[1])
    answer = client.duplicates()  # the last result, until there is a newer one
    assert answer is not None
    assert not any(copies[2] in group for group in groups(answer))
