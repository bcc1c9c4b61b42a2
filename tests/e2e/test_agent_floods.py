"""What a broken engine does to the log of a whole agent: few lines, short ones, and a health page that says so."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from emulators import CREDENTIALS, free_port
from ivr_agent.address import listen
from ivr_engine.address import Address

pytestmark = [pytest.mark.e2e, pytest.mark.waits]

ROWS = 2_000
EVENTS = 1_000
WITHIN_S = 8.0
MOST_LINES = 60
MOST_BYTES = 6_000


def environment(folder: Path, port: int) -> dict[str, str]:
    """Return the environment of an agent that AWS does not answer."""
    aws = "http://127.0.0.1:9"
    settings = {
        "SITE": "SITE1",
        "NODE": "site1_h6@127.0.0.1",
        "RUNTIMES_TABLE": "runtimes",
        "NODES_TABLE": "nodes",
        "QUEUE_URL": f"{aws}/000000000000/stop-SITE1",
        "DEAD_LETTER_URL": f"{aws}/000000000000/stop-SITE1-dlq",
        "ENGINE": f"unix:{folder}/engine6",
        "LISTEN": f"unix:{folder}/agent6",
        "CONTROL_PORT": str(port),
        "SINGLE_NODE_SITE": "true",
        "HEARTBEAT_INTERVAL_S": "0.5",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("IVR_AGENT_")}
    named = {f"IVR_AGENT_{name}": value for name, value in settings.items()}
    return {**kept, **CREDENTIALS, "AWS_DEFAULT_REGION": "eu-central-1", "AWS_ENDPOINT_URL": aws, **named}


def broken_engine() -> web.Application:
    """Serve an engine that writes its times wrongly, and of which something new is missing with each probe."""
    seq = 0

    async def status(_: web.Request) -> web.Response:
        nonlocal seq
        seq += 10
        return web.json_response({"session": "s-1", "seq": seq})

    async def snapshot(_: web.Request) -> web.Response:
        rows = [row(number) for number in range(ROWS)]
        return web.json_response({"session": "s-1", "seq": seq, "runtimes": rows})

    app = web.Application()
    app.router.add_get("/v1/status", status)
    app.router.add_get("/v1/runtimes", snapshot)
    return app


def row(number: int) -> dict[str, Any]:
    """Return a runtime's state with a wrong time, and with a name that is long."""
    return {
        "id": f"244f84aa-0624-e639-8061-{number:012x}",
        "domain": "test.rootdomain.ru",
        "type": "ivr",
        "code": "x" * 1000,
        "name": "TEST PLAY",
        "starttime": f"2019-11-05 08:36:{number % 60:02}",
        "state": "running",
    }


async def flood(listens: Path) -> None:
    """Tell events that cannot be read, many of them, each wrong in its own way."""
    connector = aiohttp.UnixConnector(str(listens))
    async with aiohttp.ClientSession("http://agent", connector=connector) as agent:
        for number in range(EVENTS):
            body = {"session": "s-1", "seq": number, "runtime": {**row(number), "id": "?", f"k{number}": 1}}
            async with agent.put(f"/v1/runtimes/{number}", json=body) as answer:
                assert answer.status == 400
        async with agent.put("/v1/runtimes/1", headers={"Origin": "http://page"}) as answer:
            assert answer.status == 403


async def test_an_engine_that_tells_nothing_readable_floods_no_log_and_is_not_called_well(tmp_path: Path) -> None:
    """2,000 unreadable rows made 12,181 lines in 30 s, one of 84 KB, and /healthz said 200 while nothing was listed."""
    port, log = free_port(), tmp_path / "log"
    runner = web.AppRunner(broken_engine())
    await runner.setup()
    with listen(Address(path=str(tmp_path / "engine6"))) as door, log.open("wb") as output:
        await web.SockSite(runner, door).start()
        agent = subprocess.Popen(  # noqa: ASYNC220  # it only forks; what it says goes to a file
            [sys.executable, "-m", "ivr_agent"], env=environment(tmp_path, port), stderr=output
        )
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as control:
                told = await until_told(control)
                await flood(tmp_path / "agent6")
                await asyncio.sleep(WITHIN_S)
                async with control.get("/metrics") as answer:
                    shown = await answer.text()
        finally:
            agent.terminate()
            await asyncio.to_thread(agent.wait, 30)
            await runner.cleanup()
    assert (told["engine"], told["unreadable_rows"]) == ("down", ROWS)
    assert f"ivr_agent_unreadable_rows {ROWS}.0" in shown
    assert 'ivr_agent_side_up{side="engine"} 0.0' in shown
    lines = await asyncio.to_thread(log.read_text)
    written = [json.loads(line) for line in lines.splitlines()]
    assert {"row_unreadable", "invalid_event", "origin_refused"} <= {line["action"] for line in written}
    assert len(written) < MOST_LINES, lines
    assert max(map(len, lines.splitlines())) < MOST_BYTES
    counted = sum(1 + line.get("held_back", 0) for line in written if line["action"] == "invalid_event")
    assert counted == EVENTS, "none goes uncounted"


async def until_told(control: aiohttp.ClientSession) -> dict[str, Any]:
    """Wait until the health page says that rows cannot be read; return it. It answers 503 then."""
    for _ in range(200):
        try:
            async with control.get("/healthz") as answer:
                told: dict[str, Any] = await answer.json()
                if told["unreadable_rows"]:
                    assert answer.status == 503
                    return told
        except aiohttp.ClientConnectorError:
            pass  # it is starting
        await asyncio.sleep(0.1)
    pytest.fail("the health page never said so")
