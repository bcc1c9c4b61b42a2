"""Engines that are each broken in one way: which check of the conformance kit must catch which, and that it alone does.

Most of these faults are of a real engine, written from docs/engine-protocol.md alone and then broken on purpose; the
kit had let many of them pass that the agent cannot work with.
"""

import gzip
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from emulators import free_port
from ivr_agent.protocol.wire import MAX_EVENTS, MAX_TEXT
from ivr_engine.address import Address
from ivr_engine.conformance.kit import Plan, Result, Verdict, catalogue, examine
from ivr_engine.conformance.subject import Limits
from small_engine import TOKEN, WITH_BRANCH, Event, SmallEngine

QUICK = Limits(status_s=2.0, snapshot_s=2.0, command_s=2.0, shown_s=0.5, event_s=1.5, look_every_s=0.01)
"""Only faults wait for these: what is right is there at once."""


def with_body(**changed: Any) -> Callable[[Any], Any]:
    """Change members of a body; a member that is `...` is left out."""

    def change(told: Any) -> Any:
        status, body = told if isinstance(told, tuple) else (None, told)
        body = {name: value for name, value in {**body, **changed}.items() if value is not ...}
        return body if status is None else (status, body)

    return change


def instead(status: int, body: Any) -> Callable[[Any], Any]:
    return lambda _: (status, body)


