"""The scripted FreeSWITCH as a process: `python -m esl --port 8021`, with calls, until it is ended."""

import argparse
import asyncio
import itertools
from pathlib import Path

from emulators import ROOT
from esl.dialplan import Dialplan
from esl.server import Server, User
from esl.switch import Switch

SAMPLES = ROOT / "engines" / "freeswitch"


async def run(port: int, numbers: list[str], per_second: float, at_once: int) -> None:
    """Make calls to the numbers in turn, `at_once` of them at the start; HEARTBEAT every 5 s."""
    switch = Switch(Dialplan(SAMPLES / "dialplan.xml"))
    turns = itertools.cycle(numbers)
    async with Server(switch).at_port(port) as server:
        server.access.users["ivr-bridge@default"] = sample_user()
        for _ in range(at_once):
            switch.originate(next(turns))
        for beat in itertools.count():
            await asyncio.sleep(1 / per_second if per_second else 5)
            if per_second:
                switch.originate(next(turns))
            if not per_second or beat % max(1, int(5 * per_second)) == 0:
                switch.heartbeat()


def sample_user(file: Path = SAMPLES / "directory.xml") -> User:
    """Return the user of the sample directory, with the rights that it gives."""
    params = dict(Dialplan.params(file))
    return User(
        params["esl-password"],
        frozenset(params["esl-allowed-api"].split()),
        frozenset(params["esl-allowed-events"].split()),
    )


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="esl", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--number", action="append", dest="numbers", default=[])
    parser.add_argument("--per-second", type=float, default=0)
    parser.add_argument("--at-once", type=int, default=0)
    given = parser.parse_args()
    asyncio.run(run(given.port, given.numbers or ["welcome", "survey"], given.per_second, given.at_once))


if __name__ == "__main__":
    main()
