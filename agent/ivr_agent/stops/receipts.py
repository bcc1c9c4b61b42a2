"""Deletes handled messages, several in one request.

Owns the receipts of finished messages: a lone one waits a moment for others to join. Never decides that a message is
finished: `drain` does. Never retries: a message that stays is handed out again, and commands are idempotent.
"""

import asyncio
from typing import Final

from ivr_agent.aws import Run
from ivr_runtimes.ports import MAX_MESSAGES, CommandInbox

LINGER_S: Final = 0.005
"""How long a lone receipt waits for others. It delays nobody: the command was carried out."""

Waiting = dict[str, "asyncio.Future[bool]"]


class Receipts:
    """The receipts to delete. Must be used inside one event loop."""

    def __init__(self, *, inbox: CommandInbox, service: Run) -> None:
        self._inbox = inbox
        self._service = service
        self._waiting: Waiting = {}
        self._timer: asyncio.TimerHandle | None = None
        self._requests: set[asyncio.Task[None]] = set()

    async def delete(self, receipt: str) -> bool:
        """Delete a message with the next batch; return False when its receipt was stale. Raises `StoreError`."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bool] = loop.create_future()
        self._waiting[receipt] = answer
        if len(self._waiting) >= MAX_MESSAGES:
            self._send()
        elif self._timer is None:
            self._timer = loop.call_later(LINGER_S, self._send)
        return await answer

    def _send(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch, self._waiting = self._waiting, {}
        request = asyncio.create_task(self._request(batch), name=f"receipts of {len(batch)} messages")
        self._requests.add(request)
        request.add_done_callback(self._requests.discard)

    async def _request(self, batch: Waiting) -> None:
        try:
            refused = await self._service(self._inbox.delete, list(batch))
        except Exception as error:  # noqa: BLE001  # not handled here: passed on to the callers
            for answer in batch.values():
                _fail(answer, error)
        except BaseException:
            for answer in batch.values():
                answer.cancel()
            raise
        else:
            for receipt, answer in batch.items():
                if not answer.done():
                    answer.set_result(receipt not in refused)


def _fail(answer: "asyncio.Future[bool]", error: Exception) -> None:
    if not answer.done():  # a done one was cancelled by its caller
        answer.set_exception(error)
