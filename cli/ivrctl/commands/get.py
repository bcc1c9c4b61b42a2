"""`ivrctl get`: one runtime, with all that the API tells of it."""

import argparse

from ivrctl import times
from ivrctl.api import Query
from ivrctl.call import Call
from ivrctl.commands.list import judge
from ivrctl.errors import NotFoundError
from ivrctl.neutral import neutral, padded
from ivrctl.show import JSON_INDENT, as_json
from ivrctl.where import of_ids

USAGE = "[options] ID"

DESCRIPTION = "Show one running script, with all that the API tells of it."

EXAMPLES = """\
examples:
  ivrctl get 244f84aa-0624-e639-8061-a80000000006
  ivrctl get 244f84aa-0624-e639-8061-a80000000006 -o json
"""

EVERYTHING = "id,site,node,domain,type,code,name,starttime,ext"


def more() -> str:
    """Return the examples."""
    return EXAMPLES


def add(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("id", metavar="ID", help="the id, as `ivrctl list` shows it")
    parser.add_argument(
        "-o",
        "--output",
        choices=("table", "json"),
        default="table",
        help="table (a line for each field) or json",
    )


def run(call: Call) -> int:
    """Show it."""
    wanted, as_object = call.options.id, call.options.output == "json"
    page = call.api.rows(Query(filter=of_ids([wanted]), mask=EVERYTHING, flat=not as_object))
    if not page.rows:
        gaps = "; ".join(page.coverage.gaps())
        detail = f"no script with the id {neutral(wanted)} is running in your domain"
        raise NotFoundError(f"{detail}, as far as is known: {gaps}" if gaps else detail)
    row = page.rows[0]
    if as_object:
        call.terminal.print(as_json(row, indent=JSON_INDENT))
    else:
        shown = {**row, "starttime": times.shown(str(row.get("starttime")), call.profile.zone)}
        shown["age"] = times.age(str(row.get("starttime")), page.at)
        wide = max(map(len, shown))
        for name, value in shown.items():
            call.terminal.print(f"{padded(name, wide)}  {neutral(str('-' if value is None else value))}")
    return judge(page.coverage, call.terminal, fail=False)
