"""The input of `cost` and `quotas`: what the benchmarks measured, the sizes of rows, assumptions.

Owns the units that follow from these, and no price. Measured figures come only from benchmarks/units.json, which the
benchmarks write. Used by `cost`, `quotas` and `scale`.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ivr_runtimes.identifiers import Domain, NodeName, RuntimeId, Session, Site
from ivr_runtimes.model import Node, Runtime
from ivr_runtimes.stores.dynamo import to_item, to_node_item

ROOT: Final = Path(__file__).resolve().parents[1]
NODES: Final = 1_000
SITES: Final = 20
SIZES: Final = (10, 1_000, 100_000)
"""Concurrent runtimes of the domain for which the tables are computed."""

LIST_MB, STOP_MB = 1_024, 512
"""The functions' memory, as template.yaml has it."""

RECORDED: Final[dict[str, dict[str, Any]]] = json.loads(
    (ROOT / "benchmarks" / "units.json").read_text(encoding="utf-8")
)
MEASURED: Final[dict[str, float]] = {
    name: figure["value"] for name, figure in RECORDED.items() if isinstance(figure["value"], int | float)
}
"""What `make bench-units RECORD=1` and `make bench-stop RECORD=1` recorded."""

ASSUMED: Final = {
    "a call lasts, s": 180,
    "rows written per call (start, one change of script, end)": 3,
    "operators who watch the domain": 10,
    "an operator's page is asked for every, s": 5,
    "an operator lists everything every, s": 3_600,
    "of all calls, stopped by hand": 0.001,
    "CPU on Lambda over CPU measured, with one whole processor": 1.5,
    "memory that buys one whole processor, MB": 1_769,
    "an answer of AWS is waited for, ms": 5,
    "bytes logged per request, all groups": 1_500,
    "bytes an agent logs per stop": 700,
    "bytes an agent logs per day besides": 20_000,
    "logs are kept, months": 1,
    "requests that X-Ray samples": 0.05,
    "metrics in use (outcomes, plans, classes, the routes' own)": 44,
    "a caller has KMS open a table's key every, s": 300,
    "a release's layer and functions, zipped, MB": 9,
}

ROW: Final = Runtime(
    id=RuntimeId("244f84aa-0624-e639-8061-a80000000006"),
    site=Site("SITE1"),
    node=NodeName("site1_h6@192.168.0.12"),
    domain=Domain("test.rootdomain.ru"),
    session=Session("5f0c7c9e-5a0e-4a52-9d0c-3f1f7f1d2a11"),
    type="ivr",
    code="welcome",
    name="Main scenario",
    starttime="2019-11-05T08:36:40Z",
    lwt="2019-11-05T08:36:40Z",
)
NODE: Final = Node(
    site=ROW.site,
    node=ROW.node,
    session=ROW.session,
    lease_until_s=1572943000.123,
    agent_id="5f0c7c9e-5a0e-4a52-9d0c-3f1f7f1d2a11",
    control_port=7001,
    agent_version="0.1.0",
    started_at=ROW.starttime,
)


def item_bytes(item: dict[str, dict[str, str]]) -> int:
    """Return an item's size as DynamoDB counts it, names and values in UTF-8, with `expires_at` (page "Item sizes")."""
    members = {**item, "expires_at": {"N": "1572964600"}}
    return sum(
        len(name.encode()) + sum(_value_bytes(*pair) for pair in value.items()) for name, value in members.items()
    )


def _value_bytes(kind: str, value: str) -> int:
    digits = len(value.replace(".", "").strip("0"))
    return math.ceil(digits / 2) + 1 if kind == "N" else len(value.encode())


ROW_BYTES: Final = item_bytes(to_item(ROW)) + len("start_key") + len(f"{ROW.starttime}#{ROW.id}")
NUMBERS: Final = {"caller": "+12025550143", "called": "+442079460123", "call_id": "5f1e0b3c2d4a6978@192.168.0.12"}
NUMBERED_ROW_BYTES: Final = ROW_BYTES + sum(len(name) + len(text) for name, text in NUMBERS.items())
"""Of an engine that tells its calls' numbers."""

