"""The rules of a recommendation are one value: library, command line, HTTP and client agree."""

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import httpx
import pytest

from cbir import Gallery, parse_where
from cbir.cli.recommend import recommend as command
from cbir.client import Client
from cbir.errors import FilterError, OptionError
from cbir.recommendation import Rules, recommend
from cbir.server.schemas.recommendations import RecommendQuery

BLUE, GREEN, PINK, RED = 1, 2, 3, 4
RULES = {rule.name: rule.default for rule in dataclasses.fields(Rules)}
OTHER: dict[str, Any] = {
    "k": 2,
    "where": ["price<25"],
    "same": ["kind"],
    "different": ["kind"],
    "group_by": "kind",
    "keep_duplicates": True,
    "duplicate_similarity": 0.5,
    "min_similarity": 0.1,
    "diversity": 0.5,
    "weight": "price",
    "weight_strength": 1.5,
    "pool": 20,
}
"""For every rule a value other than its default."""


def absent(default: Any) -> Any:
    """The default of a rule where it cannot be given: an empty list is as good as none."""
    return None if default in ((), []) else default


def test_every_rule_is_tested() -> None:
    assert OTHER.keys() == RULES.keys()


def test_every_rule_is_an_option_of_the_command_line() -> None:
    options = inspect.signature(command).parameters
    for name, default in RULES.items():
        assert name in options, f"cbir recommend has no --{name.replace('_', '-')}"
        assert options[name].default == absent(default)


def test_every_rule_is_a_parameter_over_http() -> None:
    parameters = RecommendQuery.model_fields
    assert parameters.keys() - {"filter"} == RULES.keys()
    for name, default in RULES.items():
        assert absent(parameters[name].default) == absent(default)
    assert RecommendQuery().rules() == Rules()


@pytest.mark.parametrize("name", OTHER)
def test_every_rule_reaches_the_library(name: str) -> None:
    rules = RecommendQuery(**{name: OTHER[name]}).rules()
    expected: dict[str, Any] = {
        name: tuple(OTHER[name]) if isinstance(OTHER[name], list) else OTHER[name]
    }
    if name == "where":
        expected = {"where": rules.where}
        assert rules.where is not None
    assert rules == Rules(**expected)


@pytest.mark.parametrize("name", OTHER)
def test_the_client_recommends_as_the_library_does(client: Client, shop: Path, name: str) -> None:
    given = {"keep_duplicates": True} | {name: OTHER[name]}
    rules: dict[str, Any] = {
        rule: parse_where(value) if rule == "where" else value for rule, value in given.items()
    }
    with Gallery.open(shop) as gallery:
        expected = recommend(gallery, RED, Rules(**rules))
    recommended = client.recommend(RED, **given)
    assert expected
    assert [(one.image.id, one.rank) for one in recommended] == [
        (one.image.id, one.rank) for one in expected
    ]
    for one, other in zip(recommended, expected, strict=True):
        assert (one.similarity, one.score) == pytest.approx((other.similarity, other.score))


def test_rules_that_contradict_each_other_are_the_callers_mistake(
    http: httpx.Client, client: Client
) -> None:
    with pytest.raises(OptionError, match="a pool of 4 is too small for 12 recommendations"):
        client.recommend(RED, pool=4)
    with pytest.raises(FilterError, match="no image has a field 'colour'"):
        client.recommend(RED, same=["colour"])
    answer = http.get(f"/api/v1/images/{RED}/recommendations?rule=1")
    assert (answer.status_code, "rule" in answer.json()["detail"]) == (422, True)
