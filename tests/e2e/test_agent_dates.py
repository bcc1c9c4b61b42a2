"""An agent on a host of any time zone, before an AWS whose answers tell the time in every odd way.

The real program; engine and AWS are forged on loopback: no emulator can be made to tell the time so.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from emulators import CREDENTIALS, free_port
from forged import Answer, Asked, served
from ivr_runtimes.lease import LEASE_TTL_S

pytestmark = [pytest.mark.e2e, pytest.mark.waits]

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "IVR_"))}
"""Taken once: pytest changes the process's own with every test, and agents are started beside them."""

FIXDATE = "%a, %d %b %Y %H:%M:%S GMT"
SESSION = "s-1"


def at(form: str, *, off_s: float = 0.0) -> str:
    return (datetime.now(UTC) + timedelta(seconds=off_s)).strftime(form)


DATES = {
    "right": lambda: [at(FIXDATE)],
    "twice": lambda: [at(FIXDATE)] * 2,
    "two": lambda: [at(FIXDATE), at(FIXDATE, off_s=-7200)],
    "no zone": lambda: [at("%a, %d %b %Y %H:%M:%S")],
    "another zone": lambda: [at("%a, %d %b %Y %H:%M:%S +0300")],
    "two-digit year": lambda: [at("%A, %d-%b-%y %H:%M:%S GMT")],
    "unreadable": lambda: ["soon"],
    "absent": list,
    "year 1, once": lambda: ["Mon, 01 Jan 0001 00:00:00 GMT"],
    "year 9999, once": lambda: ["Fri, 31 Dec 9999 23:59:59 GMT"],
    "hours off, once": lambda: [at(FIXDATE, off_s=5 * 3600)],
}


class Aws:
    """AWS on loopback. Of a date that is told once only the first answer is odd; it hands out one command."""

    def __init__(self, case: str, command: str) -> None:
        self.case = case
        self.leases: list[tuple[float, float]] = []
        self.deleted: list[str] = []
        self._command: str | None = command
        self._told = 0

    def __call__(self, asked: Asked) -> Answer:
        self._told += 1
        odd = not self.case.endswith("once") or self._told == 1
        headers = tuple(("Date", date) for date in (DATES[self.case] if odd else DATES["right"])())
        return Answer(json.dumps(self._body(asked)), headers=headers)

    def _body(self, asked: Asked) -> dict[str, Any]:
        if asked.operation == "PutItem":
            until_s = float(json.loads(asked.body)["Item"]["lease_until"]["N"])
            self.leases.append((time.time(), until_s))
        if asked.operation == "DeleteMessageBatch":
            self.deleted += [entry["ReceiptHandle"] for entry in json.loads(asked.body)["Entries"]]
        if asked.operation == "ReceiveMessage" and self._command is not None:
            body, self._command = self._command, None
            return {"Messages": [{"MessageId": "m", "ReceiptHandle": "r", "MD5OfBody": "", "Body": body}]}
        return {"Items": [], "Count": 0} if asked.operation == "Query" else {}


def engine(asked: Asked) -> Answer:
    """Answer as an idle engine that ends whatever it is told to."""
    told: dict[str, Any] = {"session": SESSION, "seq": 0}
    if asked.path == "/v1/runtimes":
        told["runtimes"] = []
    if asked.method == "POST":
        told = {"session": SESSION, "result": "acted", "state": "ended"}
    return Answer(json.dumps(told), headers=(("Content-Type", "application/json"),))


def stop() -> str:
    values = {
        "v": 1,
        "stop_id": "stop-1",
        "verb": "external_stop",
        "site": "SITE1",
        "node": "site1_h6@127.0.0.1",
        "session": SESSION,
        "runtime_id": "244f84aa-0624-e639-8061-a80000000006",
        "domain": "test.rootdomain.ru",
        "accepted_at_s": time.time(),
        "deadline_s": time.time() + 3600,
    }
    return json.dumps(values)


@contextmanager
def agent(home: Path, aws: str, engine_url: str, zone: str) -> Iterator[Path]:
    """Run an agent of a host in that time zone; yield its log."""
    log = home / "log"
    environment = ENVIRONMENT | {
        **CREDENTIALS,
        "TZ": zone,
        "AWS_ENDPOINT_URL": aws,
        "IVR_AGENT_SITE": "SITE1",
        "IVR_AGENT_NODE": "site1_h6@127.0.0.1",
        "IVR_AGENT_RUNTIMES_TABLE": "runtimes",
        "IVR_AGENT_NODES_TABLE": "nodes",
        "IVR_AGENT_QUEUE_URL": f"{aws}/000000000000/stop-SITE1",
        "IVR_AGENT_DEAD_LETTER_URL": f"{aws}/000000000000/stop-SITE1-dlq",
        "IVR_AGENT_ENGINE": engine_url,
        "IVR_AGENT_ENGINE_TOKEN": "t" * 32,
        "IVR_AGENT_LISTEN": f"unix:{home}/agent",
        "IVR_AGENT_CONTROL_PORT": str(free_port()),
        "IVR_AGENT_SINGLE_NODE_SITE": "true",
        "IVR_AGENT_HEARTBEAT_INTERVAL_S": "0.5",
    }
    with log.open("w") as stderr:
        running = subprocess.Popen([sys.executable, "-m", "ivr_agent"], env=environment, stderr=stderr)
        try:
            yield log
            assert running.poll() is None, log.read_text()
        finally:
            running.kill()
            running.wait(30)


CASES = [
    *((case, "America/New_York") for case in DATES),
    ("no zone", "Europe/Moscow"),
    ("another zone", "Europe/Moscow"),
]


@pytest.fixture(scope="module")
def agents(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Future[None]]]:
    """All these agents, some at the same time: they wait for most of it."""
    with ThreadPoolExecutor(4) as pool:
        yield {case: pool.submit(live, tmp_path_factory.mktemp("agent"), *case) for case in CASES}


@pytest.mark.parametrize(("case", "zone"), CASES)
def test_no_date_moves_a_lease_or_loses_a_stop(
    agents: dict[tuple[str, str], Future[None]], case: str, zone: str
) -> None:
    """A `Date` without a zone was read by the host's: the lease moved by hours. An unreadable one ended a pass."""
    agents[case, zone].result()


def live(home: Path, case: str, zone: str) -> None:
    """Run an agent until it has renewed its lease and carried out a stop, as the clock of AWS says."""
    aws = Aws(case, stop())
    with served(aws) as url, served(engine) as engine_url, agent(home, url, engine_url, zone) as log:
        until_s = time.monotonic() + 40
        while (len(aws.leases) < 2 or not aws.deleted) and time.monotonic() < until_s:
            time.sleep(0.05)
        lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(aws.leases) >= 2, lines
    for told_s, lease_s in aws.leases:
        assert abs(lease_s - told_s - LEASE_TTL_S) < 10, "hours would be wrong"
    assert [line["outcome"] for line in lines if line["action"] == "stop_outcome"] == ["acted"], lines
    assert not [line for line in lines if line["action"] in {"loop_failed", "stop_failed", "deadline_in_doubt"}]
