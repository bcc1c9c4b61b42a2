"""`python -m ami`: an Asterisk of the tests' own as a program, with calls that come in by themselves.

Owns arguments only. It takes commands of the console as lines of its standard input (`core restart now`,
`core restart gracefully`), and prints the port of its manager interface once it listens.
"""

import argparse
import asyncio
import itertools
import ssl
import sys
from pathlib import Path

from ami import Asterisk, Dialplan, Server, Settings
from ami.calls import incoming

VARIABLES = "IVR_NAME,IVR_DOMAIN,IVR_STOPS,IVR_STARTED"


async def live(given: argparse.Namespace) -> None:
    """Listen, let calls in, and take commands, until the standard input ends."""
    settings = Settings(channelvars=tuple(given.channelvars.split(",")))
    asterisk = Asterisk(Dialplan(given.dialplan.read_text("utf-8")), settings)
    async with Server(asterisk, port=given.port, tls=_tls(given)) as server:
        sys.stdout.write(f"{server.port}\n")
        sys.stdout.flush()
        calls = asyncio.create_task(_let_in(asterisk, given))
        while line := await asyncio.to_thread(sys.stdin.readline):
            server.command(line.strip(), lambda _: None)
        calls.cancel()


async def _let_in(asterisk: Asterisk, given: argparse.Namespace) -> None:
    numbers = itertools.count()
    for place in itertools.cycle(given.calls):
        if not asterisk.draining:
            exten, _, context = place.partition("@")
            incoming(asterisk, context, exten, number=f"+1555{next(numbers):07}")
        await asyncio.sleep(60 / given.calls_per_minute)


def _tls(given: argparse.Namespace) -> ssl.SSLContext | None:
    if given.certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(given.certificate)
    return context


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m ami")
    add = parser.add_argument
    add("--dialplan", type=Path, required=True, help="an extensions.conf")
    add("--port", type=int, default=0)
    add("--certificate", type=Path, help="PEM with key and certificate: speak TLS")
    add("--calls", nargs="+", required=True, metavar="EXTEN@CONTEXT", help="where calls come in, in turn")
    add("--calls-per-minute", type=float, default=300)
    add("--channelvars", default=VARIABLES)
    asyncio.run(live(parser.parse_args()))


if __name__ == "__main__":
    main()
