"""The conformance kit tells a right engine from a wrong one: each fault is seen by the check that is about it."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from pydantic import ValidationError

from ivr_agent.address import Address, listen
from ivr_agent.conformance.__main__ import main
from ivr_agent.conformance.kit import NOT_ASKED, Plan, Result, Verdict, catalogue, examine
from ivr_agent.wire import Stop

TOKEN = "node-token"
WITH_BRANCH, PLAIN = "survey", "player"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class SmallEngine:
    """An engine of scripts that do nothing, right but for the `fault` it is given."""

    def __init__(self, fault: str = "", *, agent: Path | None = None) -> None:
        self.fault = fault
        self.session, self.seq = "life-1", 0
        self.rows: dict[str, dict[str, Any]] = {}
        self.seen: dict[str, set[str]] = {}
        self.told: list[tuple[str, str, Any]] = []
        self.answers = itertools.count(1)
        self.agent = agent
        for number in range(40):
            self.start(number, WITH_BRANCH if number % 2 else PLAIN)
        self.app = web.Application(middlewares=[self.guard])
        self.app.router.add_get("/v1/status", self.status)
        self.app.router.add_get("/v1/runtimes", self.snapshot)
        self.app.router.add_post("/v1/runtimes/{id}/{verb}", self.command)

    def has(self, fault: str) -> bool:
        return self.fault == fault

    def start(self, number: int, code: str) -> None:
        row = {"id": f"244f84aa-0624-e639-8061-{number:012x}", "domain": "test.rootdomain.ru", "type": "ivr"}
        row |= {"code": code, "name": code.title(), "starttime": f"2019-11-05T08:36:{number:02}Z", "state": "running"}
        self.changed({**row, "stoptype": None, "stop_id": None, "rootcode": None, "rootname": None})

    def changed(self, row: dict[str, Any]) -> None:
        self.rows[row["id"]] = row
        self.seq += 0 if self.has("changes without seq") and row["stop_id"] else 1
        self.tell("put", row["id"], {"session": self.session, "seq": self.seq, "runtime": dict(row)})

    def end(self, runtime_id: str) -> None:
        if not self.has("keeps what it ended"):
            del self.rows[runtime_id]
        self.seq += 1
        self.tell("delete", runtime_id, {"session": self.session, "seq": self.seq, "stoptype": "stop"})

    def tell(self, method: str, runtime_id: str, event: dict[str, Any]) -> None:
        if self.has("events without runtime") and method == "put":
            event = {**event, "runtime": {}}
        if not (self.has("swallows events") and self.seq % 3 == 0):
            self.told.append((method, runtime_id, event))

    async def deliver(self) -> None:
        """Tell the agent everything, for ever."""
        async with aiohttp.ClientSession("http://agent", connector=aiohttp.UnixConnector(str(self.agent))) as http:
            while True:
                while self.told:
                    method, runtime_id, event = self.told.pop(0)
                    kind = {"json": event} if method == "put" else {"params": event}
                    async with http.request(method, f"/v1/runtimes/{runtime_id}", **kind) as answer:
                        assert answer.status == 204
                await asyncio.sleep(0.01)

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if "Origin" in request.headers and not self.has("lets browsers in"):
            return self.no(403, "origin_refused")
        if request.headers.get("Authorization") != f"Bearer {TOKEN}" and not self.has("needs no token"):
            return self.no(401, "unauthorized")
        response = await handler(request)
        if self.has("closes connections"):
            response.force_close()
        return response

    async def status(self, _: web.Request) -> web.Response:
        if self.has("status of text"):
            return web.Response(text="fine, thank you")
        return web.json_response({"session": self.present(), "seq": self.seq})

    async def snapshot(self, _: web.Request) -> web.Response:
        rows = list(self.rows.values())
        if self.has("rows twice"):
            rows += rows[:1]
        if self.has("rows without domain"):
            rows = [{**row, "domain": ""} for row in rows]
        if self.has("a type of its own"):
            row = {**rows[0], "state": "post_processing", "stoptype": "hangup"}
            rows = [row, *rows[1:]]
        if self.has("states that do not fit"):
            rows = [{**row, "stoptype": "timeout"} for row in rows]
        return web.json_response({"session": self.present(), "seq": self.seq, "runtimes": rows})

    def present(self) -> str:
        return f"life-{next(self.answers)}" if self.has("a session per answer") else self.session

    async def command(self, request: web.Request) -> web.Response:
        try:
            asked = Stop.model_validate_json(await request.read())
        except ValidationError:
            return self.no(422 if self.has("own words for wrong bodies") else 400, "invalid_command")
        if asked.session != self.session and not self.has("ignores sessions"):
            return self.no(409, "session_mismatch")
        runtime_id, verb = request.match_info["id"], request.match_info["verb"]
        if (row := self.rows.get(runtime_id)) is None:
            return self.no(404, "gone" if self.has("own words for unknown") else "unknown_runtime")
        return web.json_response({"session": self.session, **self.act(row, verb, asked.stop_id)})

    def act(self, row: dict[str, Any], verb: str, stop_id: str) -> dict[str, str]:
        seen = self.seen.setdefault(row["id"], set())
        known = stop_id in seen and not (self.has("forgets ids") or (self.has("ids per verb") and verb == "terminate"))
        in_branch = row["state"] == "post_processing"
        seen.add(stop_id)
        if known or (in_branch and verb == "external_stop" and not self.has("escalates")):
            if not known and not self.has("forgets later ids"):
                self.changed({**row, "stop_id": stop_id})
            if not known and self.has("forgets later ids"):
                seen.discard(stop_id)
            return {"state": row["state"], "result": "already_stopping"}
        if verb == "terminate" or row["code"] == PLAIN or in_branch or self.has("skips branches"):
            self.end(row["id"])
            return {"state": "ended", "result": "acted"}
        shown = {} if self.has("hides branches") else {"state": "post_processing", "stoptype": "stop"}
        self.changed({**row, **shown, "stop_id": stop_id})
        return {"state": "post_processing", "result": "acted"}

    def no(self, status: int, error: str) -> web.Response:
        session = "nobody" if self.has("refuses in another's name") else self.session
        return web.json_response({"error": error, "session": session, "detail": "no"}, status=status)

    @asynccontextmanager
    async def served(self, path: Path) -> AsyncIterator[Address]:
        runner = web.AppRunner(self.app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        delivery = asyncio.create_task(self.deliver()) if self.agent else None
        with listen(Address(path=str(path))) as door:
            await web.SockSite(runner, door).start()
            yield Address(path=str(path))
            if delivery:
                delivery.cancel()
                await asyncio.gather(delivery, return_exceptions=True)
            await runner.cleanup()


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ivr_agent.conformance.subject.SHOWN_WITHIN_S", 0.3)
    monkeypatch.setattr("ivr_agent.conformance.events.WAIT_S", 0.5)


async def verdicts(folder: Path, fault: str = "", **asked: Any) -> dict[str, Verdict]:
    async with SmallEngine(fault).served(folder / "engine") as address:
        told = await examine(Plan(engine=address, token=TOKEN, **{"destructive": True, **asked}))
    return {verdict.check: verdict for verdict in told}


def failed(told: dict[str, Verdict]) -> set[str]:
    return {name for name, verdict in told.items() if verdict.result is Result.FAIL}


@pytest.mark.parametrize("branch", [frozenset(), frozenset({WITH_BRANCH})])
async def test_a_right_engine_passes(tmp_path: Path, branch: frozenset[str]) -> None:
    told = await verdicts(tmp_path, branch=branch)
    assert {name for name, verdict in told.items() if verdict.result is not Result.PASS} == {
        "events_are_readable",
        "events_come_in_order",
        "events_add_up_to_the_snapshot",
    }, "nobody listened for events"
    assert failed(told) == set()


async def test_a_termination_type_that_nobody_knows_yet_is_no_fault(tmp_path: Path) -> None:
    assert failed(await verdicts(tmp_path, "a type of its own", destructive=False)) == set()


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("status of text", "status_is_readable"),
        ("rows without domain", "snapshot_is_readable"),
        ("rows twice", "ids_are_unique"),
        ("a session per answer", "session_lasts_and_seq_never_falls"),
        ("states that do not fit", "states_fit_together"),
        ("own words for unknown", "unknown_runtime_is_refused"),
        ("refuses in another's name", "unknown_runtime_is_refused"),
        ("ignores sessions", "session_mismatch_is_refused"),
        ("ignores sessions", "mismatch_leaves_the_runtime_alone"),
        ("own words for wrong bodies", "invalid_command_is_refused"),
        ("lets browsers in", "origin_is_refused"),
        ("needs no token", "token_is_required"),
        ("closes connections", "connections_are_kept"),
        ("keeps what it ended", "terminate_ends"),
        ("keeps what it ended", "stop_without_branch_ends"),
        ("keeps what it ended", "terminate_ends_a_branch"),
        ("hides branches", "branch_is_entered"),
        ("changes without seq", "branch_is_entered"),
        ("forgets ids", "seen_id_is_a_no_op_whatever_its_verb"),
        ("ids per verb", "seen_id_is_a_no_op_whatever_its_verb"),
        ("escalates", "another_external_stop_is_noted"),
        ("forgets later ids", "another_external_stop_is_noted"),
    ],
)
async def test_each_fault_is_seen_by_its_check(tmp_path: Path, fault: str, check: str) -> None:
    told = await verdicts(tmp_path, fault)
    assert check in failed(told)
    assert told[check].detail
    assert told[check].asks


async def test_an_engine_that_ends_what_has_a_branch_fails_where_the_branch_was_promised(tmp_path: Path) -> None:
    told = await verdicts(tmp_path, "skips branches", branch=frozenset({WITH_BRANCH}))
    assert "branch_is_entered" in failed(told)


async def test_commands_that_race_act_once(tmp_path: Path) -> None:
    """The fault: a look at the ids, a pause in which other commands come, and only then the note."""

    class Racing(SmallEngine):
        async def command(self, request: web.Request) -> web.Response:
            body = Stop.model_validate_json(await request.read())
            row = dict(self.rows[request.match_info["id"]])
            known = body.stop_id in self.seen.get(row["id"], set())
            await asyncio.sleep(0.02)
            self.seen.setdefault(row["id"], set()).add(body.stop_id)
            self.changed({**row, "state": "post_processing", "stoptype": "stop", "stop_id": body.stop_id})
            result = "already_stopping" if known else "acted"
            return web.json_response({"session": self.session, "state": "post_processing", "result": result})

    async with Racing().served(tmp_path / "engine") as address:
        told = await examine(Plan(engine=address, token=TOKEN, destructive=True, branch=frozenset({WITH_BRANCH})))
    (verdict,) = [verdict for verdict in told if verdict.check == "repeats_at_once_act_once"]
    assert (verdict.result, verdict.detail) == (Result.FAIL, "10 of 10 acted")


async def test_nothing_is_stopped_unless_asked(tmp_path: Path) -> None:
    engine = SmallEngine()
    before = (engine.seq, dict(engine.rows))
    async with engine.served(tmp_path / "engine") as address:
        told = await examine(Plan(engine=address, token=TOKEN))
    assert (engine.seq, engine.rows) == before
    assert engine.seen == {}
    assert {verdict.check for verdict in told if verdict.detail == NOT_ASKED} >= {"terminate_ends", "branch_is_entered"}


@pytest.mark.parametrize(
    ("fault", "wrong"),
    [
        ("", set()),
        ("events without runtime", {"events_are_readable"}),
        ("swallows events", {"events_come_in_order"}),
        ("keeps what it ended", {"events_add_up_to_the_snapshot"}),
    ],
)
async def test_events_are_checked_where_the_kit_listens(tmp_path: Path, fault: str, wrong: set[str]) -> None:
    engine = SmallEngine(fault, agent=tmp_path / "agent")
    engine.told.clear()  # as if the kit had come later
    async with engine.served(tmp_path / "engine") as address:
        agent = Address(path=str(tmp_path / "agent"))
        told = await examine(Plan(engine=address, token=TOKEN, destructive=True, listen=agent))
    assert {verdict.check for verdict in told if verdict.result is Result.FAIL} >= wrong
    if not fault:
        assert {verdict.check for verdict in told if verdict.result is not Result.PASS} == set()


async def test_an_engine_in_which_nothing_runs_is_skipped_over_not_passed(tmp_path: Path) -> None:
    engine = SmallEngine()
    engine.rows.clear()
    async with engine.served(tmp_path / "engine") as address:
        told = await examine(Plan(engine=address, token=TOKEN, destructive=True))
    by_name = {verdict.check: verdict.result for verdict in told}
    assert by_name["terminate_ends"] is by_name["branch_is_entered"] is Result.SKIP


def test_the_program_tells_each_check_and_ends_with_1_when_one_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--engine", f"unix:{tmp_path}/nobody"]) == 1
    told = capsys.readouterr().out
    assert all(name in told for name, _ in catalogue())
    assert "the protocol asks: `GET /v1/status`" in told


def test_a_wrong_address_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--engine", "http://example.org:80"])
    assert ended.value.code == 2
    assert "loopback" in capsys.readouterr().err


def test_an_address_that_is_taken_cannot_be_listened_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with listen(Address(path=str(tmp_path / "agent"))):
        code = main(["--engine", f"unix:{tmp_path}/nobody", "--listen", f"unix:{tmp_path}/agent"])
    assert code == 2
    assert "another process listens there" in capsys.readouterr().err
