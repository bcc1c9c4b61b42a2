"""docs/agent.md says what the agent is: every table is compared with the code it describes."""

import re
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge, Histogram

from emulators import ROOT
from ivr_agent.aws.clock import Clock
from ivr_agent.lease.states import EVENTS, STATES, AwsDown, Ended, Ending, EngineDown, Serving, State, Waiting
from ivr_agent.metrics import Metrics
from ivr_agent.outcome import Outcome
from ivr_agent.process.exits import Exit
from ivr_agent.settings import Settings, explain
from ivr_agent.wiring import Stores, build, draining, loops
from ivr_runtimes.stores.memory import MemoryQueue, MemoryStore


def table(heading: str) -> list[list[str]]:
    """Return the rows of the one table under a heading, without its head."""
    section = (ROOT / "docs" / "agent.md").read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2]
    lines = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def name_of(state: State) -> str:
    """Return the state's name as the diagram has it."""
    return "[*]" if isinstance(state, Ended) else type(state).__name__


def test_the_diagram_draws_the_leases_states_and_every_transition() -> None:
    """It drew five states for a class of twelve fields that knew none of them."""
    page = (ROOT / "docs" / "agent.md").read_text(encoding="utf-8")
    diagram = page.partition("stateDiagram-v2\n")[2].partition("```")[0].splitlines()
    arrows = [re.fullmatch(r" +(\S+) --> (\S+): ([^(]+?)(?: \(.*\))?", line) for line in diagram]
    assert all(arrows), "each line is one arrow, with its event"
    begin, *drawn = [arrow.groups() for arrow in arrows if arrow]
    running = (Waiting(), Serving(1.0), EngineDown(1.0), AwsDown(1.0))
    states: list[State] = [*running, *map(Ending, running), Ended()]
    assert {type(state) for state in states} == {*STATES, Ended}
    coded = {
        (name_of(before), name_of(after), event)
        for event, happen in EVENTS.items()
        for before in states
        if type(after := happen(before)) is not type(before)
    }
    assert set(drawn) == coded
    assert len(drawn) == len(coded)
    assert begin[:2] == ("[*]", "Waiting")


def test_every_setting_is_documented_as_help_tells_it() -> None:
    assert table("Settings") == [[name, default, meaning] for name, default, meaning in explain()]


def test_every_outcome_is_documented() -> None:
    assert table("What becomes of a stop") == [[outcome.value, outcome.meaning] for outcome in Outcome]


def test_every_exit_code_is_documented() -> None:
    assert table("Exit codes") == [[str(code.value), code.meaning] for code in Exit]


def test_every_metric_is_documented_with_its_labels() -> None:
    metrics = [metric for metric in vars(Metrics()).values() if isinstance(metric, Gauge | Counter | Histogram)]
    expected = {
        (
            metric._name + ("_total" if isinstance(metric, Counter) else ""),
            ", ".join(metric._labelnames),
            metric._documentation,
        )
        for metric in metrics
    }
    assert {tuple(row) for row in table("Metrics")} == expected
    assert len(expected) == len(list(Metrics().registry.collect()))


@pytest.mark.parametrize("path", ["/healthz", "/metrics", "/v1/commands"])
def test_every_request_of_the_control_port_is_documented(path: str) -> None:
    assert any(path in row[0] for row in table("Control port"))


async def test_every_loop_is_documented_with_its_interval(tmp_path: Path) -> None:
    settings = Settings(
        site="SITE1",
        node="h6@127.0.0.1",
        runtimes_table="runtimes",
        nodes_table="nodes",
        queue_url="http://127.0.0.1:9/stop-SITE1",
        dead_letter_url="http://127.0.0.1:9/stop-SITE1-dlq",
        engine=f"unix:{tmp_path}/engine",
        listen=f"unix:{tmp_path}/agent",
        single_node_site=True,
    )
    stores = Stores(runtimes=MemoryStore(), nodes=MemoryStore(), inbox=MemoryQueue())
    parts = build(settings, stores=stores, clock=Clock(), control_port=0)
    driven = {getattr(loop.step, "__qualname__", ""): loop.interval_s for loop in (*loops(parts), *draining(parts))}
    assert {row[0]: float(row[1]) for row in table("Loops")} == driven
    await parts.engine.close()
    for service in parts.services:
        service.close()
