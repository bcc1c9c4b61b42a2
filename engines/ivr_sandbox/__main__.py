"""`ivr-sandbox`: a small IVR engine that runs real scripts, with simulated callers.

Owns the wiring of the program: scripts, engine, calls. The kit has what every engine needs around it.
"""

import asyncio
import logging
import sys
import time
from functools import partial
from random import Random, SystemRandom
from uuid import uuid4

from ivr_engine import program
from ivr_engine.reporter import Reporter
from ivr_engine.server import application
from ivr_engine.settings import SettingsError
from ivr_engine.telling import place
from ivr_sandbox import library
from ivr_sandbox.calls import Calls
from ivr_sandbox.clock import Scheduler
from ivr_sandbox.engine import Engine
from ivr_sandbox.library import Library
from ivr_sandbox.settings import Settings

log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Run the program; return its exit code."""
    return program.main(
        Settings,
        live,
        name="ivr-sandbox",
        description="A small IVR engine that interprets real scripts for simulated callers, beside a node agent.",
        arguments=arguments,
    )


async def live(chosen: Settings) -> None:
    """Load the scripts and run them."""
    await run(chosen, _scripts(chosen))


async def run(chosen: Settings, scripts: Library) -> None:
    """Run the engine until SIGTERM or SIGINT. Its runtimes end with it: the next process is a new session."""
    loop, stop, session = asyncio.get_running_loop(), program.stop_signal(), uuid4().hex
    reporter = Reporter(session=session, time=loop.time)
    engine = Engine(
        session=session,
        node_number=chosen.node_number,
        library=scripts,
        scheduler=loop,
        now_us=lambda: time.time_ns() // 1000,
        publish=reporter.put,
        external_stop_delay_s=chosen.external_stop_delay_ms / 1000,
    )
    async with program.speaking(application(engine, token=chosen.token_for(chosen.listen)), reporter, chosen):
        told = {"node": chosen.node, "session": session, "listen": chosen.listen, "scripts": sorted(scripts)}
        log.info("the engine runs", extra={"action": "started", **told})
        calls = place_calls(chosen, engine=engine, scheduler=loop)
        await stop.wait()
        for line in calls:
            line.stop()
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
    """Load the scripts; raises `SettingsError` when a domain names an unknown one."""
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


if __name__ == "__main__":
    sys.exit(main())
