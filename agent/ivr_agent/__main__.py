"""The program `ivr-agent`: arguments, settings, signals, exit codes.

The composition root: the only place that makes clients of AWS. See docs/agent.md.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any, Final, NoReturn

from botocore.exceptions import BotoCoreError

from ivr_agent import __version__
from ivr_agent.agent import Doors, doors, run
from ivr_agent.aws import Clock, client_session
from ivr_agent.metrics import Metrics, notices
from ivr_agent.process import Exit, FatalError, say, start_log
from ivr_agent.settings import PREFIX, Settings, explain, load
from ivr_agent.stops import POLL_WAIT_S
from ivr_agent.wiring import Stores
from ivr_engine.links import links_in
from ivr_runtimes.errors import SettingsError
from ivr_runtimes.stores import boto
from ivr_runtimes.stores.dynamo import NodeTable, RuntimeTable
from ivr_runtimes.stores.sqs import Inbox
from ivr_runtimes.telling import told

END_LIMIT_S: Final = 9.8
"""An orderly stop ends after this at the latest: supervisors commonly kill after 10 s."""

LINKS_REMEDY: Final = "Kubernetes made them of a Service's name; set enableServiceLinks: false in the pod's spec"


def main() -> None:
    """Run the agent and end the process."""
    _leave(program(sys.argv[1:]))


def program(arguments: list[str]) -> Exit:
    """Read arguments and settings, run the agent, return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        settings = load(options.config, os.environ)
        start_log(settings.log_level)
        if ignored := links_in(os.environ, PREFIX):
            say("service_links_ignored", variables=ignored, remedy=LINKS_REMEDY)
        with doors(settings) as opened:
            clock = Clock()
            asyncio.run(_until_signalled(settings, opened, _stores(settings, clock), clock))
    except SettingsError as error:
        print(f"ivr-agent: {error}", file=sys.stderr)  # noqa: T201  # for the person at the terminal, before any log
        return Exit.SETTINGS
    except FatalError as error:
        say("fatal", level=logging.CRITICAL, error=str(error))
        return error.exit_code
    except Exception as error:  # noqa: BLE001  # last resort: the log keeps the trace
        say("defect", level=logging.CRITICAL, error=told(error), trace=error)
        return Exit.DEFECT
    return Exit.OK


async def _until_signalled(settings: Settings, opened: Doors, stores: Stores, clock: Clock) -> None:
    stop = asyncio.Event()

    def on_signal(name: str) -> None:
        say("signal", signal=name)
        if stop.is_set():
            _leave(Exit.FORCED)
        stop.set()
        _limit_end()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal, number.name)
    await run(settings, opened=opened, stores=stores, clock=clock, stop=stop)


def _limit_end() -> None:
    """End the process at the time limit, even if a name lookup or a log's disk hangs."""

    def cut_short() -> None:
        say("end_cut_short", level=logging.ERROR, after_s=END_LIMIT_S)
        _leave(Exit.OK)

    timer = threading.Timer(END_LIMIT_S, cut_short)
    timer.daemon = True
    timer.start()


def _leave(code: Exit) -> NoReturn:
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # not sys.exit: a thread that hangs in a request to AWS must not hold up the end


def _stores(settings: Settings, clock: Clock) -> Stores:
    """Make the stores. One attempt per request: the loops repeat by themselves, with the state of that moment."""
    connect_s, read_s = settings.aws_connect_timeout_s, settings.aws_read_timeout_s
    session = client_session()
    try:
        tables = boto.dynamodb_client(
            boto.config(connect_timeout_s=connect_s, read_timeout_s=read_s, attempts=1, connections=64), session
        )
        queues = boto.sqs_client(
            boto.config(connect_timeout_s=connect_s, read_timeout_s=read_s + POLL_WAIT_S, attempts=1, connections=16),
            session,
        )
    except (BotoCoreError, ValueError) as error:
        raise SettingsError(
            f"wrong settings:\n  AWS: {told(error)} (see AWS_DEFAULT_REGION, AWS_ENDPOINT_URL_DYNAMODB, …)"
        ) from None
    metrics = Metrics()
    sides: dict[str, Any] = {"on_server_time": clock.observe, "notice": notices(metrics)}
    return Stores(
        runtimes=RuntimeTable(tables, settings.runtimes_table, clock=clock.now_s, **sides),
        nodes=NodeTable(tables, settings.nodes_table, **sides),
        inbox=Inbox(queues, settings.queue_url, settings.dead_letter_url),
        metrics=metrics,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ivr-agent",
        description="The agent of one telephony node: shows what its IVR engine runs, carries stops to it.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(_help_lines()),
    )
    parser.add_argument("--config", type=Path, metavar="FILE.toml", help="read settings from this file")
    parser.add_argument("--version", action="version", version=__version__)
    return parser


def _help_lines() -> list[str]:
    lines = [f"Settings: the environment ({PREFIX}NAME) wins over the file (name), the file over the default.", ""]
    for name, default, meaning in explain():
        lines += [f"  {name}  [{default}]", f"      {meaning}"]
    lines += ["", "Exit codes:", *(f"  {code.value}  {code.meaning}" for code in Exit)]
    return lines


if __name__ == "__main__":
    main()
