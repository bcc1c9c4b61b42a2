"""Tells a supervisor such as systemd how the agent is: ready, alive, stopping (sd_notify(3)).

Owns the messages and how they are sent: one datagram each to the socket that `NOTIFY_SOCKET` names, none without that
variable. Never waits, and never fails the agent: a message that cannot be sent is dropped.
"""

import logging
import os
import socket
from typing import Final

from ivr_agent.process.log import say
from ivr_runtimes.telling import told

READY: Final = "READY=1"
"""Both addresses are served and the loops run. The engine need not be there: the agent waits for it."""

STOPPING: Final = "STOPPING=1"
ALIVE: Final = "WATCHDOG=1"

ALIVE_INTERVAL_S: Final = 5.0
"""How often the event loop reports that it runs; the unit's WatchdogSec is six times that."""


def notify(message: str) -> None:
    """Send a message to the supervisor, if there is one."""
    where = os.environ.get("NOTIFY_SOCKET")
    if not where:
        return
    address = "\0" + where[1:] if where.startswith("@") else where  # @: the abstract namespace, unix(7)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as way:
            way.setblocking(False)
            way.sendto(message.encode(), address)
    except OSError as error:
        say("supervisor_not_told", level=logging.WARNING, message=message, error=told(error))


async def alive() -> None:
    """Report that the event loop runs."""
    notify(ALIVE)
