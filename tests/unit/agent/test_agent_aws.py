import asyncio
import threading

import pytest

from ivr_agent.aws.denial import Denials
from ivr_agent.aws.service import Service
from ivr_agent.health import Health
from ivr_runtimes.errors import AmbiguousWriteError, LeaseHeldError, StoreUnavailableError


async def test_a_blocking_call_runs_beside_the_loop(health: Health, denials: Denials) -> None:
    service = Service("dynamodb", size=1, health=health, denials=denials, purpose="test")
    assert await service(lambda: threading.current_thread().name) == "test-0"
    assert health.aws["dynamodb"]
    service.close()


@pytest.mark.parametrize(
    ("error", "up"),
    [(StoreUnavailableError("x"), False), (AmbiguousWriteError("x"), False), (LeaseHeldError("x"), True)],
)
async def test_what_a_store_raises_is_raised_and_tells_whether_aws_answered(
    health: Health, denials: Denials, error: Exception, *, up: bool
) -> None:
    service = Service("sqs", size=1, health=health, denials=denials, purpose="test")

    def fail() -> None:
        raise error

    with pytest.raises(type(error)):
        await service(fail)
    assert health.aws["sqs"] is up
    service.close()


async def test_an_answer_that_nobody_waits_for_any_more_does_no_harm(health: Health, denials: Denials) -> None:
    service = Service("dynamodb", size=1, health=health, denials=denials, purpose="test")
    go_on = threading.Event()
    asking = asyncio.create_task(service(go_on.wait, 5))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    go_on.set()
    assert await service(lambda: 7) == 7
    service.close()


async def test_threads_end_when_closed(health: Health, denials: Denials) -> None:
    service = Service("dynamodb", size=3, health=health, denials=denials, purpose="test")
    service.close()
    for thread in service._threads:
        await asyncio.to_thread(thread.join, 5)
        assert not thread.is_alive()
