import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from ivr_agent.protocol.wire import (
    MAX_FAULTS,
    MAX_NUMBER,
    MAX_TEXT,
    Batch,
    Ended,
    EndedOne,
    RuntimeState,
    read_snapshot,
    wrong_fields,
)
from ivr_agent.settings import Place
from ivr_runtimes.identifiers import Session
from ivr_runtimes.model import State, StopType

FULL = {
    "id": "244f84aa-0624-e639-8061-a80000000006",
    "domain": "Test.RootDomain.ru",
    "type": "ivr",
    "code": "player",
    "name": "TEST PLAY",
    "starttime": "2019-11-05T08:36:40Z",
    "state": "post_processing",
    "stoptype": "stop",
    "stop_id": "abc",
    "rootcode": "welcome",
    "rootname": "Main scenario",
    "caller": "+12025550143",
    "called": "+442079460123",
    "call_id": "5f1e0b3c@192.168.0.12",
}
"""The full state of docs/engine-protocol.md, every member set; the domain not folded yet."""


NUMBERS = ("caller", "called", "call_id")


def test_a_full_state_becomes_the_row_that_lists_show(place: Place) -> None:
    row = RuntimeState.model_validate(FULL).row(place.site, place.node, Session("s-1"), lwt="2019-11-05T08:36:41Z")
    assert (row.site, row.node, row.session, row.lwt) == (place.site, place.node, "s-1", "2019-11-05T08:36:41Z")
    assert row.domain == "test.rootdomain.ru", "folded, or its own tenant would not find it"
    assert (row.state, row.stoptype, row.in_external_stop) == (State.POST_PROCESSING, StopType.STOP, True)
    assert {name: getattr(row, name) for name in FULL if name != "domain"} == {
        name: value for name, value in FULL.items() if name != "domain"
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "not-a-uuid"),
        ("domain", "two domains"),
        ("domain", ""),
        ("domain", 7),
        ("type", ""),
        ("code", None),
        ("name", "\ud800"),
        ("starttime", "2019-11-05T08:36:40+00:00"),
        ("starttime", "2019-11-05T08:36:40.5Z"),
        ("starttime", "2019-13-05T08:36:40Z"),
        ("starttime", "2019-1-5T8:36:40Z"),
        ("state", "stopping"),
        ("stoptype", 7),
        ("stop_id", "has space"),
        *((text, "x" * (MAX_TEXT + 1)) for text in ("type", "code", "name", "rootcode", "rootname")),
        *((number, "stopping" * 17) for number in NUMBERS),
        *((number, wrong) for number in NUMBERS for wrong in (12025550143, ["stopping"], "stopping\ud800")),
    ],
)
def test_a_wrong_member_is_named_but_its_value_is_not_repeated(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        RuntimeState.model_validate({**FULL, field: value})
    assert wrong_fields(caught.value).startswith(f"{field}: ")
    assert "stopping" not in wrong_fields(caught.value)


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_are_optional_and_of_at_most_128_characters(place: Place, number: str) -> None:
    for told, kept in (({}, None), ({number: None}, None), ({number: ""}, ""), ({number: "Ж" * MAX_NUMBER},) * 2):
        without = {name: value for name, value in FULL.items() if name != number}
        row = RuntimeState.model_validate(without | told).row(place.site, place.node, Session("s-1"), lwt="")
        assert getattr(row, number) == (kept[number] if isinstance(kept, dict) else kept)


def test_the_text_forms_of_a_state_and_its_row_show_no_number(place: Place) -> None:
    """Whatever logs or reports a state some day will show what `repr` shows."""
    state = RuntimeState.model_validate(FULL)
    shown = f"{state} {state!r} {state.row(place.site, place.node, Session('s-1'), lwt='')!r}"
    assert FULL["code"] in shown
    assert not [number for number in NUMBERS if FULL[number] in shown]


def test_a_termination_type_that_a_later_platform_adds_is_passed_over() -> None:
    """The protocol says that types may be added, but the runtime of one was refused, and with it its whole batch."""
    state = RuntimeState.model_validate({**FULL, "stoptype": "hangup"})
    assert (state.state, state.stoptype) == (State.POST_PROCESSING, None)
    event = {"session": "s-1", "seq": 1, "id": FULL["id"], "stoptype": "hangup"}
    assert Ended.model_validate(event).stoptype is None
    (ended,) = Batch.model_validate({"session": "s-1", "events": [event]}).events
    assert isinstance(ended, EndedOne)


def test_one_bad_row_does_not_spoil_a_snapshot(state: Callable[..., RuntimeState]) -> None:
    surrogate = {**state(2).model_dump(mode="json"), "name": "\ud800"}
    rows: list[Any] = [state(1).model_dump(mode="json"), {"id": "bad"}, {}, 7, surrogate]
    snapshot = read_snapshot(json.dumps({"session": "s-1", "seq": 3, "runtimes": rows}).encode())
    assert dict(snapshot.runtimes) == {state(1).id: state(1)}
    assert set(snapshot.unreadable) == {"row 1", "row 2", "row 3", state(2).id}, "no value of the row is repeated"


def test_a_row_of_a_snapshot_with_too_long_a_text_costs_itself_only(state: Callable[..., RuntimeState]) -> None:
    """At the limit, in characters and not in bytes, it is read; beyond, it is left out, and the others are shown."""
    most, more = "Ж" * MAX_TEXT, "x" * (MAX_TEXT + 1)
    long = state(1, type=most, code=most, name=most, rootcode=most, rootname=most)
    rows = [long.model_dump(mode="json"), {**state(2).model_dump(mode="json"), "name": more}]
    snapshot = read_snapshot(json.dumps({"session": "s-1", "seq": 3, "runtimes": rows}).encode())
    assert dict(snapshot.runtimes) == {long.id: long}
    assert snapshot.unreadable == {state(2).id: f"name: String should have at most {MAX_TEXT} characters"}


@pytest.mark.parametrize("broken", [False, True])
def test_ids_of_a_snapshot_are_folded_and_their_spelling_is_kept(
    state: Callable[..., RuntimeState], *, broken: bool
) -> None:
    row = {**state(1).model_dump(mode="json"), "id": state(1).id.upper()} | ({"name": None} if broken else {})
    snapshot = read_snapshot(json.dumps({"session": "s-1", "seq": 3, "runtimes": [row]}).encode())
    assert list(snapshot.unreadable if broken else snapshot.runtimes) == [state(1).id]
    if not broken:
        assert snapshot.runtimes[state(1).id].spelling == state(1).id.upper()


def test_a_letter_outside_ascii_is_no_letter_of_an_id() -> None:
    with pytest.raises(ValidationError, match="id"):
        RuntimeState.model_validate({**FULL, "id": FULL["id"][:-1] + "\N{FULLWIDTH LATIN CAPITAL LETTER A}"})


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"session": "s", "seq": -1, "runtimes": []}', b'{"session": "s", "seq": 1}']
)
def test_what_is_no_snapshot_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # of JSON or of pydantic, as it happens
        read_snapshot(body)


