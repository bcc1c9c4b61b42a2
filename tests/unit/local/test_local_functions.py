"""Functions in their worker processes: what a handler sees, how its failures show, how workers are replaced."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from ivr_local.functions import Function, FunctionError, FunctionTimeoutError, Surroundings
from ivr_local.template import FunctionSpec

HANDLER = """
import os, pathlib, sys, time

HERE = pathlib.Path(__file__).parent
calls = 0

def lambda_handler(event, context):
    global calls
    calls += 1
    print("called with", event.get("do"), flush=True)
    match event.get("do"):
        case "raise":
            raise ValueError("no such thing")
        case "exit":
            os._exit(3)
        case "sleep":
            time.sleep(60)
        case "meet":
            (HERE / event["own"]).touch()
            while not (HERE / event["other"]).exists():
                time.sleep(0.01)
        case "unserialisable":
            return object()
        case "large":
            return "x" * (6_291_556 + event["more"] - 2)
        case "env":
            return dict(os.environ)
        case "context":
            return {
                "name": context.function_name, "arn": context.invoked_function_arn, "id": context.aws_request_id,
                "memory": context.memory_limit_in_mb, "left_ms": context.get_remaining_time_in_millis(),
            }
    return {"pid": os.getpid(), "calls": calls, "echo": event}
