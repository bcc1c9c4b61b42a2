"""The FreeSWITCH of a mixed fleet: the truth it writes down, and how it is upset."""

import asyncio
from pathlib import Path

from chaos.played import CODES
from chaos.recorder import read
from chaos.schedule import Profile, SwitchUpsetting, Upset, draw
from chaos.switch import DIALPLAN, DROPPED, FreeSwitch
from chaos.witness import WITH_BRANCH
from esl.dialplan import Dialplan
from virtual import timeless

NODES = ("a@127.0.0.1", "b@127.0.0.1", "d@127.0.0.3")


def made(folder: Path) -> FreeSwitch:
    one = FreeSwitch(node=NODES[2], records=folder, domains=["test.rootdomain.ru"], seed=1)
    one.begin()
    return one


def call(one: FreeSwitch, code: str) -> str:
    """Let a call in; return its id."""
    before = set(one.switch.channels)
    one.call(code, domain="test.rootdomain.ru", number="+15550100")
    (made,) = set(one.switch.channels) - before
    return made


@timeless
async def test_what_runs_is_written_down_though_its_events_are_dropped(tmp_path: Path) -> None:
    one = made(tmp_path)
    one.switch.faults |= DROPPED
    stopped, _ = call(one, "endless"), call(one, "nested")
    await asyncio.sleep(5)
    assert one.switch.api(f"uuid_transfer {stopped} endless XML ivr-external-stop") == "+OK\n"
    await asyncio.sleep(1)
    one.switch.hang_up(stopped)
    await asyncio.sleep(1)
    sessions, lives, _ = read(tmp_path, one.killed)
    assert [session.node for session in sessions.values()] == [NODES[2]]
    assert sorted(life.ended_at is None for life in lives.values()) == [False, True]
    assert lives[stopped].branch_at is not None
    assert {life.domain for life in lives.values()} == {"test.rootdomain.ru"}
    one.switch.end()


@timeless
async def test_a_restart_is_the_death_of_a_session_and_the_calls_of_the_next_are_others(tmp_path: Path) -> None:
    one = made(tmp_path)
    call(one, "endless")
    await asyncio.sleep(1)
    await one.upset(Upset(0.0, SwitchUpsetting.RESTART, 1.0))
    await one.calm_down()
    call(one, "endless")
    await asyncio.sleep(1)
    sessions, lives, _ = read(tmp_path, one.killed)
    assert sorted(session.killed_at is None for session in sessions.values()) == [False, True]
    assert len({life.session for life in lives.values()}) == len(lives) == 2
    one.switch.end()


@timeless
async def test_every_upset_is_over_when_it_is_over(tmp_path: Path) -> None:
    one = made(tmp_path)
    await one.rage([Upset(at_s=0.0, what=what, for_s=0.01) for what in SwitchUpsetting])
    assert set(one.upsets) == set(SwitchUpsetting)
    assert (one.switch.faults, one.switch.list_lag_s, one.server.access.denied) == (set(), 0.2, False)
    assert {trouble.what for trouble in one.troubles} == {"process", "slow"}


def test_upsets_are_drawn_from_the_seed_and_come_in_each_kind() -> None:
    def upsets(seed: int) -> tuple[Upset, ...]:
        played = {NODES[2]: SwitchUpsetting}
        chosen = draw(seed, duration_s=360.0, nodes=NODES, swapping=NODES[:2], profile=Profile(), played=played)
        return chosen.upsets[NODES[2]]

    assert upsets(1) == upsets(1) != upsets(2)
    assert {upset.what for upset in upsets(1)} == set(SwitchUpsetting)


def test_the_dialplan_has_the_scripts_that_are_called_and_the_branches_that_are_promised() -> None:
    dialplan = Dialplan(DIALPLAN)
    assert all(dialplan.find("ivr", code) for code in CODES)
    assert all(dialplan.find("ivr-external-stop", code) for code in WITH_BRANCH)
    assert not any(dialplan.find("ivr-external-stop", code) for code in {*CODES} - WITH_BRANCH)
