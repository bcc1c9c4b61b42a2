"""`ivr-asterisk`: a bridge between an Asterisk and the node agent beside it.

Owns the wiring of the program. The kit has what every engine needs around it.
"""

import sys
import time
from functools import partial

from ivr_asterisk.bridge import Bridge
from ivr_asterisk.connection import Dial, Login, connected, dial_to
from ivr_asterisk.mapping import Scripts
from ivr_asterisk.model import Model
from ivr_asterisk.publisher import Publisher
from ivr_asterisk.settings import Settings
from ivr_engine import program
from ivr_engine.life import Life


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
    await program.join(chosen, partial(build, chosen), node=chosen.node)


def build(chosen: Settings, life: Life, *, dial: Dial | None = None) -> Bridge:
    """Return the bridge with all its parts. `dial` connects to Asterisk, by default as the settings say."""
    scripts = Scripts(chosen.scripts, branches=chosen.stop_context)
    dial = dial or dial_to(chosen.host, chosen.port, tls=chosen.tls())
    login = Login(username=chosen.username, secret=chosen.secret.get_secret_value())
    return Bridge(
        publisher=Publisher(Model(scripts, stop_cause=chosen.hangup_cause), life.mirror, now_s=time.time),
        life=life,
        connect=partial(connected, dial=dial, login=login),
        node=chosen.node,
        branches=chosen.stop_context,
        stop_cause=chosen.hangup_cause,
        audit_s=chosen.audit_s,
        now_us=lambda: time.time_ns() // 1000,
    )


if __name__ == "__main__":
    sys.exit(main())
