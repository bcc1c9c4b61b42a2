"""The Asterisk of a mixed fleet: the truth it writes down, and how it is upset."""

import asyncio
import time
from pathlib import Path

import pytest

from ami.calls import hang_up, incoming
from chaos import bridge
from chaos import pbx as module
from chaos.pbx import DIALPLAN, Pbx
from chaos.played import CODES
from chaos.recorder import Recorder, read
from chaos.schedule import Profile, Upset, Upsetting, draw
from chaos.witness import WITH_BRANCH
from ivr_engine import program
from virtual import timeless

NODES = ("a@127.0.0.1", "b@127.0.0.1", "c@127.0.0.2")


def made(folder: Path) -> Pbx:
    return Pbx(node=NODES[2], records=folder, domains=["test.rootdomain.ru"], seed=1)


@timeless
async def test_each_beginning_and_end_is_written_down_where_it_happens(tmp_path: Path) -> None:
    one = made(tmp_path)
    one.begin()
    call, other = (incoming(one.asterisk, "ivr", code) for code in ("endless", "nested"))
    for channel in (call, other):
        channel.set("IVR_DOMAIN", "test.rootdomain.ru")
    await asyncio.sleep(5)
    hang_up(one.asterisk, call, 16)
    await asyncio.sleep(1)
    sessions, lives, _ = read(tmp_path, one.killed)
    assert [session.node for session in sessions.values()] == [NODES[2]]
    assert sorted(life.ended_at is None for life in lives.values()) == [False, True]
    assert {life.domain for life in lives.values()} == {"test.rootdomain.ru"}
    await one.asterisk.close()


@timeless
async def test_a_restart_is_the_death_of_a_session_and_the_calls_of_the_next_are_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = made(tmp_path)
    one.begin()
    for name in ("deafen", "listen"):
        monkeypatch.setattr(one.server, name, _nothing)
    incoming(one.asterisk, "ivr", "endless").set("IVR_DOMAIN", "x")
    await asyncio.sleep(1)
    await one.upset(Upset(0.0, Upsetting.RESTART, 1.0))
    incoming(one.asterisk, "ivr", "endless").set("IVR_DOMAIN", "x")
    await asyncio.sleep(1)
    sessions, lives, _ = read(tmp_path, one.killed)
    assert sorted(session.killed_at is None for session in sessions.values()) == [False, True]
    assert len(lives) == 2
    await one.asterisk.close()


async def _nothing() -> None:
    return


@timeless
async def test_every_upset_is_over_when_it_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = made(tmp_path)
    one.begin()
    for name in ("deafen", "listen"):
        monkeypatch.setattr(one.server, name, _nothing)
    await one.rage([Upset(at_s=0.0, what=what, for_s=0.01) for what in Upsetting])
    assert set(one.upsets) == set(Upsetting)
    faults = one.asterisk.faults
    assert (faults.hung, faults.events_late_s, one.asterisk.draining) == (False, 0.0, False)
    assert {trouble.what for trouble in one.troubles} == {"process", "slow"}


def test_commands_in_one_file_are_those_of_the_lives_in_another(tmp_path: Path) -> None:
    """The bridge writes what it was told, the Asterisk what ran, and either file may be read first."""
    bridge = Recorder(tmp_path, node="a")
    bridge.note("told", runtime="r", stop_id="s", verb="terminate", before="running", branch=False, ended=True)
    lives_of = Recorder(tmp_path, node="b", session="life", life=-1)
    lives_of.note("began", runtime="r", domain="d")
    _, lives, _ = read(tmp_path, {})
    assert [told.stop_id for told in lives["r"].told] == ["s"]


@pytest.mark.parametrize(
    ("then", "told"),
    [
        pytest.param("killed", ["s"], id="killed over it: the branch proves it"),
        pytest.param("killed early", [], id="killed before the branch began"),
        pytest.param("away", [], id="refused as temporary: it comes again"),
        pytest.param("told", ["s"], id="answered"),
    ],
)
def test_a_command_over_which_the_bridge_was_killed_counts_if_the_branch_began(
    tmp_path: Path, then: str, told: list[str]
) -> None:
    bridge, engine = Recorder(tmp_path, node="a"), Recorder(tmp_path, node="b", session="life", life=-1)
    engine.note("began", runtime="r", domain="d")
    if then == "killed early":
        engine.note("branch", runtime="r")
    asked = {"at": time.time(), "runtime": "r", "stop_id": "s", "verb": "external_stop", "before": "running"}
    bridge.note("asked", **asked, branch=True)
    if then != "killed early":
        engine.note("branch", runtime="r")
    if then in {"told", "away"}:
        bridge.note(then, **asked, branch=True, ended=False)
    _, lives, _ = read(tmp_path, {})
    assert [one.stop_id for one in lives["r"].told] == told


def test_upsets_are_drawn_from_the_seed_and_come_in_each_kind() -> None:
    def upsets(seed: int) -> tuple[Upset, ...]:
        played = {NODES[2]: Upsetting}
        chosen = draw(seed, duration_s=360.0, nodes=NODES, swapping=NODES[:2], profile=Profile(), played=played)
        return chosen.upsets[NODES[2]]

    assert upsets(1) == upsets(1) != upsets(2)
    assert {upset.what for upset in upsets(1)} == set(Upsetting)


def test_the_dialplan_has_the_scripts_that_are_called_and_the_branches_that_are_promised() -> None:
    dialplan = module.Dialplan(DIALPLAN.read_text("utf-8"))
    assert all(dialplan.exists("ivr", code) for code in CODES)
    assert set(dialplan.contexts["ivr-external-stop"].extensions) == WITH_BRANCH


@pytest.mark.parametrize("name", ["asterisk", "freeswitch"])
def test_the_bridge_that_is_started_has_the_witness(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[tuple[str, type]] = []
    monkeypatch.setattr(program, "main", lambda *_, **told: started.append((told["name"], program.Joined)) or 0)
    monkeypatch.setenv(f"IVR_{name.upper()}_NODE", "a@127.0.0.1")
    assert bridge.main() == 0
    assert started == [(f"ivr-{name}", bridge.Witnessed)]
