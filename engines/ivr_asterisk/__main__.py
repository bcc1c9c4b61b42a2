"""`ivr-asterisk`: a bridge between an Asterisk and the node agent beside it.

Owns the wiring of the program. The kit has what every engine needs around it.
"""

import asyncio
import logging
import sys
import time
from random import SystemRandom

from ivr_asterisk.bridge import Bridge, Login
from ivr_asterisk.connection import Dial, dial_to
from ivr_asterisk.mapping import Scripts
from ivr_asterisk.model import Model
from ivr_asterisk.publisher import Publisher
from ivr_asterisk.settings import Settings
from ivr_engine import program
from ivr_engine.mirror import Mirror
from ivr_engine.reporter import Reporter
from ivr_engine.server import application

log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Run the program; return its exit code."""
    return program.main(
        Settings,
        live,
        name="ivr-asterisk",
        description="Lists and stops the dialplan scripts of an Asterisk, beside a node agent.",
        arguments=arguments,
    )


async def live(chosen: Settings) -> None:
    """Run the bridge until SIGTERM or SIGINT. The calls go on, and so does their session with the next bridge."""
    loop, stop = asyncio.get_running_loop(), program.stop_signal()
    reporter = Reporter(session="", time=loop.time)
    bridge = build(chosen, reporter, loop)
    async with (
        program.speaking(application(bridge, token=chosen.token_for(chosen.listen)), reporter, chosen),
        asyncio.TaskGroup() as tasks,
    ):
        log.info("the bridge runs", extra={"action": "started", "node": chosen.node, "listen": chosen.listen})
        running = tasks.create_task(bridge.run())
        await stop.wait()
        running.cancel()
    log.info("the bridge stopped", extra={"action": "stopped", "session": bridge.session})


def build(chosen: Settings, reporter: Reporter, loop: asyncio.AbstractEventLoop, *, dial: Dial | None = None) -> Bridge:
    """Return the bridge with all its parts. `dial` connects to Asterisk, by default as the settings say."""
    scripts = Scripts(tuple(rule.rule() for rule in chosen.scripts), branches=chosen.stop_context)
    mirror = Mirror(session="", publish=reporter.put)
    return Bridge(
        mirror=mirror,
        publisher=Publisher(Model(scripts, stop_cause=chosen.hangup_cause), mirror, now_s=time.time),
        begin_session=reporter.begin,
        dial=dial or dial_to(chosen.host, chosen.port, tls=chosen.tls()),
        login=Login(username=chosen.username, secret=chosen.secret.get_secret_value(), node=chosen.node),
        branches=chosen.stop_context,
        stop_cause=chosen.hangup_cause,
        audit_s=chosen.audit_s,
        time=loop.time,
        now_us=lambda: time.time_ns() // 1000,
        rng=SystemRandom(),
    )


if __name__ == "__main__":
    sys.exit(main())
