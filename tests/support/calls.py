"""How many calls an engine has: what a test waits for before it has them listed or stopped."""

import asyncio
from typing import Final

import aiohttp

from ivr_engine.address import Address, connector, parse

WITHIN_S: Final = 30.0
LOOK_EVERY_S: Final = 0.1


def wait_for_calls(engine: str, *, token: str, at_least: int) -> None:
    """Wait until the engine at an address shows so many runtimes, from its start on; fail after `WITHIN_S`."""
    asyncio.run(_wait(parse(engine), token, at_least))


async def _wait(address: Address, token: str, at_least: int) -> None:
    async with asyncio.timeout(WITHIN_S):
        while await _count(address, token) < at_least:  # noqa: ASYNC110  # another process's state has no event
            await asyncio.sleep(LOOK_EVERY_S)


async def _count(address: Address, token: str) -> int:
    """Return the number of runtimes that the snapshot shows; 0 while the engine is starting."""
    try:
        async with (
            aiohttp.ClientSession(address.base_url, connector=connector(address)) as http,
            http.get("/v1/runtimes", headers={"Authorization": f"Bearer {token}"}) as answer,
        ):
            return len((await answer.json())["runtimes"])
    except aiohttp.ClientConnectionError:
        return 0
