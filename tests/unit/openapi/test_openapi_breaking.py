"""What a release of the API may change, and what breaks programs made for the one before."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from delivery.openapi import breaking, document
from delivery.openapi.breaking import breaks, may_break

Document = dict[str, Any]
Change = Callable[[Document], object]

LIST = "/rest/v1/uc/ivrscript_runtimes"
STOP = LIST + "/{id}"


@pytest.fixture(scope="module")
def released() -> Document:
    return document()


def changed(released: Document, change: Change) -> Document:
    present = copy.deepcopy(released)
    change(present)
    return present


def listing(document: Document) -> Any:
    return document["paths"][LIST]["get"]


def stop(document: Document) -> Any:
    return document["paths"][STOP]["delete"]


def parameter(operation: Document, name: str) -> Any:
    return next(each for each in operation["parameters"] if each["name"] == name)


def without(operation: Document, name: str) -> None:
    operation["parameters"].remove(parameter(operation, name))


def model(document: Document, name: str) -> Any:
    return document["components"]["schemas"][name]


def query(document: Document, name: str) -> Any:
    return document["components"]["x-query"][name]


def expression(document: Document, operator: str) -> Any:
    forms = query(document, "Expression")["oneOf"]
    return next(form for form in forms if form["description"].startswith(f'["{operator}"'))


def replaced(schema: Document, keyword: str, old: str, new: str) -> None:
    assert old in schema[keyword]
    schema[keyword] = schema[keyword].replace(old, new)


REQUIRED = {"name": "tenant", "in": "query", "required": True, "schema": {"type": "string"}}
OPTIONAL = {"name": "since", "in": "query", "schema": {"type": "string"}}

BREAKING: list[tuple[Change, str]] = [
    (lambda d: d["paths"].pop(STOP), f"DELETE {STOP}: is gone"),
    (lambda d: d["paths"][LIST].pop("get"), f"GET {LIST}: is gone"),
    (lambda d: listing(d).update(operationId="listRuntimes"), "operationId was list_runtimes, is listRuntimes"),
    (lambda d: stop(d).update(tags=["stops"]), "tags was ['runtimes'], is ['stops']"),
    (lambda d: stop(d).update(security=[{"token": ["admin"]}]), "tokens needed"),
    (lambda d: d["components"]["securitySchemes"].clear(), "security scheme token: type was http, is None"),
    (lambda d: without(listing(d), "after"), "query after: is gone"),
    (lambda d: without(stop(d), "Stop-Reason"), "header Stop-Reason: is gone"),
    (lambda d: listing(d)["parameters"].append(REQUIRED), "query tenant is required"),
    (lambda d: parameter(stop(d), "Idempotency-Key").update(required=True), "header Idempotency-Key is required"),
    (lambda d: parameter(listing(d), "limit")["schema"].update(maximum=1000), "maximum was 1000000, is 1000"),
    (lambda d: parameter(listing(d), "limit")["schema"].update(minimum=1), "minimum was 0, is 1"),
    (lambda d: parameter(listing(d), "after")["schema"].update(maxLength=64), "maxLength was absent, is 64"),
    (lambda d: parameter(listing(d), "flat")["schema"].update(type="string"), 'type was "boolean", is "string"'),
    (lambda d: parameter(listing(d), "flat")["schema"].update(enum=[True]), "enum was absent, is [true]"),
    (lambda d: replaced(parameter(listing(d), "mask")["schema"], "pattern", "|node", ""), "query mask: pattern was"),
    (lambda d: parameter(listing(d), "after")["schema"].update(multipleOf=2), "multipleOf was absent, is 2"),
    (lambda d: parameter(listing(d), "filter")["schema"].update(contentMediaType="text/xml"), "contentMediaType was"),
    (lambda d: query(d, "Expression")["oneOf"].remove(expression(d, "like")), "has nothing that it fits"),
    (lambda d: expression(d, "and")["prefixItems"][0]["enum"].remove("&&"), 'enum was ["and", "&&"], is ["and"]'),
    (lambda d: expression(d, "or").update(minItems=3), "minItems was 2, is 3"),
    (lambda d: expression(d, "or").update(maxItems=9), "maxItems was absent, is 9"),
    (lambda d: query(d, "Filter")["oneOf"][0]["properties"].pop("site"), "Filter.site: is accepted no more"),
    (lambda d: query(d, "Order")["items"]["anyOf"][0]["enum"].remove("-site"), "Order[0]: "),
    (lambda d: listing(d)["responses"].pop("200"), "200: is gone"),
    (lambda d: stop(d)["responses"].update({"202": {}}), "202: is a success that was not known"),
    (lambda d: listing(d)["responses"]["200"]["headers"].pop("Link"), "200: header Link: is gone"),
    (lambda d: stop(d)["responses"]["204"]["headers"]["Stop-Request-Id"].update(required=False), "may be absent"),
    (
        lambda d: stop(d)["responses"]["204"]["headers"]["Stop-Outcome"]["schema"]["enum"].append("lost"),
        'header Stop-Outcome: enum was ["ended",',
    ),
    (lambda d: listing(d)["responses"]["400"]["content"].pop("application/problem+json"), "problem+json: is gone"),
    (lambda d: model(d, "Runtime")["properties"].pop("node"), "Runtime.node: is answered no more"),
    (lambda d: model(d, "RuntimeExt")["properties"].pop("state"), "RuntimeExt.state: is answered no more"),
    (lambda d: model(d, "Runtime")["properties"]["id"].update(type="integer"), "Runtime.id: type was"),
    (lambda d: model(d, "Runtime")["properties"]["id"].update(type=["string", "null"]), "Runtime.id: type was"),
    (lambda d: model(d, "Runtime")["properties"]["starttime"].pop("format"), 'format was "date-time", is absent'),
    (lambda d: model(d, "Problem")["required"].remove("code"), "Refusal: required was"),
    (lambda d: model(d, "Problem")["properties"]["code"]["x-extensible-enum"].remove("no_domain"), "x-extensible"),
    (lambda d: model(d, "Runtime")["properties"].update(ext=d["components"]["schemas"].pop("RuntimeExt")), "model"),
]

HARMLESS: list[Change] = [
    lambda d: d["info"].update(title="Another", description="Other words"),
    lambda d: d["paths"].update({"/rest/v1/uc/scripts": {"get": {}}}),
    lambda d: listing(d)["parameters"].append(OPTIONAL),
    lambda d: listing(d).update(summary="Other words"),
    lambda d: stop(d)["security"].append({"key": []}),
    lambda d: parameter(listing(d), "limit")["schema"].update(maximum=2_000_000),
    lambda d: parameter(listing(d), "limit")["schema"].pop("minimum"),
    lambda d: replaced(parameter(listing(d), "mask")["schema"], "pattern", "|node", r"|node|ext\.language"),
    lambda d: parameter(stop(d), "Stop-Reason")["schema"].update(minLength=0),
    lambda d: expression(d, "and")["prefixItems"][0]["enum"].append("AND"),
    lambda d: query(d, "Filter")["oneOf"][0]["properties"].update({"ext.language": {"type": "string"}}),
    lambda d: query(d, "Expression")["oneOf"].append({"type": "array", "prefixItems": [{"const": "near"}]}),
    lambda d: query(d, "Order")["items"]["anyOf"][0]["enum"].append("ext.language"),
    lambda d: listing(d)["responses"].update({"422": {}}),
    lambda d: listing(d)["responses"]["200"]["headers"].update({"ETag": {}}),
    lambda d: listing(d)["responses"]["200"]["headers"]["Link"].update(required=True),
    lambda d: stop(d)["responses"]["204"]["headers"]["Stop-Outcome"]["schema"]["enum"].remove("pending"),
    lambda d: model(d, "Runtime")["properties"].update({"ext.language": {"type": ["string", "null"]}}),
    lambda d: model(d, "RuntimeExt")["properties"]["stoptype"].update(type="string"),
    lambda d: model(d, "Problem")["properties"]["code"]["x-extensible-enum"].append("too_many"),
    lambda d: d["components"]["schemas"].update(Another={}),
]


@pytest.mark.parametrize(("change", "told"), BREAKING, ids=[told for _, told in BREAKING])
def test_what_breaks_a_program_is_found_and_said(released: Document, change: Change, told: str) -> None:
    found = breaks(released, changed(released, change))
    assert any(told in each for each in found), found


@pytest.mark.parametrize("change", HARMLESS)
def test_what_a_program_does_not_notice_is_no_break(released: Document, change: Change) -> None:
    present = changed(released, change)
    assert present != released
    assert breaks(released, present) == []


def test_one_change_of_a_model_is_told_once_wherever_it_is_used(released: Document) -> None:
    present = changed(released, lambda d: model(d, "Problem")["properties"]["status"].update(type="string"))
    assert len(breaks(released, present)) == 1


@pytest.mark.parametrize(
    ("before", "now", "may"),
    [
        ("1.2.0", "2.0.0", True),
        ("1.2.0", "1.3.0", False),
        ("1.2.0", "1.2.1", False),
        ("0.1.0", "0.1.1", False),
        ("0.1.0", "0.2.0", True),
        ("0.9.0", "1.0.0", True),
    ],
)
def test_a_version_that_announces_breaks_may_have_them(before: str, now: str, may: bool) -> None:
    assert may_break(before, now) is may


@pytest.mark.parametrize(("version", "code"), [("0.1.7", 1), ("0.2.0", 0)])
def test_the_check_fails_on_a_break_that_is_not_announced_and_prints_it(
    released: Document,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    version: str,
    code: int,
) -> None:
    def change(document: Document) -> None:
        without(listing(document), "after")
        document["info"]["version"] = version

    old, new = changed(released, lambda d: d["info"].update(version="0.1.0")), changed(released, change)
    for name, each in (("RELEASED", old), ("PRESENT", new)):
        path = tmp_path / name
        path.write_text(json.dumps(each))
        monkeypatch.setattr(breaking, name, path)
    assert breaking.main() == code
    assert capsys.readouterr().out == f"breaks programs made for 0.1.0: GET {LIST}: query after: is gone\n"