NODE_BYTES: Final = item_bytes(to_node_item(NODE))
JSON_FIELDS: Final = ("id", "site", "node", "domain", "type", "code", "name", "starttime")
JSON_ROW: Final = json.dumps({name: getattr(ROW, name) for name in JSON_FIELDS}, separators=(",", ":"))
SERIALISED_BYTES: Final = len(json.dumps(JSON_ROW)) - 1
"""A row in Lambda's answer: its quotes are escaped, and a comma separates rows."""

ROW_WRITE_UNITS: Final = math.ceil(ROW_BYTES / 1024)
"""For the table; the index takes as many again."""

HEARTBEAT_WRITE_UNITS: Final = math.ceil(NODE_BYTES / 1024)
NODES_READ_UNITS: Final = math.ceil(NODE_BYTES * NODES / 4096)
"""Of a consistent Scan. Computed, not measured, because dynalite counts it as an inconsistent one."""

RENEWALS: Final = float(max(RECORDED["lease_writes_per_node_minute"]["value"].values())) / 60
"""Heartbeats of a node per second, however much it runs."""


def list_read_units(rows: int) -> float:
    """Return the read units for that many rows of a domain."""
    return math.ceil(MEASURED["list_10k_read_units"] * rows / 10_000 * 2) / 2


def list_calls(rows: int) -> int:
    """Return the calls for that many rows: a Query reads at most 1 MB."""
    return math.ceil(rows * ROW_BYTES / 1_048_576)


def billed_ms(cpu_ms: float, *, memory_mb: int, calls: float) -> float:
    """Return the time that Lambda bills: the measured CPU time by the factors in `ASSUMED`, and the waiting for AWS."""
    share = ASSUMED["memory that buys one whole processor, MB"] / memory_mb
    factor = ASSUMED["CPU on Lambda over CPU measured, with one whole processor"]
    return cpu_ms * factor * share + calls * ASSUMED["an answer of AWS is waited for, ms"]


PAGE_MS: Final = billed_ms(
    MEASURED["page_cpu_ms"] + MEASURED["nodes_cpu_ms"], memory_mb=LIST_MB, calls=MEASURED["page_calls"] + 1
)
STOP_MS: Final = billed_ms(MEASURED["stop_cpu_ms"], memory_mb=STOP_MB, calls=MEASURED["aws_calls_per_stop"])


def list_ms(rows: int) -> float:
    """Return the time that is billed for a list of that many rows."""
    cpu_ms = MEASURED["list_10k_cpu_ms"] * rows / 10_000 + MEASURED["nodes_cpu_ms"]
    return billed_ms(cpu_ms, memory_mb=LIST_MB, calls=list_calls(rows) + 1)


@dataclass(frozen=True, slots=True)
class Load:
    """What a domain with that many concurrent runtimes does per second."""

    runtimes: int

    @property
    def calls(self) -> float:
        """Calls that start; as many end."""
        return self.runtimes / ASSUMED["a call lasts, s"]

    @property
    def row_writes(self) -> float:
        """Rows written or deleted; each is one write in the table and one in the index."""
        return self.calls * ASSUMED["rows written per call (start, one change of script, end)"]

    @property
    def pages(self) -> float:
        """Requests for a page."""
        return ASSUMED["operators who watch the domain"] / ASSUMED["an operator's page is asked for every, s"]

    @property
    def lists(self) -> float:
        """Requests for the whole list."""
        return ASSUMED["operators who watch the domain"] / ASSUMED["an operator lists everything every, s"]

    @property
    def stops(self) -> float:
        """Stops."""
        return self.calls * ASSUMED["of all calls, stopped by hand"]

    @property
    def requests(self) -> float:
        """Requests of all kinds."""
        return self.pages + self.lists + self.stops

    @property
    def concurrency(self) -> float:
        """Functions that run at the same time."""
        billed = self.pages * PAGE_MS + self.lists * list_ms(self.runtimes) + self.stops * STOP_MS
        return billed / 1e3
