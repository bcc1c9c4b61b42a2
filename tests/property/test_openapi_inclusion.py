"""Schemas in schemas, against the oracle: a value that fits the one and not the other."""

from typing import Any

import jsonschema_rs
import pytest
from delivery.openapi.inclusion import Inclusion
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Schema = dict[str, Any]

EXAMPLES = 300

VALUES: list[Any] = [
    None, True, 0, 1, 2, 5, 1.5, "", "a", "b", "ab", "id", "id,site", "site", [], ["a"], ["a", 1], ["a", "b", "a"],
    [1, 1], {}, {"a": 1}, {"a": "a"}, {"b": 2}, {"a": 1, "b": "b"}, {"c": None},
]  # fmt: skip
"""Few, but each keyword below tells some of them apart."""

NAMES = st.sampled_from("ab")
SMALL = st.integers(0, 3)
TYPES = st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object"])
PATTERNS = st.sampled_from(["^(id|site)(,(id|site))*$", "^(id)(,(id))*$", "^a", "^[ab]+$", "^(a|b)$", "^(b)$"])


def objects(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    return st.fixed_dictionaries(
        {},
        optional={
            "type": st.just("object"),
            "properties": st.dictionaries(NAMES, inner, max_size=2),
            "required": st.lists(NAMES, unique=True),
            "additionalProperties": st.booleans(),
        },
    )


def arrays(inner: st.SearchStrategy[Schema]) -> st.SearchStrategy[Schema]:
    return st.fixed_dictionaries(
        {"type": st.just("array")},
        optional={
            "prefixItems": st.lists(inner, min_size=1, max_size=2),
            "items": inner,
            "minItems": SMALL,
            "maxItems": SMALL,
        },
    )


LEAVES: st.SearchStrategy[Schema] = st.one_of(
    st.just({}),
    st.builds(lambda types: {"type": types}, TYPES | st.lists(TYPES, min_size=1, max_size=2, unique=True)),
    st.fixed_dictionaries(
        {"type": st.just("string")}, optional={"minLength": SMALL, "maxLength": SMALL, "pattern": PATTERNS}
    ),
    st.fixed_dictionaries({"type": st.just("integer")}, optional={"minimum": SMALL, "maximum": SMALL}),
    st.builds(lambda values: {"enum": values}, st.lists(st.sampled_from(VALUES), max_size=3)),
    st.builds(lambda value: {"const": value}, st.sampled_from(VALUES)),
)
SCHEMAS = st.recursive(
    LEAVES,
    lambda inner: (
        objects(inner)
        | arrays(inner)
        | st.builds(lambda some: {"anyOf": some}, st.lists(inner, min_size=1, max_size=3))
    ),
    max_leaves=6,
)


def fitting(schema: Schema) -> list[Any]:
    validator = jsonschema_rs.Draft202012Validator(schema)
    return [value for value in VALUES if validator.is_valid(value)]


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SCHEMAS, SCHEMAS)
def test_if_nothing_is_said_then_whatever_fits_the_one_fits_the_other(narrow: Schema, wide: Schema) -> None:
    if not Inclusion(narrow=narrow, wide=wide, answer=False).misfits(narrow, wide, "here"):
        validator = jsonschema_rs.Draft202012Validator(wide)
        assert not [value for value in fitting(narrow) if not validator.is_valid(value)]


@settings(max_examples=EXAMPLES // 2, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SCHEMAS)
def test_a_schema_fits_itself(schema: Schema) -> None:
    for answer in (False, True):
        assert Inclusion(narrow=schema, wide=schema, answer=answer).misfits(schema, schema, "here") == []


def test_what_stands_twice_is_not_judged() -> None:
    twice = {"minimum": 1, "anyOf": [{"minimum": 0}]}
    with pytest.raises(ValueError, match="minimum"):
        Inclusion(narrow=twice, wide={}, answer=False).misfits(twice, {}, "here")
