"""How long a stop takes from the request to the engine, and to an answer that tells its effect; its calls to AWS."""

import asyncio
import http.client
import importlib
import json
import os
import secrets
import statistics
import sys
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.stop.bench import FEW, Bench
from benchmarks.stop.engine import DOMAIN
from emulators import ROOT
from ivr_runtimes.http.caller import caller_of
from ivr_runtimes.stores import boto
from stack import RESOURCE

STOPS: Final = 150


async def stops(bench: Bench) -> dict[str, Any]:
    """Stop one runtime after the other, always `FEW` running: milliseconds from DELETE sent to engine told."""
    engine, took_ms = bench.engine, []
    await bench.events.send(*(engine.start() for _ in range(FEW)))
    delete = Deleting(bench)
    await asyncio.sleep(0.5)
    for number in range(STOPS):
        runtime_id, key = next(iter(engine.runtimes)), f"stop-{number}"
        begun_s = time.perf_counter()
        await asyncio.to_thread(delete, runtime_id, key)
        await heard(bench, key)
        took_ms.append((engine.told[key] - begun_s) * 1000)
        await bench.events.send(engine.end(runtime_id), engine.start())
    return {**percentiles("stop", took_ms), "stops": STOPS}


async def waited_stops(bench: Bench) -> dict[str, Any]:
    """The same with `Prefer: wait`: milliseconds from DELETE sent to the answer that says `ended`, and its reads."""
    engine, delete, took_ms = bench.engine, Deleting(bench, prefer="wait=5"), []
    for number in range(STOPS):
        runtime_id, key = next(iter(engine.runtimes)), f"waited-{number}"
        begun_s = time.perf_counter()
        answering = asyncio.create_task(asyncio.to_thread(delete, runtime_id, key))
        await heard(bench, key)
        await bench.events.send(engine.end(runtime_id), engine.start())
        outcome = await answering
        took_ms.append((time.perf_counter() - begun_s) * 1000)
        assert outcome == "ended", outcome
    return {**percentiles("stop_wait", took_ms), "reads_per_waited_stop": reads_per_wait(bench)}


class Deleting:
    """Stops runtimes over one connection; returns what the answer says of the effect, None if nothing."""

    def __init__(self, bench: Bench, *, prefer: str | None = None) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", bench.stack.port, timeout=10)
        self._headers = {"Authorization": f"Bearer {bench.token}"} | ({"Prefer": prefer} if prefer else {})

    def __call__(self, runtime_id: str, key: str) -> str | None:
        headers = {**self._headers, "Idempotency-Key": key}
        self._connection.request("DELETE", f"{RESOURCE}/{runtime_id}", headers=headers)
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status == 204, (answer.status, body)
        return answer.headers["Stop-Outcome"]


async def heard(bench: Bench, key: str) -> None:
    """Wait until the engine was told of that stop."""
    while key not in bench.engine.told:
        bench.engine.heard.clear()
        await asyncio.wait_for(bench.engine.heard.wait(), 10)


def percentiles(name: str, took_ms: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(took_ms, n=100, method="inclusive")
    return {f"{name}_p50_ms": round(cuts[49], 1), f"{name}_p99_ms": round(cuts[98], 1)}


def reads_per_wait(bench: Bench) -> float:
    """Return the mean of the reads that the stop function has logged of each wait."""
    lines = (Path(bench.state["logs"]) / "StopRuntimeFunction.log").read_text().splitlines()
    reads: list[int] = [json.loads(line)["reads"] for line in lines if '"stop_waited"' in line]
    return round(statistics.mean(reads), 2)


def calls_per_stop(bench: Bench) -> float:
    """Run the stop function in this process on the same tables and count the requests its AWS clients send."""
    pid = next(pids[0] for name, pids in bench.state["function_pids"].items() if "stop" in name.lower())
    variables = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    os.environ.update({name: value for name, equals, value in (line.partition("=") for line in variables) if equals})
    sent: list[str] = []
    session = boto._session()  # noqa: SLF001  # the one session that the function makes its clients with
    session.register("before-send", lambda event_name, **_: sent.append(event_name))
    root = ROOT
    sys.path.insert(0, str(root / "functions" / "stop_runtime"))
    function = importlib.import_module("app")
    event = json.loads((root / "events" / "stop.json").read_text())
    function.logger.setLevel("ERROR")
    event["requestContext"]["authorizer"]["jwt"]["claims"][function.settings.domain_claim] = DOMAIN
    chosen = list(bench.engine.runtimes)[:5]
    for runtime_id in chosen:
        event["pathParameters"]["id"], event["headers"]["idempotency-key"] = runtime_id, secrets.token_hex(8)
        answer = function.serve(event, caller_of(event, domain_claim=function.settings.domain_claim))
        assert answer["statusCode"] == 204, answer
    return len(sent) / len(chosen)
