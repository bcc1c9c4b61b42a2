"""The conformance kit lets right engines pass, however odd, and its exit code never says more than was checked."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from emulators import free_port
from ivr_agent.address import listen
from ivr_agent.protocol.wire import MAX_NUMBER, MAX_TEXT
from ivr_engine.address import Address
from ivr_engine.conformance.__main__ import TOKEN_VARIABLE, Exit, main
from ivr_engine.conformance.kit import NEEDS, NOT_ASKED, Plan, Result, Verdict, catalogue, examine
from ivr_engine.conformance.subject import Limits
from small_engine import TOKEN, WITH_BRANCH, Event, SmallEngine

PATIENT = Limits(look_every_s=0.01)
QUICK = replace(PATIENT, shown_s=0.5, event_s=1.5)
EVENTS = {"events_are_let_in", "events_are_readable", "events_come_in_order", "events_add_up_to_the_snapshot"}


@pytest.fixture(autouse=True)
def no_token_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)


async def results(engine: SmallEngine, *, events: bool = False, **asked: Any) -> dict[str, Verdict]:
    agent = Address(host="127.0.0.1", port=free_port()) if events else None
    async with engine.served(agent=agent) as address:
        plan = {"engine": address, "token": TOKEN, "destructive": True, "listen": agent, "limits": PATIENT, **asked}
        return {verdict.check: verdict for verdict in await examine(Plan(**plan))}


def of(told: dict[str, Verdict], result: Result) -> set[str]:
    return {name for name, verdict in told.items() if verdict.result is result}


def run(*arguments: str) -> Any:
    """Run the kit's program in a thread, while engines are served in this one."""
    return asyncio.to_thread(main, list(arguments))


# Right engines


@pytest.mark.parametrize("branch", [frozenset(), frozenset({WITH_BRANCH})])
async def test_a_right_engine_passes_every_check(branch: frozenset[str]) -> None:
    told = await results(SmallEngine(), events=True, branch=branch)
    assert of(told, Result.PASS) == {name for name, _ in catalogue()}, told


def chunked(answer: bytes) -> bytes:
    head, _, body = answer.partition(b"\r\n\r\n")
    start = head.rpartition(b"\r\n")[0]
    return start + b"\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


def untyped(answer: bytes) -> bytes:
    return answer.replace(b"Content-Type: application/json\r\n", b"Server: mine\r\nX-More: 1\r\n")


def in_batches(event: Event) -> Event:
    if event.method == "PUT":
        one = {"seq": event.body["seq"], "runtime": event.body["runtime"]}
    else:
        query = dict(pair.split("=") for pair in event.path.partition("?")[2].split("&"))
        id_ = event.path.partition("?")[0].rpartition("/")[2]
        one = {"seq": int(query["seq"]), "id": id_, "stoptype": query["stoptype"]}
    return replace(event, method="POST", path="/v1/events", body={"session": "life-1", "events": [one]})


def ends_in_lower_case(event: Event) -> Event:
    return replace(event, path=event.path.lower()) if event.method == "DELETE" else event


def unknown_members(told: Any) -> Any:
    return (told[0], {**told[1], "later": {"member": 1}}) if isinstance(told, tuple) else {**told, "later": 1}


def of_a_type_of_its_own(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**rows[0], "state": "post_processing", "stoptype": "hangup"}, *rows[1:]]


def of_the_longest_texts(row: dict[str, Any]) -> dict[str, Any]:
    texts = {"type": "Ж" * MAX_TEXT, "name": "Ж" * MAX_TEXT, "rootcode": "x" * MAX_TEXT, "rootname": "x"}
    return row | texts | dict.fromkeys(("caller", "called", "call_id"), "Ж" * MAX_NUMBER)


