"""What the description says is what the server does, whatever it is asked."""

from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

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
    schema = schemathesis.openapi.from_url(str(http.base_url.join("/api/v1/openapi.json")))
    asked = 0
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()

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
            nonlocal asked
            response = case.call(headers={"X-Requested-With": "test"})
            case.validate_response(response, checks=CHECKS)
            asked += 1

        try:
            ask()
        except Exception as error:
            if "Unsatisfiable" not in type(error).__name__:
                raise
    assert asked >= 50
