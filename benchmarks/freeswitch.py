"""bench-freeswitch: the bridge to FreeSWITCH at the tests' scripted one, beside a bare reader of the same events.

The baseline reads the stream, cuts it into frames, parses each event's JSON, and keeps nothing. Run by
`make bench-freeswitch`, on a machine that does nothing else.
"""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from benchmarks import bridging
from benchmarks.bridging import HangUp, Played
from emulators import free_port
from esl.server import Server
from esl.switch import Switch

SUBSCRIPTION: Final = "CHANNEL_CREATE CHANNEL_EXECUTE CHANNEL_EXECUTE_COMPLETE CHANNEL_HANGUP CHANNEL_HANGUP_COMPLETE"


@asynccontextmanager
async def played() -> AsyncIterator[Played]:
    """Play a FreeSWITCH."""
    switch, port = Switch(), free_port()

    def call() -> tuple[str, HangUp]:
        uuid = switch.originate("welcome")
        return uuid, partial(switch.hang_up, uuid)

    async with Server(switch).at_port(port) as server:
        settings = {"PORT": str(port), "PASSWORD": "secret"}
        yield Played(port=port, settings=settings, call=call, cut=server.drop)
        switch.end()


def read_barely(port: int) -> None:
    """The baseline: read all events and parse each."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"auth secret\n\nevent json {SUBSCRIPTION}\n\n".encode())
        stream = connection.makefile("rb")
        length = 0
        while line := stream.readline():
            if line.startswith(b"Content-Length: "):
                length = int(line[16:])
            elif line == b"\n" and length:
                json.loads(stream.read(length))
                length = 0


if __name__ == "__main__":
    bridging.main("freeswitch", played(), read_barely)
