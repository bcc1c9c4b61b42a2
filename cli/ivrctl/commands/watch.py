"""`ivrctl watch`: what runs, live."""

import argparse
import secrets
import time

from ivrctl.api import Page, Query
from ivrctl.arguments import add_filter, duration
from ivrctl.call import Call
from ivrctl.commands.list import asked_filter
from ivrctl.errors import EXIT_OK, CliError, UsageError
from ivrctl.stopping import Course, Crew, Result, Target, Wanted, in_branch

USAGE = "[options] [WHERE ...]"

DESCRIPTION = "Show what runs, live: starts, changes of script and state, and ends, as they happen."

EXAMPLES = """\
keys: / filter by words, s sort, p pause, arrows select, K stop the selected one (asks; Cancel is the default), q quit.
WHERE is as in `ivrctl list`. The list is read anew every few seconds.

examples:
  ivrctl watch
  ivrctl watch site=SITE1 --interval 5s
"""

MASK = "id,site,node,code,name,starttime,ext.state,ext.stoptype"

LEAST_INTERVAL_S = 0.5


def more() -> str:
    """Return the keys and the examples."""
    return EXAMPLES


def add(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("where", nargs="*", metavar="WHERE", help="conditions that all hold, as in `ivrctl list`")
    add_filter(parser)
    parser.add_argument("--interval", type=duration, default=2.0, metavar="2s", help="how often the list is read")


def run(call: Call) -> int:
    """Watch until somebody quits."""
    if call.options.interval < LEAST_INTERVAL_S:
        raise UsageError("--interval: is shorter than 0.5s", remedy="the API needs its time, too")
    if not call.terminal.can_redraw() or call.terminal.width() is None or not call.terminal.can_ask():
        raise UsageError("watch needs a terminal that can be drawn on", remedy="use `ivrctl list`, again and again")
    call.tokens.get()  # whoever is not logged in should read so on an ordinary screen
    from ivrctl.watching import WatchApp  # noqa: PLC0415  # it imports Textual, which takes its time

    query = Query(filter=asked_filter(call), mask=MASK, flat=True)

    def read() -> Page:
        return call.api.rows(query)

    app = WatchApp(
        read, lambda runtime_id: stopped(call, runtime_id), interval_s=call.options.interval, told=call.profile.url
    )
    app.run()
    return EXIT_OK


def stopped(call: Call, runtime_id: str) -> Result:
    """Stop one and wait for proof; on a connection of its own."""
    api = call.api.another()
    try:
        (row,) = api.by_ids([runtime_id], mask=MASK).rows or [{}]
        target = Target(runtime_id, f"ivrctl-{secrets.token_hex(12)}", row.get("site"), in_branch(row))
        crew = Crew(api, [Course(target, Wanted(), time.monotonic())], parallel=1)
        crew.start()
        while crew.busy:
            result = crew.result()
            if result is not None:
                return result
    except CliError as error:
        return Result(runtime_id, "unknown", error.detail)
    finally:
        api.close()
    return Result(runtime_id, "not_sent")
