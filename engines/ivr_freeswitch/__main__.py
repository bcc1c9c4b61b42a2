"""`ivr-freeswitch`: joins a FreeSWITCH to its node agent.

Owns the wiring of the program. The kit has what every engine needs around it.
"""

import asyncio
import logging
import sys
from functools import partial
from random import SystemRandom

from ivr_engine import program
from ivr_engine.life import Joined, Life
from ivr_engine.reconnect import stay_connected
from ivr_engine.reporter import Reporter
from ivr_engine.server import application
from ivr_freeswitch.bridge import Bridge
from ivr_freeswitch.link import connected
from ivr_freeswitch.scripts import Scripts
from ivr_freeswitch.settings import Settings

log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Run the program; return its exit code."""
    return program.main(
        Settings,
        live,
        name="ivr-freeswitch",
        description="Tells a node agent of the IVR scripts that a FreeSWITCH runs, and stops them.",
        arguments=arguments,
    )


async def live(chosen: Settings) -> None:
    """Run the bridge until SIGTERM or SIGINT. The calls go on without it."""
    stop = program.stop_signal()
    time = asyncio.get_running_loop().time
    reporter = Reporter(session="", time=time)
    life = Life(reporter, time=time)
    connect = partial(
        connected,
        streams=partial(asyncio.open_connection, chosen.host, chosen.port),
        user=chosen.user,
        password=chosen.password.get_secret_value(),
    )
    bridge = Bridge(Scripts(chosen.scripts), life, connect=connect)
    app = application(Joined(life, bridge.stops), token=chosen.token_for(chosen.listen))
    async with program.speaking(app, reporter, chosen), asyncio.TaskGroup() as tasks:
        log.info("the bridge runs", extra={"action": "started", "engine": f"{chosen.host}:{chosen.port}"})
        connection = tasks.create_task(stay_connected(bridge.connection, rng=SystemRandom()))
        await stop.wait()
        connection.cancel()
    log.info("the bridge stopped", extra={"action": "stopped", "session": life.session})


if __name__ == "__main__":
    sys.exit(main())
