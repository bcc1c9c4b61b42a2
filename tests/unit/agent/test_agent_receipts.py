import asyncio
from collections.abc import Sequence

import pytest

from ivr_agent.engine.memory import run_inline
from ivr_agent.stops.receipts import Receipts
from ivr_runtimes.errors import StoreUnavailableError
from ivr_runtimes.ports import MAX_MESSAGES
from ivr_runtimes.stores.memory import MemoryQueue


class WatchedQueue(MemoryQueue):
    """Notes the size of each request to delete; `stale` receipts are refused; silent while `down`."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[int] = []
        self.stale: set[str] = set()
        self.down = False

    def delete(self, receipts: Sequence[str]) -> set[str]:
        self.requests.append(len(receipts))
        if self.down:
            raise StoreUnavailableError("away")
        return self.stale & set(receipts)


@pytest.fixture
def queue() -> WatchedQueue:
    return WatchedQueue()


@pytest.fixture
def receipts(queue: WatchedQueue) -> Receipts:
    return Receipts(inbox=queue, service=run_inline)


async def test_receipts_that_come_together_share_a_request(receipts: Receipts, queue: WatchedQueue) -> None:
    deleted = await asyncio.gather(*(receipts.delete(f"r-{number}") for number in range(2 * MAX_MESSAGES + 3)))
    assert all(deleted)
    assert queue.requests == [MAX_MESSAGES, MAX_MESSAGES, 3]


async def test_a_lone_receipt_waits_no_longer_than_a_moment(receipts: Receipts, queue: WatchedQueue) -> None:
    assert await asyncio.wait_for(receipts.delete("r-1"), 20)
    assert await asyncio.wait_for(receipts.delete("r-2"), 20)
    assert queue.requests == [1, 1]


async def test_only_the_stale_receipt_is_told_so(receipts: Receipts, queue: WatchedQueue) -> None:
    queue.stale = {"r-2"}
    assert await asyncio.gather(*(receipts.delete(f"r-{number}") for number in range(3))) == [True, True, False]


async def test_everyone_of_a_batch_hears_of_its_failure(receipts: Receipts, queue: WatchedQueue) -> None:
    queue.down = True
    told = await asyncio.gather(*(receipts.delete(f"r-{number}") for number in range(3)), return_exceptions=True)
    assert [type(answer) for answer in told] == [StoreUnavailableError] * 3
    assert queue.requests == [3]


async def test_a_defect_is_told_to_everyone_of_the_batch(receipts: Receipts, queue: WatchedQueue) -> None:
    """They were cancelled instead, which looks like the end: their messages were kept in hand for ever."""

    def broken(_: Sequence[str]) -> set[str]:
        raise ZeroDivisionError

    queue.delete = broken  # type: ignore[method-assign]  # the defect
    told = await asyncio.gather(*(receipts.delete(f"r-{number}") for number in range(3)), return_exceptions=True)
    assert [type(answer) for answer in told] == [ZeroDivisionError] * 3


async def test_one_who_gives_up_waiting_does_not_keep_the_others_from_being_told(receipts: Receipts) -> None:
    first, second = (asyncio.create_task(receipts.delete(receipt)) for receipt in ("r-1", "r-2"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second is True
    assert first.cancelled()
