"""The program around an engine: arguments, log, exit codes, signals, and its connection to the agent.

Owns what is the same for every engine. Called by an engine's `__main__`, which makes the engine.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import SystemRandom
from typing import Any, Final, Protocol, TypeVar

from aiohttp import web

from ivr_engine.address import ListenError
from ivr_engine.life import Joined, Life
from ivr_engine.links import links_in
from ivr_engine.log import log_to_stderr
from ivr_engine.model import Commands
from ivr_engine.reconnect import Served, stay_connected
from ivr_engine.reporter import Reporter
from ivr_engine.server import application, serving
from ivr_engine.settings import EngineSettings, StartError

log = logging.getLogger(__name__)

DEFECT: Final = 1
"""The exit code when the program ends by a defect; the log holds the trace."""

WRONG_SETTINGS: Final = 2
"""The exit code when the program cannot start with these settings."""

AnySettings = TypeVar("AnySettings", bound=EngineSettings)


def main(
    settings: type[AnySettings],
    live: Callable[[AnySettings], Coroutine[Any, Any, None]],
    *,
    name: str,
    description: str,
    arguments: Sequence[str] | None = None,
) -> int:
    """Read the settings and `live` with them; return the exit code. `name` is the program's, for people."""
    parser = argparse.ArgumentParser(
        prog=name,
        description=description,
        epilog=f"settings (the environment wins over the file):\n{settings.describe()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, metavar="FILE.toml", help="the file of the settings")
    options = parser.parse_args(arguments)
    try:
        chosen = settings.load(options.config)
        log_to_stderr(chosen.log_level, settings.__module__.partition(".")[0])
        if ignored := links_in(os.environ, settings.prefix()):
            extra = {"action": "service_links_ignored", "variables": ignored}
            log.info("Kubernetes made variables of a Service's name; set enableServiceLinks: false", extra=extra)
        asyncio.run(live(chosen))
    except StartError as error:
        return _refuse(name, error.what, error)
    except ListenError as error:
        return _refuse(name, "wrong settings", f"listen: {error}")
    except Exception:  # last resort: our trace quotes no values, the interpreter's might
        log.exception("a defect of %s", name, extra={"action": "defect"})
        return DEFECT
    return 0


@asynccontextmanager
async def speaking(app: web.Application, reporter: Reporter, chosen: EngineSettings) -> AsyncIterator[None]:
    """Serve the engine side and deliver events until the block ends; raises `ListenError`."""
    # A group: if delivery fails by a defect, the process ends; else it would run on without events.
    async with serving(app, chosen.listen), asyncio.TaskGroup() as tasks:
        delivery = tasks.create_task(reporter.deliver(chosen.agent, token=chosen.token_for(chosen.agent)))
        yield
        delivery.cancel()


class Connecting(Protocol):
    """A bridge: `bridge.Bridge`, or one that asks its engine in its own way."""

    @property
    def stops(self) -> Commands:
        """The two commands."""
        ...

    async def connection(self, served: Served) -> None:
        """Serve over one connection until it is lost; raises `LostError` or `OSError`."""
        ...


async def join(chosen: EngineSettings, make: Callable[[Life], Connecting], *, node: str | None) -> None:
    """Run a bridge until SIGTERM or SIGINT: its side of the protocol, and its connection to the engine."""
    time = asyncio.get_running_loop().time
    reporter = Reporter(session="", time=time)
    life = Life(reporter, time=time)
    bridge = make(life)
    stop, app = stop_signal(), application(Joined(life, bridge.stops), token=chosen.token_for(chosen.listen))
    async with speaking(app, reporter, chosen), asyncio.TaskGroup() as tasks:
        log.info("the bridge runs", extra={"action": "started", "node": node})
        connected = tasks.create_task(stay_connected(bridge.connection, rng=SystemRandom()))
        await stop.wait()
        connected.cancel()
    log.info("the bridge stopped", extra={"action": "stopped", "node": node, "session": life.session})


def stop_signal() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _refuse(name: str, what: str, why: object) -> int:
    """Say on stderr, as plain text for people, why the program does not start."""
    sys.stderr.write(f"{name}: {what}\n{why}\n")
    return WRONG_SETTINGS
