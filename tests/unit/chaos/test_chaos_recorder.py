"""The recorder's files are what happened, also when the process that wrote them was killed."""

import os
from random import Random

import pytest

from chaos import sabotage
from chaos.engine import SETTINGS, RecordedEngine, waits
from chaos.history import Before
from chaos.recorder import read
from chaos.sabotage import Sabotage
from ivr_engine.model import UnknownRuntimeError
from ivr_sandbox.clock import VirtualTime
from ivr_sandbox.library import parse

SURVEY = """
code: survey
name: Survey
main: [start, {play: {prompt: question, duration_s: 60}}]
post_processing: {stop: [{play: {prompt: goodbye, duration_s: 10}}]}
"""
PLAYER = "{code: player, name: Player, main: [start, {play: {prompt: music, duration_s: 60}}]}"


@pytest.fixture
def time():
    return VirtualTime()


@pytest.fixture
def make(tmp_path, monkeypatch, time):
    monkeypatch.setenv(SETTINGS, f'{{"records": "{tmp_path}", "seed": 1, "slow": "none"}}')
    monkeypatch.setenv("IVR_SANDBOX_NODE", "a@127.0.0.1")

    def make(kind=RecordedEngine):
        library = {script.code: script for script in map(parse, (SURVEY, PLAYER))}
        return kind(
            session="s", node_number=1, library=library, scheduler=time, now_us=lambda: 10**15,
            publish=lambda _: None, external_stop_delay_s=1.0,
        )  # fmt: skip

    return make


def start(engine, code="survey"):
    return engine.start(code, domain="test.rootdomain.ru", rng=Random(1))


def recorded(tmp_path, **killed):
    sessions, lives, _ = read(tmp_path, killed.get("killed", {}))
    return sessions["s"], lives


def test_a_life_is_recorded_from_its_beginning_to_its_end(make, tmp_path, time):
    engine = make()
    runtime = start(engine, "player")
    session, lives = recorded(tmp_path)
    assert (session.node, session.pid, session.killed_at) == ("a@127.0.0.1", os.getpid(), None)
    assert lives[runtime].ended_at is None
    time.pass_s(61)
    assert recorded(tmp_path)[1][runtime].ended_at >= lives[runtime].began_at


async def test_every_command_is_recorded_with_what_it_met_and_what_it_did(make, tmp_path, time):
    engine = make()
    runtime = start(engine)
    await engine.external_stop(runtime, stop_id="first")
    await engine.external_stop(runtime, stop_id="second")
    time.pass_s(2)
    await engine.external_stop(runtime, stop_id="first")
    await engine.terminate(runtime, stop_id="third")
    with pytest.raises(UnknownRuntimeError):
        await engine.terminate(runtime, stop_id="fourth")
    told = recorded(tmp_path)[1][runtime].told
    assert [(one.stop_id, one.verb, one.before, one.ended) for one in told] == [
        ("first", "external_stop", Before.RUNNING, False),
        ("second", "external_stop", Before.STOPPING, False),
        ("first", "external_stop", Before.BRANCH, False),
        ("third", "terminate", Before.BRANCH, True),
        ("fourth", "terminate", Before.UNKNOWN, False),
    ]
    assert [one.branch for one in told] == [True, True, True, True, False]


async def test_a_script_without_branch_is_recorded_as_such(make, tmp_path):
    engine = make()
    runtime = start(engine, "player")
    await engine.external_stop(runtime, stop_id="first")
    life = recorded(tmp_path)[1][runtime]
    [told] = life.told
    assert (told.branch, told.ended, life.branch_at) == (False, True, None)


async def test_a_branch_is_recorded_when_it_begins_not_when_it_is_due(make, tmp_path, time):
    engine = make()
    runtime = start(engine)
    await engine.external_stop(runtime, stop_id="first")
    assert recorded(tmp_path)[1][runtime].branch_at is None
    time.pass_s(2)
    life = recorded(tmp_path)[1][runtime]
    assert life.branch_at >= life.told[0].at


def test_a_kill_is_laid_to_the_session_of_its_process(make, tmp_path):
    make()
    assert recorded(tmp_path, killed={os.getpid(): 12.5})[0].killed_at == 12.5


def test_slow_answers_and_refusals_are_counted(make, tmp_path):
    engine = make()
    for what in ("slow", "refused", "refused"):
        engine.recorder.note(what, path="/v1/status")
    assert read(tmp_path, {})[2] == {"slow": 1, "refused": 2}


def test_a_line_cut_off_by_the_kill_is_left_out(make, tmp_path):
    runtime = start(make())
    [file] = tmp_path.glob("*.jsonl")
    with file.open("ab") as end:
        end.write(b'{"at": 1.0, "what": "en')
    assert list(recorded(tmp_path)[1]) == [runtime]


def test_slow_answers_go_beyond_the_agents_patience_before_and_after_the_effect():
    drawn = [waits(Random(seed), command=True) for seed in range(200)]
    assert max(before for before, _ in drawn) > 4
    assert max(after for _, after in drawn) > 4
    assert sum(wait == (0.0, 0.0) for wait in drawn) > 50


# --- the engine's defects do what they say ---


def sabotaged(monkeypatch, name):
    monkeypatch.setenv(sabotage.VARIABLE, name)
    return sabotage.engine(RecordedEngine)


def test_without_sabotage_the_engine_is_the_plain_one():
    assert sabotage.engine(RecordedEngine) is RecordedEngine


async def test_relative_commands_escalate_with_each_delivery(make, tmp_path, monkeypatch):
    engine = make(sabotaged(monkeypatch, Sabotage.RELATIVE))
    runtime = start(engine)
    await engine.external_stop(runtime, stop_id="k")
    await engine.external_stop(runtime, stop_id="k")
    told = recorded(tmp_path)[1][runtime].told
    assert [(one.before, one.ended) for one in told] == [(Before.RUNNING, False), (Before.STOPPING, True)]


async def test_a_forgetful_engine_ends_the_goodbye_on_the_same_id(make, tmp_path, monkeypatch, time):
    engine = make(sabotaged(monkeypatch, Sabotage.FORGETFUL))
    runtime = start(engine)
    await engine.external_stop(runtime, stop_id="k")
    time.pass_s(2)
    await engine.terminate(runtime, stop_id="k")
    assert recorded(tmp_path)[1][runtime].told[-1].ended
