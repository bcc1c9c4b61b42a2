"""`ivr-freeswitch`: joins a FreeSWITCH to its node agent.

Owns the wiring of the program. The kit has what every engine needs around it.
"""

import asyncio
import sys
from functools import partial

from ivr_engine import program
from ivr_engine.life import Life
from ivr_freeswitch.bridge import Bridge
from ivr_freeswitch.calls import Calls
from ivr_freeswitch.link import connected
from ivr_freeswitch.scripts import Scripts
from ivr_freeswitch.settings import Settings


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
    streams = partial(asyncio.open_connection, chosen.host, chosen.port)
    password = chosen.password.get_secret_value()
    connect = partial(connected, streams=streams, user=chosen.user, password=password)

    def bridge(life: Life) -> Bridge:
        return Bridge(Calls(Scripts(chosen.scripts), life.mirror), life, connect=connect)

    await program.join(chosen, bridge, node=chosen.node)


if __name__ == "__main__":
    sys.exit(main())