def test_a_row_has_the_folded_id(place: Place) -> None:
    told = RuntimeState.model_validate({**FULL, "id": FULL["id"].upper()})
    row = told.row(place.site, place.node, Session("s-1"), lwt="2019-11-05T08:36:41Z")
    assert (row.id, told.spelling) == (FULL["id"], FULL["id"].upper())


def test_a_body_of_many_faults_names_the_first_few(state: Callable[..., RuntimeState]) -> None:
    """A batch of 500 wrong events was an answer, and a line of the log, of 80 KB."""
    events = [{"seq": number, "runtime": {"id": state(number).id}} for number in range(500)]
    with pytest.raises(ValidationError) as caught:
        Batch.model_validate({"session": "s-1", "events": events})
    told = wrong_fields(caught.value)
    assert len(told) < 1000
    assert told.count(";") == MAX_FAULTS
    assert told.endswith(" more")


def test_a_row_is_called_by_its_id_only_where_that_is_one() -> None:
    rows: list[Any] = [{"id": "x" * 100_000}, {"id": {"a": 1}}, {"id": FULL["id"]}]
    snapshot = read_snapshot(json.dumps({"session": "s-1", "seq": 3, "runtimes": rows}).encode())
    assert set(snapshot.unreadable) == {"row 0", "row 1", FULL["id"]}


@pytest.mark.parametrize("name", ["\u212a.example", "\u0130.example", "a\u00e9", "a.example\n", "a\u00a0", "\uff41"])
def test_a_domain_is_checked_before_it_is_folded_and_the_schema_says_the_same(name: str) -> None:
    """The Kelvin sign folds to `k`: the agent took a name that the published schema refuses, for another tenant's."""
    with pytest.raises(ValidationError, match="not the name of a domain"):
        RuntimeState.model_validate({**FULL, "domain": name})
    pattern = RuntimeState.model_json_schema()["properties"]["domain"]["pattern"]
    assert not re.fullmatch(pattern, name)
    assert re.fullmatch(pattern, "Test.RootDomain.ru")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "244f84aa-0624-e639-8061-a8000000000\u0666"),
        ("id", FULL["id"] + "\n"),
        ("starttime", "2019-11-05T08:36:4\u0660Z"),
        ("starttime", "2019-11-05T08:36:40Z\n"),
        ("stop_id", "key\u00a0"),
    ],
)
def test_digits_and_blanks_outside_ascii_are_none(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        RuntimeState.model_validate({**FULL, field: value})