def when(code: str, change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Change refusals of that code only."""
    return lambda told: change(told) if told[1]["error"] == code else told


def compressed(answer: bytes) -> bytes:
    head, _, body = answer.partition(b"\r\n\r\n")
    packed = gzip.compress(body)
    kind, _, _ = head.rpartition(b"\r\n")
    return kind + b"\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed


def bare_lines(answer: bytes) -> bytes:
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.replace(b"\r\n", b"\n") + b"\n\n" + body


def without_length(answer: bytes) -> bytes:
    head, _, body = answer.partition(b"\r\n\r\n")
    return head.rpartition(b"\r\n")[0] + b"\r\n\r\n" + body


def commands_only(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Change answers that are not the status's or the snapshot's: those of 200 have a seq."""
    return lambda answer: answer if b'"seq"' in answer else change(answer)


def told_as(**changed: Any) -> Callable[[Event], Event]:
    """Change members of the runtimes in events."""

    def change(event: Event) -> Event:
        if event.method != "PUT":
            return event
        return replace(event, body={**event.body, "runtime": with_body(**changed)(event.body["runtime"])})

    return change


def batched(size: int) -> Callable[[Event], Event]:
    def change(event: Event) -> Event:
        if event.method != "PUT":
            return event
        one = {"seq": event.body["seq"], "runtime": event.body["runtime"]}
        return replace(
            event, method="POST", path="/v1/events", body={"session": event.body["session"], "events": [one] * size}
        )

    return change


class Swallow:
    """Every third event is lost."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, event: Event) -> Event | None:
        self.count += 1
        return None if self.count % 3 == 0 else event


def of_session(session: str) -> Callable[[Event], Event]:
    def change(event: Event) -> Event:
        if event.method == "PUT":
            return replace(event, body={**event.body, "session": session})
        return replace(event, path=event.path.replace("session=life-1", f"session={session}"))

    return change


def headed(**headers: str) -> Callable[[Event], Event]:
    return lambda event: replace(event, headers={**event.headers, **headers})


class Turns:
    """A member is another with each telling."""

    def __init__(self, member: str, value: str) -> None:
        self.member, self.value, self.count = member, value, 0

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        self.count += 1
        return {**row, self.member: self.value.format(self.count % 7)}


LONG = "x" * (MAX_TEXT + 1)
HTML = b"<html><h1>Not Found</h1></html>"


@dataclass(frozen=True)
class Fault:
    """What is wrong, and the check that must catch it."""

    name: str
    check: str
    habits: tuple[str, ...] = ()
    hooks: Any = None
    also: frozenset[str] = frozenset()
    """Other checks that see it, too."""

    listen: bool = False
    branch: frozenset[str] = frozenset()

    def engine(self) -> SmallEngine:
        hooks = {name: hook() if isinstance(hook, type) else hook for name, hook in (self.hooks or {}).items()}
        return SmallEngine(*self.habits, **hooks)


def habit(habit: str, check: str, *also: str, **more: Any) -> Fault:
    return Fault(habit, check, habits=(habit,), also=frozenset(also), **more)


def says(name: str, check: str, *also: str, **hooks: Any) -> Fault:
    return Fault(name, check, hooks=hooks, also=frozenset(also))


def tells(name: str, check: str, event: Any, *also: str) -> Fault:
    return Fault(name, check, hooks={"event": event}, also=frozenset(also), listen=True)


FAULTS = [
    # The status
    says("status of text", "status_is_readable", status=instead(200, b"fine, thank you")),
    says("status of nothing", "status_is_readable", status=instead(200, b"")),
    says("status 500", "status_is_readable", status=instead(500, {"error": "x"})),
    says("status 302", "status_is_readable", status=instead(302, b"")),
    says("status without seq", "status_is_readable", status=with_body(seq=...)),
    says("status without session", "status_is_readable", status=with_body(session=...)),
    says("seq as text", "status_is_readable", status=with_body(seq="7")),
    says("a negative age", "status_is_readable", status=with_body(age_s=-1)),
    says("an age since 1970", "status_is_readable", status=with_body(age_s=1_795_660_902.5)),
    says("seq with a fraction", "status_is_readable", status=with_body(seq=7.5)),
    says("seq below 0", "status_is_readable", status=with_body(seq=-1)),
    says("session with a space", "status_is_readable", status=with_body(session="life 1")),
    says("session of 65", "status_is_readable", status=with_body(session="x" * 65)),
    habit("a slow status", "status_is_readable"),
    # The snapshot
    habit("a slow snapshot", "snapshot_is_readable"),
    says("snapshot 503", "snapshot_is_readable", snapshot=instead(503, {"error": "busy"})),
    says("snapshot as a bare list", "snapshot_is_readable", snapshot=lambda told: (200, told[1]["runtimes"])),
    says("snapshot without seq", "snapshot_is_readable", snapshot=with_body(seq=...)),
    says("rows by id", "snapshot_is_readable", rows=lambda rows: {row["id"]: row for row in rows}),
    says("row without domain", "snapshot_is_readable", row=with_body(domain="")),
    says("row of two domains", "snapshot_is_readable", row=with_body(domain="[a, b]")),
    says("id that is no UUID", "snapshot_is_readable", row=with_body(id="call-7")),
    says("code null", "snapshot_is_readable", row=with_body(code=None)),
    says("type empty", "snapshot_is_readable", row=with_body(type="")),
    says("name too long", "snapshot_is_readable", row=with_body(name=LONG)),
    says("code too long", "snapshot_is_readable", row=with_body(code=LONG)),
    says("caller too long", "snapshot_is_readable", row=with_body(caller="x" * 129)),
    says("call id a number", "snapshot_is_readable", row=with_body(call_id=7)),
    says("root too long", "snapshot_is_readable", row=with_body(rootcode=LONG, rootname="x")),
    says("start in another form", "snapshot_is_readable", row=with_body(starttime="2019-11-05 08:36:40")),
    says("start in another zone", "snapshot_is_readable", row=with_body(starttime="2019-11-05T08:36:40+00:00")),
    says("start with a fraction", "snapshot_is_readable", row=with_body(starttime="2019-11-05T08:36:40.1Z")),
    says("start in seconds", "snapshot_is_readable", row=with_body(starttime=1572943000)),
    says("a state of its own", "snapshot_is_readable", row=with_body(state="stopping")),
    says("ended ones in the snapshot", "snapshot_is_readable", row=with_body(state="ended")),
    says("rows twice", "ids_are_unique", rows=lambda rows: rows + rows[:1]),
    says(
        "rows twice in two letter cases",
        "ids_are_unique",
        rows=lambda rows: [*rows, {**rows[0], "id": rows[0]["id"].upper()}],
    ),
    habit("a session per answer", "session_lasts_and_seq_never_falls"),
    says("snapshot of an old seq", "session_lasts_and_seq_never_falls", status=with_body(seq=1000)),
    says(
        "seq that counts nothing",
        "seq_counts_every_start",
        "terminate_ends",
        "branch_is_entered",
        status=with_body(seq=0),
        snapshot=with_body(seq=0),
    ),
    says(
        "stoptype while running",
        "states_fit_together",
        rows=lambda rows: [{**rows[0], "stoptype": "timeout"}, *rows[1:]],
    ),
    says(
        "post_processing without stoptype",
        "states_fit_together",
        rows=lambda rows: [{**rows[0], "state": "post_processing", "stoptype": None}, *rows[1:]],
    ),
    says("rootcode without rootname", "states_fit_together", row=with_body(rootcode="welcome")),
    says("start told anew", "domain_and_start_last", row=Turns("starttime", "2019-11-05T08:36:4{}Z")),
    says("domain by turns", "domain_and_start_last", row=Turns("domain", "d{}.example")),
    # How it speaks
    says("HTTP/1.0", "answers_are_http_1_1", "connections_are_kept", answer=lambda a: a.replace(b"/1.1", b"/1.0", 1)),
    says("HTTP/2", "commands_are_answered", answer=commands_only(lambda a: a.replace(b"/1.1", b"/2", 1))),
    says("lines that end in LF alone", "answers_are_http_1_1", answer=bare_lines),
    says("gzip", "answers_are_http_1_1", answer=lambda a: compressed(a) if b'"seq"' in a else a),
    says("gzip for commands", "commands_are_answered", answer=commands_only(compressed)),
    Fault(
        "bodies up to the end of the connection",
        "answers_are_http_1_1",
        habits=("closes connections",),
        hooks={"answer": without_length},
        also=frozenset({"connections_are_kept"}),
    ),
    habit("closes connections", "connections_are_kept"),
    habit("closes after commands", "connections_are_kept"),
    # What it must refuse
    habit("a slow command", "commands_are_answered"),
    says(
        "own words for unknown", "unknown_runtime_is_refused", refusal=when("unknown_runtime", with_body(error="gone"))
    ),
    says("a page for unknown", "unknown_runtime_is_refused", refusal=when("unknown_runtime", instead(404, HTML))),
    says("410 for unknown", "unknown_runtime_is_refused", refusal=when("unknown_runtime", lambda t: (410, t[1]))),
    says(
        "200 for unknown",
        "unknown_runtime_is_refused",
        refusal=when("unknown_runtime", instead(200, {"session": "life-1", "state": "ended", "result": "acted"})),
    ),
    says(
        "a refusal of 70 kB",
        "unknown_runtime_is_refused",
        refusal=when("unknown_runtime", with_body(detail="x" * 70_000)),
    ),
    says(
        "refuses in another's name",
        "unknown_runtime_is_refused",
        refusal=when("unknown_runtime", with_body(session="nobody")),
    ),
    says("refuses in no name", "unknown_runtime_is_refused", refusal=when("unknown_runtime", with_body(session=...))),
    habit("wants plain stop ids", "any_command_of_the_protocol_is_read"),
    habit("knows every member", "any_command_of_the_protocol_is_read"),
    habit("ignores sessions", "session_mismatch_is_refused", "mismatch_leaves_the_runtime_alone"),
    habit("looks for the runtime first", "session_mismatch_is_refused"),
    habit("repeats the session asked for", "session_mismatch_is_refused"),
    habit("acts for others", "mismatch_leaves_the_runtime_alone"),
    habit("own words for wrong bodies", "invalid_command_is_refused"),
    habit("reads any body", "invalid_command_is_refused"),
    habit("drops wrong bodies", "invalid_command_is_refused"),
    habit("lets browsers GET", "origin_is_refused"),
    habit("lets browsers POST", "origin_is_refused"),
    says("401 for browsers", "origin_is_refused", refusal=when("origin_refused", lambda told: (401, told[1]))),
    habit("needs no token", "token_is_required"),
    habit("takes commands of anybody", "token_is_required"),
    habit("compares half the token", "token_is_required"),
    # Stops
    habit("keeps what it ended", "terminate_ends", "stop_without_branch_ends", "terminate_ends_a_branch"),
    habit("ends without seq", "terminate_ends"),
    says(
        "answers in another's name",
        "terminate_ends",
        "stop_without_branch_ends",
        "branch_is_entered",
        ack=with_body(session="life-0"),
    ),
    says(
        "a result of its own",
        "terminate_ends",
        "stop_without_branch_ends",
        "branch_is_entered",
        ack=with_body(result="ok"),
    ),
    says(
        "202 and no body",
        "terminate_ends",
        "stop_without_branch_ends",
        "branch_is_entered",
        ack=instead(202, b""),
    ),
    says("204", "terminate_ends", "stop_without_branch_ends", "branch_is_entered", ack=instead(204, b"")),
    habit("keeps what it stopped", "stop_without_branch_ends"),
    habit("goes on without a branch", "stop_without_branch_ends"),
    habit("skips branches", "branch_is_entered", branch=frozenset({WITH_BRANCH})),
    habit("hides branches", "branch_is_entered"),
    says("told as ended", "branch_is_entered", ack=with_body(state="ended")),
    habit("hides stop ids", "branch_is_entered"),
    habit("changes without seq", "branch_is_entered"),
    habit("forgets ids", "seen_id_is_a_no_op_whatever_its_verb", "another_external_stop_is_noted"),
    habit("ids per verb", "seen_id_is_a_no_op_whatever_its_verb", "another_external_stop_is_noted"),
    habit("ids for all runtimes", "ids_are_remembered_per_runtime"),
    habit("looks, waits, then acts", "repeats_at_once_act_once"),
    habit("escalates", "another_external_stop_is_noted"),
    habit("forgets later ids", "another_external_stop_is_noted"),
    habit("never ends a branch", "terminate_ends_a_branch"),
    # Events
    tells("without the token", "events_are_let_in", lambda event: replace(event, headers={})),
    tells("with another token", "events_are_let_in", headed(Authorization="Bearer other")),
    tells("with an Origin", "events_are_let_in", headed(Origin="http://engine")),
    tells("of a session of their own", "events_are_readable", of_session("life-0")),
    tells("without a runtime", "events_are_readable", lambda event: replace(event, body=event.body and {"seq": 1})),
    tells("of names too long", "events_are_readable", told_as(name=LONG)),
    tells("to paths of its own", "events_are_readable", lambda event: replace(event, path="/v1/event")),
    tells(
        "of another id than the path",
        "events_are_readable",
        lambda event: replace(event, path=event.path.replace("244f84aa", "00000000")),
    ),
    tells("in batches too large", "events_are_readable", batched(MAX_EVENTS + 1)),
    tells("told twice", "events_come_in_order", batched(2)),
    tells("every third lost", "events_come_in_order", Swallow, "events_add_up_to_the_snapshot"),
    tells("not as the snapshot", "events_add_up_to_the_snapshot", told_as(code="other")),
]


async def verdicts(engine: SmallEngine, folder: Path, *, listen: bool = False, **asked: Any) -> dict[str, Verdict]:
    agent = Address(host="127.0.0.1", port=free_port()) if listen else None
    async with engine.served(agent=agent) as address:
        plan = Plan(engine=address, token=TOKEN, destructive=True, listen=agent, limits=QUICK, **asked)
        return {verdict.check: verdict for verdict in await examine(plan)}


def of(told: dict[str, Verdict], result: Result) -> set[str]:
    return {name for name, verdict in told.items() if verdict.result is result}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_each_fault_is_caught_by_its_check(tmp_path: Path, fault: Fault) -> None:
    told = await verdicts(fault.engine(), tmp_path, listen=fault.listen, branch=fault.branch)
    assert of(told, Result.FAIL) == {fault.check} | fault.also, told
    assert len(told[fault.check].detail) > 10
    assert told[fault.check].asks


def test_every_check_has_a_fault_that_it_catches() -> None:
    assert {fault.check for fault in FAULTS} == {name for name, _ in catalogue()}
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 40
