"""docs/openapi.json against the tables it is made of, what docs/query.md says by example, and itself."""

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from delivery.openapi import written
from delivery.openapi.examples import SAMPLE

from ivr_runtimes import errors
from ivr_runtimes.errors import ApiError
from ivr_runtimes.fields import FIELDS

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT: dict[str, Any] = json.loads((DOCS / "openapi.json").read_text(encoding="utf-8"))
QUERY = (DOCS / "query.md").read_text(encoding="utf-8")


OPERATIONS: list[dict[str, Any]] = [
    operation for methods in DOCUMENT["paths"].values() for operation in methods.values()
]


def schema(name: str, room: str = "schemas") -> jsonschema_rs.Draft202012Validator:
    return validator({"$ref": f"#/components/{room}/{name}"})


def validator(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({**schema, "components": DOCUMENT["components"]})


def shown(holder: dict[str, Any]) -> list[Any]:
    """Return the examples of a parameter, a header or a media type."""
    return [holder["example"]] if "example" in holder else [each["value"] for each in holder["examples"].values()]


def filters() -> list[str]:
    blocks = re.findall(r"^```json\n(.*?)^```", QUERY, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


def test_the_file_is_what_the_tables_say_now() -> None:
    assert (DOCS / "openapi.json").read_text(encoding="utf-8") == written(), "run `make openapi`"


def test_every_error_of_the_api_is_described() -> None:
    described = set(DOCUMENT["components"]["schemas"]["Problem"]["properties"]["code"]["x-extensible-enum"])
    classes = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, ApiError)]
    assert described == {cls.code for cls in classes if cls is not ApiError}


@pytest.mark.parametrize("text", filters())
def test_every_filter_of_the_query_page_fits_the_schema(text: str) -> None:
    schema("Filter", "x-query").validate(json.loads(text))


@pytest.mark.parametrize(
    "wrong", ['["=="]', '["like",["property","starttime"],"x"]', '{"colour":"red"}', '["or"]', "[]"]
)
def test_what_is_no_filter_does_not_fit_the_schema(wrong: str) -> None:
    assert not schema("Filter", "x-query").is_valid(json.loads(wrong))


def test_the_contracts_example_fits_the_schema() -> None:
    (listed,) = [answers["200"] for answers in (each["responses"] for each in OPERATIONS) if "200" in answers]
    (row,) = listed["content"]["application/json"]["examples"]["without a mask"]["value"]
    assert row == {
        "id": "244f84aa-0624-e639-8061-a80000000006",
        "site": "SITE1",
        "node": "site1_h6@192.168.0.12",
        "domain": "test.rootdomain.ru",
        "type": "ivr",
        "code": "player",
        "name": "TEST PLAY",
        "starttime": "2019-11-05T08:36:40Z",
    }
    schema("Runtime").validate(row)
    assert not schema("Runtime").is_valid({**row, "colour": "red"})


@pytest.mark.parametrize(("method", "success"), [("get", "200"), ("delete", "204")])
def test_every_operation_needs_a_token_and_names_the_gateways_answers(method: str, success: str) -> None:
    (operation,) = [methods[method] for methods in DOCUMENT["paths"].values() if method in methods]
    assert operation["security"] == [{"token": [f"ivrscript_runtimes:{'read' if method == 'get' else 'stop'}"]}]
    assert {success, "400", "401", "403", "404", "413", "429", "431", "500", "503"} == set(operation["responses"])


def test_each_field_has_an_example() -> None:
    assert SAMPLE.keys() >= FIELDS.keys()


def exemplified() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what has examples, with its place."""
    for operation in OPERATIONS:
        name = operation["operationId"]
        yield from ((f"{name}: {each['name']}", each) for each in operation["parameters"])
        for status, answer in operation["responses"].items():
            yield from ((f"{name} {status}: {header}", each) for header, each in answer.get("headers", {}).items())
            yield from ((f"{name} {status}: {kind}", each) for kind, each in answer.get("content", {}).items())


@pytest.mark.parametrize(("place", "holder"), list(exemplified()))
def test_whatever_is_sent_or_answered_has_an_example_that_fits_its_schema(place: str, holder: dict[str, Any]) -> None:
    assert shown(holder)
    for example in shown(holder):
        validator(holder["schema"]).validate(example)


@pytest.mark.parametrize(("parameter", "form"), [("filter", "Filter"), ("order", "Order")])
def test_json_in_a_parameter_is_described_and_its_examples_fit_that(parameter: str, form: str) -> None:
    (held,) = [each for operation in OPERATIONS for each in operation["parameters"] if each["name"] == parameter]
    assert held["schema"]["contentSchema"] == {"$ref": f"#/components/x-query/{form}"}
    texts = [text for text in shown(held) if text.startswith(("[", "{"))]
    assert texts
    for text in texts:
        schema(form, "x-query").validate(json.loads(text))


def test_generators_find_few_models_with_names_for_people() -> None:
    """A schema written inside another one gets its name from a generator: `order_item_type_9_ext_state`."""
    models = DOCUMENT["components"]["schemas"]
    assert set(models) == {"Runtime", "RuntimeExt", "Refusal", "Problem", "ProblemPlace", "GatewayMessage"}
    inner = [each for model in models.values() for each in model.get("properties", {}).values()]
    inner += [each["items"] for each in inner if "items" in each]
    assert not [each for each in inner if each.get("type") == "object" or "enum" in each]


def test_operations_are_named_as_in_python() -> None:
    assert [operation["operationId"] for operation in OPERATIONS] == ["list_runtimes", "stop_runtime"]