@pytest.mark.parametrize(
    "engine",
    [
        lambda: SmallEngine(upper=True),
        lambda: SmallEngine(upper=True, event=ends_in_lower_case),
        lambda: SmallEngine(answer=chunked),
        lambda: SmallEngine(answer=untyped),
        lambda: SmallEngine(event=in_batches),
        lambda: SmallEngine(**dict.fromkeys(("status", "snapshot", "row", "ack", "refusal"), unknown_members)),
        lambda: SmallEngine(rows=of_a_type_of_its_own),
        lambda: SmallEngine(row=of_the_longest_texts, calls=16),
    ],
    ids=["upper", "upper and lower", "chunked", "untyped", "batches", "members", "stoptype", "long"],
)
async def test_an_odd_engine_that_the_agent_can_work_with_fails_nothing(engine: Callable[[], SmallEngine]) -> None:
    made = engine()
    told = await results(made, events="row" not in made.hooks)  # its events do not have what its rows have
    assert of(told, Result.FAIL) == set(), told
    assert of(told, Result.SKIP) <= EVENTS


# What was not checked


async def test_nothing_is_stopped_unless_asked() -> None:
    engine = SmallEngine()
    before = (engine.seq, dict(engine.rows))
    told = await results(engine, destructive=False)
    assert (engine.seq, engine.rows, engine.seen) == (*before, {})
    assert {name for name, verdict in told.items() if verdict.detail == NOT_ASKED} > {"terminate_ends"}


async def test_without_calls_the_checks_that_stop_some_stay_open() -> None:
    told = await results(SmallEngine(calls=0))
    assert of(told, Result.OPEN) >= {"terminate_ends", "branch_is_entered", "repeats_at_once_act_once"}
    assert of(told, Result.FAIL) == set()
    assert "no runtime" in told["terminate_ends"].detail
    assert "needs branch_is_entered" in told["repeats_at_once_act_once"].detail


async def test_without_events_their_checks_stay_open() -> None:
    told = await results(SmallEngine(event=lambda _: None), events=True, destructive=False, limits=QUICK)
    assert of(told, Result.OPEN) == EVENTS


async def test_what_needs_a_failed_check_is_skipped_and_says_so() -> None:
    told = await results(SmallEngine(status=lambda _: (200, b"fine")))
    assert of(told, Result.FAIL) == {"status_is_readable"}
    assert told["terminate_ends"].result is Result.SKIP
    assert told["snapshot_is_readable"].detail == "needs status_is_readable, which came out as fail"
    assert of(told, Result.PASS) == set()


def test_a_check_needs_only_what_comes_before_it() -> None:
    order = [name for name, _ in catalogue()]
    assert NEEDS.keys() <= set(order)
    for name, needed in NEEDS.items():
        assert all(order.index(before) < order.index(name) for before in needed)


async def test_an_engine_that_dies_of_a_check_fails_that_one_only() -> None:
    """It ended at the first body that is no command: thirteen more checks failed, and none said when it went."""

    class Mortal(SmallEngine):
        async def answer(self, request: Any) -> Any:
            if request.method == "POST" and not request.body.startswith(b"{"):
                self.server.close()
                raise ConnectionResetError
            return await super().answer(request)

    told = await results(Mortal())
    assert of(told, Result.FAIL) == {"invalid_command_is_refused"}
    assert told["terminate_ends"].detail.endswith("since invalid_command_is_refused")
    assert "no connection for POST" in told["invalid_command_is_refused"].detail


@pytest.mark.parametrize(
    ("engine", "check", "seen"),
    [
        (SmallEngine("hides branches"), "branch_is_entered", "state running, stoptype None, stop_id "),
        (SmallEngine("ends without seq"), "terminate_ends", "40 before, 40 after"),
        (SmallEngine("keeps what it ended"), "terminate_ends", "state running"),
        (SmallEngine(status=lambda _: (200, b"fine")), "status_is_readable", "the body begins with 'fine'"),
        (
            SmallEngine(event=lambda event: event if event.method == "PUT" else None),
            "events_come_in_order",
            "the last was seq ",
        ),
    ],
)
async def test_a_failure_says_what_was_last_seen(engine: SmallEngine, check: str, seen: str) -> None:
    told = await results(engine, events=check in EVENTS, limits=QUICK)
    assert seen in told[check].detail


