import asyncio
import time as real_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivr_agent.process.exits import SecondAgentError
from ivr_agent.process.loop import JITTER, Backoff, backoff_s, every, pause


async def test_a_loop_steps_until_told_to_stop() -> None:
    stop, steps = asyncio.Event(), 0

    async def step() -> float:
        nonlocal steps
        steps += 1
        if steps == 3:
            stop.set()
        return 0.0

    await every(60, step, stop)
    assert steps == 3


async def test_a_defect_in_one_pass_is_counted_and_the_loop_goes_on() -> None:
    stop = asyncio.Event()
    failed: list[str] = []

    async def step() -> None:
        if len(failed) == 2:
            stop.set()
        else:
            raise ZeroDivisionError

    await every(0.001, step, stop, failed=failed.append)
    assert len(failed) == 2


async def test_a_fatal_error_ends_the_loop() -> None:
    async def step() -> None:
        raise SecondAgentError("another one")

    with pytest.raises(SecondAgentError):
        await every(60, step, asyncio.Event())


async def test_a_wait_ends_early_when_woken_and_a_wake_during_the_step_is_not_lost() -> None:
    stop, wake, steps = asyncio.Event(), asyncio.Event(), 0

    async def step() -> None:
        nonlocal steps
        steps += 1
        if steps == 1:
            wake.set()
        elif steps == 2:
            asyncio.get_running_loop().call_later(0.01, wake.set)
        else:
            stop.set()

    async with asyncio.timeout(20):
        await every(60, step, stop, wake=wake)
    assert steps == 3


@pytest.mark.parametrize(("chance", "waited_s"), [(0.0, 5.0), (0.5, 5.0 * (1 - JITTER / 2)), (1.0, 5.0 * (1 - JITTER))])
async def test_jitter_only_shortens_a_wait(monkeypatch: pytest.MonkeyPatch, chance: float, waited_s: float) -> None:
    stop, waits = asyncio.Event(), []

    async def step() -> None:
        pass

    async def note(delay_s: float, *_: asyncio.Event) -> None:
        waits.append(delay_s)
        stop.set()

    monkeypatch.setattr("ivr_agent.process.loop.pause", note)
    await every(5.0, step, stop, chance=lambda: chance)
    assert waits == [pytest.approx(waited_s)]


@pytest.mark.parametrize(("asked_s", "waited_s"), [(1.0, 1 - JITTER), (0.05, 0.05)])
async def test_a_wait_that_a_step_asks_for_is_jittered_too_unless_it_is_an_appointment(
    monkeypatch: pytest.MonkeyPatch, asked_s: float, waited_s: float
) -> None:
    """Agents that had lost AWS at the same moment asked for it again at the same moments, all of them."""
    stop, waits = asyncio.Event(), []

    async def step() -> float:
        return asked_s

    async def note(delay_s: float, *_: asyncio.Event) -> None:
        waits.append(delay_s)
        stop.set()

    monkeypatch.setattr("ivr_agent.process.loop.pause", note)
    await every(60, step, stop, chance=lambda: 1.0)
    assert waits == [pytest.approx(waited_s)]


async def test_a_pause_without_events_just_lasts() -> None:
    begun = real_time.monotonic()
    await pause(0.02)
    assert real_time.monotonic() - begun >= 0.019


@given(failures=st.integers(0, 10_000), chance=st.floats(0, 0.999))
def test_waits_grow_but_never_past_the_most(failures: int, chance: float) -> None:
    wait_s = backoff_s(failures, first_s=0.1, most_s=5.0, chance=lambda: chance)
    assert 0.05 <= wait_s <= 5.0
    assert wait_s <= backoff_s(failures + 1, first_s=0.1, most_s=5.0, chance=lambda: chance)


def test_success_forgets_the_failures() -> None:
    backoff = Backoff(first_s=1.0, most_s=8.0, chance=lambda: 0.0)
    assert [backoff.next_s() for _ in range(5)] == [1.0, 2.0, 4.0, 8.0, 8.0]
    backoff.reset()
    assert backoff.next_s() == 1.0
