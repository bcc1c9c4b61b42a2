"""docs/openapi.json against the tables it is made of, and against what docs/query.md says by example."""

import importlib.util
import inspect
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema_rs
import pytest

from ivr_runtimes import errors
from ivr_runtimes.errors import ApiError

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT: dict[str, Any] = json.loads((DOCS / "openapi.json").read_text(encoding="utf-8"))
QUERY = (DOCS / "query.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("openapi", DOCS / "openapi.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def schema(name: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({"$ref": f"#/components/schemas/{name}", **DOCUMENT})


def filters() -> list[str]:
    blocks = re.findall(r"^```json\n(.*?)^```", QUERY, re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines()]


def test_the_file_is_what_the_tables_say_now(generator: ModuleType) -> None:
    assert (DOCS / "openapi.json").read_text(encoding="utf-8") == generator.written(), "run `make openapi`"


def test_every_error_of_the_api_is_described() -> None:
    described = set(DOCUMENT["components"]["schemas"]["Problem"]["properties"]["code"]["enum"])
    classes = [cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, ApiError)]
    assert described == {cls.code for cls in classes if cls is not ApiError}


@pytest.mark.parametrize("text", filters())
def test_every_filter_of_the_query_page_fits_the_schema(text: str) -> None:
    schema("Filter").validate(json.loads(text))


@pytest.mark.parametrize(
    "wrong", ['["=="]', '["like",["property","starttime"],"x"]', '{"colour":"red"}', '["or"]', "[]"]
)
def test_what_is_no_filter_does_not_fit_the_schema(wrong: str) -> None:
    assert not schema("Filter").is_valid(json.loads(wrong))


def test_the_contracts_example_fits_the_schema() -> None:
    row = {
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