async def test_a_verdict_about_a_snapshot_shows_no_callers_number() -> None:
    """Its body begins with a row, if the engine writes `runtimes` first."""
    number = "+12025550143" * 20
    first = SmallEngine(snapshot=lambda told: (told[0], {"runtimes": [{"caller": number}], **told[1]}))
    first.hooks["rows"] = lambda rows: [{"caller": number, **row, "call_id": [number]} for row in rows]
    told = await results(first, limits=QUICK)
    assert "runtimes.0.caller" in told["snapshot_is_readable"].detail
    assert not [one.detail for one in told.values() if number[:12] in one.detail]


# The program


async def test_the_exit_code_says_what_came_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    async with SmallEngine().served() as right, SmallEngine("ignores sessions").served() as wrong:
        assert await run("--engine", str(right), "--token", TOKEN) is Exit.PASSED
        told = capsys.readouterr().out
        assert all(name in told for name, _ in catalogue())
        assert await run("--engine", str(wrong), "--token", TOKEN) is Exit.FAILED
        assert "the protocol asks: A command for another session" in capsys.readouterr().out
    async with SmallEngine(calls=0).served() as idle:
        assert await run("--engine", str(idle), "--token", TOKEN, "--destructive", "--json") is Exit.OPEN
        assert json.loads(capsys.readouterr().out)["open"] == 9


async def test_over_a_unix_socket_no_token_is_needed_and_none_is_sent(tmp_path: Path) -> None:
    """A token is given all the same where the engine tells its events over TCP: it is of no use to this socket."""
    engine = SmallEngine("needs no token")
    async with engine.served(path=str(tmp_path / "e")) as address:
        assert await run("--engine", str(address)) is Exit.PASSED
        assert await run("--engine", str(address), "--token", TOKEN) is Exit.PASSED
    assert all("authorization" not in request.headers for request in engine.asked)


@pytest.mark.parametrize("options", [(), ("--json",), ("--destructive",)])
async def test_an_engine_on_tcp_is_not_checked_without_the_token(
    capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    """It was: the check of the token was skipped, and all others passed with an engine that lets everybody in."""
    async with SmallEngine("needs no token").served() as address:
        assert await run("--engine", str(address), *options) is Exit.NO_TOKEN
    told = capsys.readouterr()
    assert (told.out, TOKEN_VARIABLE in told.err) == ("", True)


def test_events_over_tcp_are_not_checked_without_the_token(tmp_path: Path) -> None:
    assert main(["--engine", f"unix:{tmp_path}/e", "--listen", "http://127.0.0.1:1"]) is Exit.NO_TOKEN


async def test_a_token_may_come_with_the_line_end_of_its_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN + "\r\n")
    async with SmallEngine().served() as address:
        assert await run("--engine", str(address)) is Exit.PASSED
    with pytest.raises(SystemExit) as ended:
        main(["--engine", str(address), "--token", "a b"])
    assert ended.value.code == Exit.WRONG_USE
    assert "a b" not in capsys.readouterr().err


@pytest.mark.parametrize("where", ["unix:{folder}/nobody", "http://127.0.0.1:{port}"])
def test_where_nobody_listens_one_line_says_so(tmp_path: Path, where: str) -> None:
    """It were thirteen stack dumps."""
    address = where.format(folder=tmp_path, port=free_port())
    command = [sys.executable, "-m", "ivr_engine.conformance", "--engine", address, "--token", TOKEN]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (Exit.NO_ENGINE, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"conformance: no engine at {address}: ")


def test_a_wrong_address_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--engine", "http://example.org:80"])
    assert ended.value.code == Exit.WRONG_USE
    assert "loopback" in capsys.readouterr().err


async def test_an_address_that_is_taken_cannot_be_listened_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with SmallEngine("needs no token").served(path=str(tmp_path / "e")) as engine:
        with listen(Address(path=str(tmp_path / "agent"))):
            code = await run("--engine", str(engine), "--listen", f"unix:{tmp_path}/agent")
    assert code is Exit.WRONG_USE
    assert "another process listens there" in capsys.readouterr().err
