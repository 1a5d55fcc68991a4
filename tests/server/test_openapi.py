"""What the description says is what the server does, whatever it is asked."""

from collections import Counter
from contextlib import suppress
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from cbir import Gallery
from cbir.errors import BackboneError

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = 6
"""Of each operation and mode: what takes a few seconds in all."""


def test_every_route_is_described(http: httpx.Client) -> None:
    answer = http.get("/api/v1/openapi.json")
    paths = answer.json()["paths"]
    assert len(paths) >= 16
    for path, operations in paths.items():
        for method, operation in operations.items():
            assert operation["description"], (path, method)
            assert {"400", "401", "403", "503"} <= set(operation["responses"])
            for status, one in operation["responses"].items():
                if int(status) >= 400:
                    assert list(one["content"]) == ["application/problem+json"]
    assert "HTTPValidationError" not in answer.text


@pytest.mark.filterwarnings("ignore")  # of the tool's own, on what it cannot generate
@pytest.mark.parametrize("mode", GenerationMode)
def test_nothing_makes_it_fail(http: httpx.Client, mode: GenerationMode) -> None:
    statuses = explore(http, mode)
    assert sum(statuses.values()) >= 50
    # What is allowed is mostly understood, also where there is no such image; nothing else is.
    assert statuses[4] > 0
    assert (statuses[2] > 20) == (mode == GenerationMode.POSITIVE)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("error", [ValueError("no such shape"), BackboneError("out of memory")])
def test_a_mistake_of_the_server_is_found(
    http: httpx.Client, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_arguments: Any, **_options: Any) -> None:
        raise error

    monkeypatch.setattr(Gallery, "count", fail)
    with pytest.raises(FailureGroup, match="Server error"):
        explore(http, GenerationMode("positive"), only="/health/ready")


def explore(http: httpx.Client, mode: GenerationMode, *, only: str = "") -> Counter[int]:
    """Ask every operation for what the description allows, or forbids, and check the answers.

    Returns how many answers there were of each class of status: 2 for 200 to 299 and so on.
    """
    schema = schemathesis.openapi.from_url(str(http.base_url.join("/api/v1/openapi.json")))
    statuses: Counter[int] = Counter()
    for result in schema.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        if only not in operation.path:
            continue

        @settings(
            max_examples=EXAMPLES,
            phases=[Phase.explicit, Phase.generate],
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            response = case.call(headers={"X-Requested-With": "test"})
            case.validate_response(response, checks=CHECKS)
            statuses[response.status_code // 100] += 1

        # Not every operation can be asked for something it forbids: one without parameters.
        with suppress(Unsatisfiable):
            ask()
    return statuses
