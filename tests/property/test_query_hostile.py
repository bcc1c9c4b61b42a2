"""Whatever arrives as a query string is either answered or refused in order: nothing else ever comes out."""

import json
from typing import Any
from urllib.parse import quote

from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from ivr_runtimes.errors import Fault, InvalidRequestError
from ivr_runtimes.identifiers import Domain, NodeName, RuntimeId, Session, Site
from ivr_runtimes.model import Runtime, StopType
from ivr_runtimes.query import ListQuery, parse_list_query
from ivr_runtimes.query.evaluate import compiled, passing

SETTINGS = settings(max_examples=300, deadline=None, derandomize=True, database=None)
NAMES = ("filter", "mask", "offset", "limit", "order", "flat")
ROWS = [
    Runtime(
        id=RuntimeId(str(number)),
        site=Site("SITE1"),
        node=NodeName("n@h"),
        domain=Domain("d"),
        session=Session("s"),
        type="ivr",
        code="c",
        name="\U0001f600" * number,
        starttime="2019-11-05T08:36:40Z",
        lwt="not a time",
        stoptype=stoptype,
    )
    for number, stoptype in enumerate([None, StopType.STOP, None])
]
VALID = (
    '["and",["==",["property","site"],"SITE1"],["not",["isnull",["property","ext.lwt"]]]]',
    '["||",["in",["property","code"],["const",["a","b"]]],["like",["property","name"],"%\\\\_x"]]',
    '[">",["const","2019-11-05T08:36:40.5+03:00"],["property","starttime"]]',
    '{"site":"SITE1","code":["a","b"],"ext.state":"running"}',
    '[{"starttime":"desc"},"-code"]',
    '{"starttime":"desc"},"-code",name',
)


def outcome(raw: str) -> ListQuery | tuple[Fault, ...]:
    """Parse and, if that succeeds, answer."""
    try:
        query = parse_list_query(raw)
    except InvalidRequestError as error:
        event("refused")
        return shown(error.faults)
    event("answered")
    query.render(query.window(query.sort(passing(compiled(query.filter), ROWS))))
    return query


def shown(faults: tuple[Fault, ...]) -> tuple[Fault, ...]:
    """Return the faults of a refusal, of which there is one at least, each fit for a terminal."""
    assert faults
    for fault in faults:
        assert fault.place.isprintable()
        assert fault.message.isprintable()
        assert min(map(len, (fault.place, fault.message, fault.remedy))) > 0
        assert len(fault.place + fault.message) < 1500
    return faults


tokens = st.sampled_from(
    [
        *NAMES,
        *'&=+%[]{}",:\\-',
        "%2",
        "%22",
        "%5B",
        "%ff",
        "%00",
        "%ED%A0%80",
        "\\ud800",
        "NaN",
        "null",
        "1e999",
        "site",
        "ext",
        "asc",
    ]
)
anything: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["property", "const", "and", "==", "in", "site"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["site", "ext.lwt", "a b", ""]), inner, max_size=3)
    ),
    max_leaves=12,
)


@SETTINGS
@given(raw=st.text())
@example(raw="filter=" + "[" * 10_000)
@example(raw="order=" + '{"":' * 2_000)
@example(raw="order=" + '"' + "," * 10_000)
@example(raw="mask=" + "id," * 3_000)
@example(raw="filter=" + "9" * 4_096)
@example(raw="&".join(f"p{number}=%" for number in range(1_000)))
def test_any_text_is_answered_or_refused(raw: str) -> None:
    outcome(raw)


@SETTINGS
@given(name=st.sampled_from(NAMES), junk=st.lists(tokens, max_size=12))
def test_any_junk_in_a_parameter_is_answered_or_refused(name: str, junk: list[str]) -> None:
    outcome(f"{name}={''.join(junk)}")


@SETTINGS
@given(name=st.sampled_from(NAMES), data=st.binary(max_size=12))
def test_any_bytes_in_a_parameter_are_answered_or_refused(name: str, data: bytes) -> None:
    outcome(f"{name}={quote(data)}")


@SETTINGS
@given(name=st.sampled_from(["filter", "order"]), document=anything)
def test_any_json_in_a_parameter_is_answered_or_refused(name: str, document: Any) -> None:
    outcome(f"{name}={quote(json.dumps(document))}")


@SETTINGS
@given(
    name=st.sampled_from(["filter", "order"]),
    text=st.sampled_from(VALID),
    at=st.integers(0, 80),
    length=st.integers(0, 4),
    instead=st.text(max_size=3) | tokens | anything.map(json.dumps),
)
def test_a_mutated_query_is_answered_or_refused(name: str, text: str, at: int, length: int, instead: str) -> None:
    mutated = text[:at] + instead + text[at + length :]
    outcome(f"{name}={quote(mutated, errors='surrogatepass')}")


@SETTINGS
@given(
    wrong=st.dictionaries(
        st.sampled_from([*NAMES, "after", "Limit", "x y"]),
        st.sampled_from(["", "%", "%ff", "-1", "[]", "[", "id,id", "null"]),
    )
)
def test_every_wrong_parameter_gets_exactly_one_fault(wrong: dict[str, str]) -> None:
    faults = outcome("&".join(f"{quote(name)}={value}" for name, value in wrong.items()))
    if wrong:
        assert isinstance(faults, tuple)
        assert len(faults) == len(wrong)
        assert all(fault.place.startswith(name) for fault, name in zip(faults, wrong, strict=True))