"""

StartFunction = Callable[..., Awaitable[Function]]


@pytest.fixture
async def told() -> list[str]:
    return []


@pytest.fixture
async def start(tmp_path: Path, told: list[str]) -> AsyncIterator[StartFunction]:
    """Start a function of the given source; every one is stopped afterwards."""
    async with AsyncExitStack() as running:

        async def started(source: str = HANDLER, *, workers: int = 1, most: int = 0, timeout_s: int = 30) -> Function:
            (tmp_path / "app.py").write_text(source)
            spec = FunctionSpec(
                logical_id="Fn",
                code_path=tmp_path,
                handler="app.lambda_handler",
                environment={"SITES": "SITE1"},
                timeout_s=timeout_s,
                memory_mb=256,
            )
            surroundings = Surroundings(
                environment={"AWS_REGION": "eu-central-1"},
                region="eu-central-1",
                account_id="000000000000",
                stack_name="st",
                logs=tmp_path,
            )
            function = Function(spec=spec, surroundings=surroundings, tell=told.append, workers=workers, most=most)
            running.push_async_callback(function.stop)
            function.start()
            return function

        yield started


async def invoke(function: Function, **event: Any) -> Any:
    return json.loads(await function.invoke(event, request_id="r-1"))


async def test_the_handler_is_loaded_once_and_called_for_every_event(start: StartFunction) -> None:
    function = await start()
    first, second = await invoke(function, a="я"), await invoke(function)
    assert first["echo"] == {"a": "я"}
    assert first["pid"] == second["pid"] != os.getpid()
    assert (first["calls"], second["calls"]) == (1, 2)


async def test_a_handler_sees_its_context(start: StartFunction) -> None:
    context = await invoke(await start(), do="context")
    assert 0 < context.pop("left_ms") <= 30_000
    assert context == {
        "name": "st-Fn",
        "arn": "arn:aws:lambda:eu-central-1:000000000000:function:st-Fn",
        "id": "r-1",
        "memory": "256",
    }


async def test_a_handler_sees_its_own_environment_and_nothing_of_the_users(
    start: StartFunction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example")
    seen = await invoke(await start(), do="env")
    assert seen["SITES"] == "SITE1"
    assert seen["AWS_LAMBDA_FUNCTION_NAME"] == "st-Fn"
    assert seen["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert not {"AWS_PROFILE", "HTTP_PROXY"} & set(seen)


async def test_output_goes_to_the_functions_log(start: StartFunction) -> None:
    function = await start()
    await invoke(function, do="something")
    assert "called with something" in function.log.read_text()


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ({"do": "raise"}, "ValueError"),
        ({"do": "unserialisable"}, "TypeError"),
        ({"do": "large", "more": 1}, "ResponseSizeTooLarge"),
    ],
)
async def test_a_failed_invocation_is_a_function_error_and_the_worker_lives_on(
    start: StartFunction, event: dict[str, Any], says: str
) -> None:
    function = await start()
    before = (await invoke(function))["pid"]
    with pytest.raises(FunctionError, match=says):
        await invoke(function, **event)
    assert (await invoke(function))["pid"] == before


async def test_an_answer_of_just_the_limit_passes(start: StartFunction) -> None:
    assert len(await (await start()).invoke({"do": "large", "more": 0}, request_id="r")) == 6_291_556


async def test_a_worker_that_dies_in_a_call_fails_that_call_and_is_replaced(
    start: StartFunction, told: list[str]
) -> None:
    function = await start()
    before = (await invoke(function))["pid"]
    with pytest.raises(FunctionError, match="the worker died"):
        await invoke(function, do="exit")
    assert (await invoke(function))["pid"] != before
    assert len(told) == 1
    assert "exit code 3" in told[0]


async def test_a_worker_killed_while_idle_costs_no_caller_an_error(start: StartFunction) -> None:
    function = await start(workers=2)
    first = (await invoke(function))["pid"]
    os.kill(first, signal.SIGKILL)
    while first in function.pids:  # noqa: ASYNC110  # the kernel knows of its end before this process does
        await asyncio.sleep(0.02)
    assert (await invoke(function))["pid"] != first


async def test_a_call_that_overruns_is_cut_off_and_its_worker_replaced(start: StartFunction) -> None:
    function = await start(timeout_s=1)
    before = (await invoke(function))["pid"]
    begun_s = time.monotonic()
    with pytest.raises(FunctionTimeoutError, match="longer than 1 s"):
        await invoke(function, do="sleep")
    assert time.monotonic() - begun_s < 30, "it would sleep for a minute"
    with pytest.raises(ProcessLookupError):
        await gone(before)
    assert (await invoke(function))["pid"] != before


async def test_calls_run_side_by_side_on_as_many_workers_as_there_are(start: StartFunction) -> None:
    function = await start(workers=2)
    await until(lambda: function.ready)
    names = ("a", "b", "c", "d")
    pairs = zip(names, ("b", "a", "d", "c"), strict=True)
    answers = await asyncio.gather(*(invoke(function, do="meet", own=own, other=other) for own, other in pairs))
    assert len({answer["pid"] for answer in answers}) == 2, "each call waited for its partner beside it"


async def test_another_worker_is_started_while_a_request_waits_for_one(start: StartFunction) -> None:
    """Two stops that wait for their effect would hold up all others."""
    function = await start(workers=1, most=2)
    calls = (invoke(function, do="meet", own=own, other=other) for own, other in (("a", "b"), ("b", "a")))
    assert len({answer["pid"] for answer in await asyncio.gather(*calls)}) == 2
    assert function.ready
    await function.stop()
    assert not function.working


async def test_a_caller_that_goes_away_leaves_no_worker_in_the_middle_of_a_call(start: StartFunction) -> None:
    function = await start()
    before = (await invoke(function))["pid"]
    call = asyncio.create_task(invoke(function, do="sleep"))
    await asyncio.sleep(0.1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (await invoke(function))["pid"] != before


async def test_a_handler_that_does_not_load_is_told_once_and_never_ready(start: StartFunction, told: list[str]) -> None:
    function = await start("import no_such_module_anywhere")
    await until(lambda: bool(told))
    await asyncio.sleep(1.2)
    assert not function.ready
    assert len(told) == 1
    assert "no_such_module_anywhere" in function.fault
    assert "Traceback" in function.log.read_text()


async def test_stopping_ends_the_workers(start: StartFunction) -> None:
    function = await start(workers=2)
    pids = {(await invoke(function))["pid"] for _ in range(3)} | set(function.pids)
    await function.stop()
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            await gone(pid)


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("not within 20 s")


async def gone(pid: int) -> None:
    for _ in range(1000):
        os.kill(pid, 0)
        await asyncio.sleep(0.02)
