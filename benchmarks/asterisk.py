"""bench-asterisk: the bridge to Asterisk at the tests' own Asterisk, beside a bare reader of the same events.

The baseline reads the stream, cuts it into messages and each into its headers, and keeps nothing. Run by
`make bench-asterisk`, on a machine that does nothing else.
"""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from ami import Asterisk, Dialplan, Server, Settings
from ami.calls import incoming, request_hangup
from benchmarks import bridging
from benchmarks.bridging import HangUp, Played

NEVER_S: Final = 3600

DIALPLAN: Final = """
[ivr]
exten => welcome,1,Answer()
 same => n,Set(IVR_DOMAIN=test.rootdomain.ru)
 same => n,Set(IVR_NAME=Main scenario)
 same => n,Wait(3600)
"""
VARIABLES: Final = ("IVR_NAME", "IVR_DOMAIN", "IVR_STOPS", "IVR_STARTED")


@asynccontextmanager
async def played() -> AsyncIterator[Played]:
    """Play an Asterisk."""
    asterisk = Asterisk(Dialplan(DIALPLAN), Settings(channelvars=VARIABLES))

    def call() -> tuple[str, HangUp]:
        channel = incoming(asterisk, "ivr", "welcome")
        return channel.linkedid, partial(request_hangup, asterisk, channel, 16)

    async with Server(asterisk) as server:
        settings = {
            "NODE": "bench@127.0.0.1",
            "AMI": f"tcp://127.0.0.1:{server.port}",
            "USERNAME": "ivr",
            "SECRET": "secret",
            "LOG_LEVEL": "debug",
            "AUDIT_S": str(NEVER_S),
        }
        yield Played(port=server.port, settings=settings, call=call, cut=server.cut)


def read_barely(port: int) -> None:
    """The baseline: read all events and cut them into headers."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"Action: Login\r\nUsername: ivr\r\nSecret: secret\r\nEvents: on\r\n\r\n")
        rest = b""
        while data := connection.recv(64 * 1024):
            *messages, rest = (rest + data).split(b"\r\n\r\n")
            for message in messages:
                dict(line.split(": ", 1) for line in message.decode().split("\r\n") if ": " in line)


if __name__ == "__main__":
    bridging.main("asterisk", played(), read_barely)
