"""The client is a careful program: one key per stop, repeats until the answer is clear, second stops with a new key."""

import asyncio
import time
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
from aiohttp import web

from chaos import client as module
from chaos.client import Client
from chaos.schedule import Profile

CALM = Profile(impatience=0.0, second=0.0, echo=0.0)
RUNTIMES = [{"id": f"r{number}", "code": "survey"} for number in range(50)]


@asynccontextmanager
async def client_of(tmp_path, answer: Callable[[str, str, int], int], *, profile=CALM, stops=3):
    """A client of a gateway that answers DELETEs by `answer(runtime, key, attempt)`; yields it and what was sent."""
    sent: list[tuple[str, str]] = []

    async def stop(request: web.Request) -> web.Response:
        key, runtime = request.headers["Idempotency-Key"], request.match_info["id"]
        sent.append((runtime, key))
        status = answer(runtime, key, sum(one == (runtime, key) for one in sent))
        if status == 0:
            await asyncio.sleep(3)
        waits = request.headers.get("Prefer")
        return web.Response(status=status or 500, headers={"Stop-Outcome": "ended"} if waits and status == 204 else {})

    async def listed(_: web.Request) -> web.Response:
        return web.json_response(RUNTIMES)

    app = web.Application()
    app.router.add_delete(module.RESOURCE + "/{id}", stop)
    app.router.add_get(module.RESOURCE, listed)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, str(tmp_path / "s")).start()
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(tmp_path / "s"))) as http:
        one = Client(
            url="http://gateway", tokens={"test.rootdomain.ru": "t"}, seed=1, profile=profile, stops=stops,
            until=time.time() + 60, http=http,
        )  # fmt: skip
        listing = asyncio.create_task(one.list_for_ever())
        try:
            yield one, sent
        finally:
            listing.cancel()
            await asyncio.gather(listing, return_exceptions=True)
            await runner.cleanup()


async def test_a_clear_answer_ends_a_stop_and_the_first_204_is_its_instant(tmp_path):
    async with client_of(tmp_path, lambda *_: 204) as (client, sent):
        before = time.time()
        await client.stop_all()
    assert len(sent) == len(set(sent)) == len(client.log) >= 3
    assert {stop.answer for stop in client.log} == {"204"}
    assert all(before <= stop.accepted_at <= time.time() for stop in client.log)


async def test_every_unclear_answer_is_followed_by_a_repeat_with_the_same_key(tmp_path):
    async with client_of(tmp_path, lambda _, __, attempt: (503, 500, 204)[attempt - 1], stops=1) as (client, sent):
        await client.stop_all()
    for stop in client.log:
        assert sent.count((stop.runtime, stop.stop_id)) == stop.attempts == 3
        assert stop.accepted_at


async def test_a_404_is_clear_and_no_acceptance(tmp_path):
    async with client_of(tmp_path, lambda *_: 404, stops=1) as (client, _):
        await client.stop_all()
    assert {(stop.answer, stop.accepted_at, stop.attempts) for stop in client.log} == {("404", None, 1)}


async def test_an_impatient_client_repeats_what_it_gave_up(tmp_path):
    hasty = replace(CALM, impatience=1.0)
    async with client_of(tmp_path, lambda _, __, attempt: 204 if attempt > 1 else 0, profile=hasty, stops=1) as (
        one,
        _,
    ):
        await one.stop_all()
    assert all(stop.attempts == 2 and stop.accepted_at for stop in one.log)


async def test_a_deliberate_second_stop_has_a_key_of_its_own(tmp_path):
    async with client_of(tmp_path, lambda *_: 204, profile=replace(CALM, second=1.0), stops=20) as (client, _):
        await client.stop_all()
    runtimes = [stop.runtime for stop in client.log]
    assert any(runtimes.count(runtime) == 2 for runtime in runtimes)
    assert len({stop.stop_id for stop in client.log}) == len(client.log)


async def test_an_echo_repeats_the_key_of_a_stop_that_was_answered(tmp_path):
    async with client_of(tmp_path, lambda *_: 204, profile=replace(CALM, echo=1.0), stops=1) as (client, sent):
        await client.stop_all()
    assert all(sent.count((stop.runtime, stop.stop_id)) == 2 for stop in client.log)


async def test_a_stop_that_waits_is_kept_with_what_its_answers_said(tmp_path):
    async with client_of(tmp_path, lambda _, __, attempt: (503, 204)[attempt - 1], stops=20) as (client, _):
        await client.stop_all()
    waited = [stop for stop in client.log if stop.wait_s is not None]
    assert 0 < len(waited) < len(client.log)
    assert all([claim.outcome for claim in stop.claims] == ["ended"] for stop in waited)
    assert all(stop.accepted_at <= stop.claims[0].at <= time.time() for stop in waited)
    assert not any(stop.claims for stop in client.log if stop.wait_s is None)


async def test_lists_are_kept_with_their_times(tmp_path):
    async with client_of(tmp_path, lambda *_: 204, stops=1) as (client, _):
        await client.stop_all()
    sample = client.samples[0]
    assert sample.ids == {row["id"] for row in RUNTIMES}
    assert sample.asked_at <= sample.answered_at


async def test_a_404_makes_it_look_at_a_fresh_list(tmp_path):
    """When a node comes back, its dead runtimes are listed no more, but hundreds may be in the list one has."""
    async with client_of(tmp_path, lambda *_: 404, stops=40) as (client, sent):
        stopping = asyncio.create_task(client.stop_all())
        await asyncio.sleep(module.SAMPLE_S * 2.5)
        stopping.cancel()
        await asyncio.gather(stopping, return_exceptions=True)
    assert 1 < len(sent) <= 3 * module.WORKERS


async def test_an_ill_service_is_left_alone_until_it_answers(tmp_path):
    ill = {f"chaos-1-{number}" for number in range(module.BREAK_AT)}
    async with client_of(tmp_path, lambda _, key, __: 503 if key in ill else 204, stops=40) as (client, _):
        stopping = asyncio.create_task(client.stop_all())
        while len(client._unclear) < module.BREAK_AT:  # noqa: ASYNC110  # its answers come when they come
            await asyncio.sleep(0.01)
        begun = len(client.log)
        await asyncio.sleep(module.SAMPLE_S)
        assert len(client.log) == begun < 40
        ill.clear()
        await stopping
    assert len(client.log) == 40


async def test_the_last_stops_are_kept_for_what_is_broken_later(tmp_path):
    async with client_of(tmp_path, lambda *_: 204, stops=10) as (client, _):
        client.kept_until = time.time() + 3
        await client.stop_all()
    late = [stop for stop in client.log if stop.sent_at >= client.kept_until]
    assert (len(client.log), len(late)) == (10, 2)
