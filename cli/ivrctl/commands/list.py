"""`ivrctl list`: what runs now."""

import argparse
from itertools import chain

from ivrctl.api import Coverage, Query, least
from ivrctl.arguments import add_filter, whole
from ivrctl.call import Call
from ivrctl.errors import EXIT_OK, PartialError, UsageError
from ivrctl.show import FORMATS, columns_for, draw, mask_for, of_fields, write
from ivrctl.terminal import Terminal

USAGE = "[options] [WHERE ...]"

DESCRIPTION = "List the scripts that run now in your domain, at all sites, oldest first."

EXAMPLES = """\
WHERE is FIELD=VALUE, with = != < <= > >= ~ (like: % any run, _ one character) or !~; = and != take
alternatives separated by commas. FIELD is a field of the API, one of ext also without `ext.`, or age.
All conditions must hold. A time without a zone is in --zone.

examples:
  ivrctl list                                       everything
  ivrctl list site=SITE1 code=player,welcome        players and welcomes of SITE1
  ivrctl list 'age>10m' --order=-starttime          what runs for over ten minutes, youngest first
  ivrctl list 'starttime<2026-11-23T00:00Z'         what has run since before Monday
  ivrctl list 'name~Main%' state=post_processing    scripts that say goodbye
  ivrctl list -o ids 'age>2h' | head                ids for other programs
  ivrctl list --filter '["isnull", ["property", "ext.rootcode"]]'
"""


def more() -> str:
    """Return the examples, the fields and the operators."""
    from ivrctl.where import language  # noqa: PLC0415  # it imports the core

    return f"{EXAMPLES}\n{language()}"


def add(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("where", nargs="*", metavar="WHERE", help="conditions that all hold, see below")
    add_filter(parser)
    parser.add_argument(
        "--order", metavar="FIELDS", help="sort by these, e.g. site,-starttime (--order=-starttime: youngest first)"
    )
    parser.add_argument("--mask", metavar="FIELDS", help="show these fields, e.g. id,code,ext")
    parser.add_argument("--limit", type=whole(0, 1_000_000), metavar="N", help="show at most so many")
    formats = ", ".join(FORMATS)
    parser.add_argument(
        "-o", "--output", choices=tuple(FORMATS), default="table", metavar="FORMAT", help=f"one of {formats}"
    )
    parser.add_argument("--fail-on-partial", action="store_true", help="exit with 5 if nodes of a site do not answer")


def run(call: Call) -> int:
    """List."""
    options, output = call.options, call.options.output
    if options.mask == "":
        raise UsageError("--mask: names no field", remedy="write --mask=id,code")
    mask, flat = mask_for(output, options.mask)
    query = Query(filter=asked_filter(call), order=options.order, mask=mask, limit=options.limit, flat=flat)
    pages = call.api.pages(query)
    if output not in ("table", "wide"):
        covered = least(write(pages, output, call.terminal))
    else:
        gathered = list(pages)
        rows = list(chain.from_iterable(page.rows for page in gathered))
        zone = call.profile.zone
        plain = columns_for(wide=output == "wide", now=gathered[-1].at, zone=zone)
        draw(rows, of_fields(rows[0], zone=zone) if options.mask and rows else plain, call.terminal)
        covered = least(page.coverage for page in gathered)
        if not rows:
            call.terminal.say("nothing runs" + (" that meets all conditions" if query.filter else ""))
    return judge(covered, call.terminal, fail=options.fail_on_partial)


def asked_filter(call: Call) -> str | None:
    """Return the API's filter for the conditions and the `--filter` of the arguments."""
    if not call.options.where and call.options.filter is None:
        return None
    from ivrctl.where import expression  # noqa: PLC0415  # it imports the core

    return expression(list(call.options.where), call.options.filter, zone=call.profile.zone)


def judge(covered: Coverage, terminal: Terminal, *, fail: bool) -> int:
    """Name on stderr what the answer does not cover; raise `PartialError` if that is to fail."""
    gaps = covered.gaps()
    if not gaps:
        return EXIT_OK
    detail = f"not everything is in this answer: {'; '.join(gaps)}"
    if fail:
        raise PartialError(detail, remedy="what runs there may still run")
    terminal.say(f"ivrctl: {detail}", colour="yellow")
    return EXIT_OK
