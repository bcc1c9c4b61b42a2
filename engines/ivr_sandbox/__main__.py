"""`ivr-sandbox`: a small IVR engine that really interprets scripts, with simulated callers.

Owns the wiring of the program and its life: settings, scripts, engine, server, calls, and an orderly end.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from random import Random, SystemRandom
from typing import Final
from uuid import uuid4

from aiohttp import web

from ivr_engine import address
from ivr_engine.links import links_in
from ivr_engine.log import log_to_stderr
from ivr_sandbox import library, settings
from ivr_sandbox.calls import Calls
from ivr_sandbox.clock import Scheduler
from ivr_sandbox.engine import Engine
from ivr_sandbox.library import Library, place
from ivr_sandbox.report import Outbox
from ivr_sandbox.server import SHUTDOWN_S, application
from ivr_sandbox.settings import PREFIX, Settings, SettingsError

log = logging.getLogger(__name__)

DEFECT: Final = 1
"""The exit code when the program ends by a fault of its own; the log holds the trace."""

WRONG_SETTINGS: Final = 2
"""The exit code when the program cannot start as it is set."""


def main(argv: list[str] | None = None) -> int:
    """Run the program; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="ivr-sandbox",
        description="A small IVR engine that interprets real scripts for simulated callers, beside a node agent.",
        epilog=f"settings (the environment wins over the file):\n{settings.describe()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, metavar="FILE.toml", help="the file of the settings")
    arguments = parser.parse_args(argv)
    try:
        chosen = settings.load(arguments.config)
        scripts = _scripts(chosen)
        log_to_stderr(chosen.log_level, "ivr_sandbox")
        if ignored := links_in(os.environ, PREFIX):
            extra = {"action": "service_links_ignored", "variables": ignored}
            log.info("Kubernetes made variables of a Service's name; set enableServiceLinks: false", extra=extra)
        asyncio.run(run(chosen, scripts))
    except SettingsError as error:
        return _refuse("wrong settings", error)
    except library.ScriptsError as error:
        return _refuse("wrong scripts", error)
    except address.ListenError as error:
        return _refuse("wrong settings", f"listen: {error}")
    except Exception:  # the program's last guard: the log's trace quotes nothing, the interpreter's own might
        log.exception("a defect of the sandbox", extra={"action": "defect"})
        return DEFECT
    return 0


async def run(chosen: Settings, scripts: Library) -> None:
    """Run the engine until SIGTERM or SIGINT. Its runtimes die with it: the next process is a new session."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    session = uuid4().hex
    outbox = Outbox(session=session, time=loop.time)
    engine = Engine(
        session=session,
        node_number=chosen.node_number,
        library=scripts,
        scheduler=loop,
        now_us=lambda: time.time_ns() // 1000,
        publish=outbox.put,
        external_stop_delay_s=chosen.external_stop_delay_ms / 1000,
    )
    with address.listening(chosen.listen) as listener:
        app = application(engine, token=chosen.token_for(chosen.listen))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        await web.SockSite(runner, listener).start()
        told = {"node": chosen.node, "session": session, "listen": chosen.listen, "scripts": sorted(scripts)}
        log.info("the engine runs", extra={"action": "started", **told})
        # A group: should delivery fail for a reason of ours, the process ends rather than go on unheard.
        async with asyncio.TaskGroup() as tasks:
            delivery = tasks.create_task(outbox.deliver(chosen.agent, token=chosen.token_for(chosen.agent)))
            calls = place_calls(chosen, engine=engine, scheduler=loop)
            await stop.wait()
            for line in calls:
                line.stop()
            delivery.cancel()
        await runner.cleanup()
    log.info("the engine stopped", extra={"action": "stopped", "session": session, "seq": engine.seq})


def place_calls(chosen: Settings, *, engine: Engine, scheduler: Scheduler) -> list[Calls]:
    """Begin the calls of every domain that has any."""
    seed = SystemRandom().getrandbits(64) if chosen.seed is None else chosen.seed
    return [
        Calls(
            domain.scripts,
            calls_per_minute=domain.calls_per_minute,
            start=partial(engine.start, domain=domain.name),
            scheduler=scheduler,
            rng=Random(f"{seed}/{number}/{domain.name}"),  # noqa: S311  # simulated callers, not secrets
        )
        for number, domain in enumerate(chosen.domains)
        if domain.calls_per_minute
    ]


def _scripts(chosen: Settings) -> Library:
    """Load the scripts; raises `SettingsError` when a domain names one that there is not."""
    scripts = library.load(chosen.scripts)
    faults = [
        f"{place(('domains', number, 'scripts'))}: no script has the code {code};"
        f" use one of: {', '.join(sorted(scripts))}"
        for number, domain in enumerate(chosen.domains)
        for code in domain.scripts
        if code not in scripts
    ]
    if faults:
        raise SettingsError("\n".join(faults))
    return scripts


def _refuse(what: str, why: object) -> int:
    """Say on stderr why the program does not start: plain text, for whoever starts it."""
    sys.stderr.write(f"ivr-sandbox: {what}\n{why}\n")
    return WRONG_SETTINGS


if __name__ == "__main__":
    sys.exit(main())
