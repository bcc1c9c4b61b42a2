"""`ivrctl stop`: shows what would be stopped, asks, stops exactly that, and proves it."""

import argparse
import os
import secrets
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType
from typing import Any, Final

from ivr_runtimes.identifiers import fold_id
from ivrctl.api import Page, Query
from ivrctl.arguments import add_filter, duration, whole
from ivrctl.call import Call
from ivrctl.commands.list import judge
from ivrctl.errors import EXIT_INTERRUPTED, EXIT_OK, UsageError
from ivrctl.show import JSON_INDENT, as_json, columns_for, draw
from ivrctl.stopping import Bar, Course, Crew, Journal, Result, Summary, Target, Wanted, in_branch
from ivrctl.terminal import Terminal
from ivrctl.where import expression

USAGE = "[options] (ID ... | --where WHERE ... | --filter JSON | --resume FILE)"

DESCRIPTION = "Stop running scripts: show what would be stopped, ask, stop that and nothing else, and wait for proof."

EXAMPLES = """\
What is shown is what is stopped: the ids of the preview, whatever the conditions would find later. A script with an
External Stop branch says goodbye first; without --completely or --grace that is as far as a stop goes. What has
already ended counts as done. Ctrl-C ends the run after the requests under way, tells the summary so far, and how to
go on. Each stop carries a key of its own, so that a repeat does not stop anything twice.

examples:
  ivrctl stop 244f84aa-0624-e639-8061-a80000000006
  ivrctl stop --where site=SITE1 code=player 'age>10m'           shows them, asks, waits for proof
  ivrctl stop --where code=player --dry-run                      shows them
  ivrctl stop --where code=player --expect 12 --yes              only if there are twelve; for scripts
  ivrctl stop --where 'age>2h' --grace 20s --reason 'change 4711'
  ivrctl list -o ids 'age>2h' | ivrctl stop --yes -
"""

MASK: Final = "id,site,node,code,name,starttime,ext.state,ext.stoptype"

SHOWN_ROWS: Final = 50
"""How many rows the question shows; how many there are it says anyway, and --dry-run shows all of them."""

DEFAULT_WAIT_S: Final = 30.0
MAX_PARALLEL: Final = 32
MAX_REASON: Final = 256
MAX_COUNT: Final = 1_000_000


def more() -> str:
    """Return the examples and the outcomes."""
    from ivrctl.stopping import OUTCOMES  # noqa: PLC0415  # for help alone

    wide = max(map(len, OUTCOMES))
    told = [f"  {name:<{wide}}  {'done' if one.done else 'not done'}: {one.meaning}" for name, one in OUTCOMES.items()]
    return "\n".join([EXAMPLES, "outcomes, one for each id:", *told, ""])


def add(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("ids", nargs="*", metavar="ID", help="what to stop; - reads ids from stdin, one a line")
    parser.add_argument(
        "--where", nargs="+", metavar="WHERE", help="stop what meets all these conditions, as in `ivrctl list`"
    )
    add_filter(parser)
    parser.add_argument("--resume", metavar="FILE", help="go on with an interrupted run, by its journal")
    parser.add_argument("--dry-run", action="store_true", help="show what would be stopped, and stop nothing")
    parser.add_argument(
        "--expect", type=whole(0, MAX_COUNT), metavar="N", help="stop nothing unless exactly N would be stopped"
    )
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask; needed where there is no terminal")
    parser.add_argument("--reason", metavar="TEXT", help=f"why, for the logs: 1 to {MAX_REASON} characters")
    parser.add_argument(
        "--wait",
        nargs="?",
        type=duration,
        const=DEFAULT_WAIT_S,
        default=DEFAULT_WAIT_S,
        metavar="=30s",
        help="how long to wait for proof of each (30s)",
    )
    parser.add_argument("--no-wait", action="store_true", help="be content when the API has taken the stops")
    parser.add_argument(
        "--completely", action="store_true", help="end External Stop branches, too, as soon as they run"
    )
    parser.add_argument(
        "--grace", type=duration, metavar="20s", help="end External Stop branches that still run after this"
    )
    parser.add_argument(
        "--retry-for",
        type=duration,
        default=60.0,
        metavar="60s",
        help="how long to repeat a stop while the API refuses for now",
    )
    parser.add_argument(
        "--parallel",
        type=whole(1, MAX_PARALLEL),
        default=8,
        metavar="N",
        help=f"stops at a time, 1 to {MAX_PARALLEL} (8)",
    )
    parser.add_argument("--journal", metavar="FILE", help="where the journal is kept (a new file in the state folder)")
    parser.add_argument(
        "-o",
        "--output",
        choices=("table", "json", "jsonl"),
        default="table",
        metavar="FORMAT",
        help="table, json (one object at the end) or jsonl (each outcome as it comes)",
    )
    parser.add_argument(
        "--fail-on-partial", action="store_true", help="exit with 5, and stop nothing, if nodes of a site do not answer"
    )


def run(call: Call) -> int:
    """Stop."""
    options = call.options
    _check(options)
    if options.resume:
        journal = Journal.resume(options.resume, url=call.profile.url)
        call.terminal.say(f"going on: {len(journal.left())} of {len(journal.targets)} are left")
        return _carried_out(call, journal, keep=True)
    page, ids = _preview(call)
    targets = _targets(page.rows, ids)
    if options.expect is not None and len(targets) != options.expect:
        raise UsageError(f"{len(targets)} would be stopped, not {options.expect}: nothing was stopped")
    if options.dry_run:
        return _shown(call, page)
    if not targets:
        call.terminal.say("nothing to stop")
        return EXIT_OK
    _confirm(call, page, targets)
    wanted = _wanted(options)
    path = options.journal or _journal_path(call)
    return _carried_out(
        call, Journal.begin(path, url=call.profile.url, wanted=wanted, targets=targets), keep=bool(options.journal)
    )


def _check(options: argparse.Namespace) -> None:
    given = [bool(options.ids), options.where is not None or options.filter is not None, options.resume is not None]
    if sum(given) != 1:
        raise UsageError("name what to stop: ids, or --where and --filter, or --resume", remedy="one of the three")
    if options.completely and options.grace is not None:
        raise UsageError("--completely and --grace exclude each other", remedy="--completely is --grace 0s")
    if options.no_wait and (options.completely or options.grace is not None):
        raise UsageError(
            "--no-wait does not go with --completely or --grace", remedy="they have to look what became of the stop"
        )
    if not 0 < options.wait <= 3600:
        raise UsageError("--wait: is not within 1s to 1h", remedy="to wait for nothing: --no-wait")
    if options.reason is not None and not (0 < len(options.reason) <= MAX_REASON and options.reason.isprintable()):
        raise UsageError(f"--reason: is not 1 to {MAX_REASON} printable characters")


def _preview(call: Call) -> tuple[Page, list[str]]:
    """Read what would be stopped; also return the ids that were named, if any were."""
    options = call.options
    if options.ids:
        ids = _named(options.ids, call.terminal)
        page = call.api.by_ids(ids, mask=MASK)
    else:
        ids = []
        asked = expression(list(options.where or ()), options.filter, zone=call.profile.zone)
        page = call.api.rows(Query(filter=asked, mask=MASK, flat=True))
    judge(page.coverage, call.terminal, fail=options.fail_on_partial)
    return page, ids


def _named(given: Sequence[str], terminal: Terminal) -> list[str]:
    words = [word for each in given for word in (terminal.given.read().split() if each == "-" else [each])]
    ids = [fold_id(word) for word in words]
    wrong = [word for word, folded in zip(words, ids, strict=True) if folded is None]
    if wrong:
        raise UsageError(
            f"{wrong[0]!r} is no id", remedy="ids are as `ivrctl list` shows them; conditions stand behind --where"
        )
    return list(dict.fromkeys(each for each in ids if each is not None))


def _targets(rows: Sequence[dict[str, Any]], ids: Sequence[str]) -> list[Target]:
    """Return what was shown, each with a key of its own; ids that are not listed are asked for, too."""
    run_id, listed = secrets.token_hex(12), {str(row["id"]): row for row in rows}
    found: list[Target] = []
    for number, runtime_id in enumerate(dict.fromkeys([*listed, *ids])):
        row = listed.get(runtime_id, {})
        found.append(Target(runtime_id, f"ivrctl-{run_id}-{number}", row.get("site"), in_branch(row)))
    return found


def _wanted(options: argparse.Namespace) -> Wanted:
    return Wanted(
        wait_s=0.0 if options.no_wait else options.wait,
        grace_s=0.0 if options.completely else options.grace,
        patience_s=options.retry_for,
        reason=options.reason,
    )


def _shown(call: Call, page: Page) -> int:
    """Show the whole preview as data."""
    if call.options.output == "table":
        draw(page.rows, columns_for(wide=False, now=page.at, zone=call.profile.zone), call.terminal)
    elif call.options.output == "json":
        call.terminal.print(as_json({"total": len(page.rows), "would_stop": page.rows}, indent=JSON_INDENT))
    else:
        for row in page.rows:
            call.terminal.print(as_json(row))
    call.terminal.say(f"{len(page.rows)} would be stopped; nothing was")
    return EXIT_OK


def _confirm(call: Call, page: Page, targets: Sequence[Target]) -> None:
    """Show what would be stopped and ask; raises `UsageError` unless somebody says yes."""
    terminal, unlisted = call.terminal, len(targets) - len(page.rows)
    if call.options.yes:
        return
    if not terminal.can_ask():
        raise UsageError(
            f"{len(targets)} would be stopped, but nobody is there to ask", remedy="say --yes, or --dry-run to see them"
        )
    beside = Terminal(out=terminal.err, err=terminal.err)
    draw(page.rows[:SHOWN_ROWS], columns_for(wide=False, now=page.at, zone=call.profile.zone), beside)
    if len(page.rows) > SHOWN_ROWS:
        terminal.say(f"… and {len(page.rows) - SHOWN_ROWS} more; --dry-run shows all of them")
    if unlisted:
        terminal.say(f"{unlisted} of the ids are not listed: they have ended, or their site does not answer")
    if terminal.ask(f"Stop {len(targets)}? [y/N] ").lower() not in ("y", "yes"):
        raise UsageError("nothing was stopped")


def _journal_path(call: Call) -> str:
    name = f"stop-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}.jsonl"
    return os.path.join(call.profile.state, "journals", name)


def _carried_out(call: Call, journal: Journal, *, keep: bool) -> int:
    """Carry the journal's stops out; tell the summary; return the exit code."""
    left = journal.left()
    courses = [Course(target, journal.wanted, time.monotonic()) for target in left]
    crew = Crew(call.api, courses, parallel=call.options.parallel, reason=journal.wanted.reason)
    bar = Bar(call.terminal, len(journal.targets), done=len(journal.targets) - len(left))
    with _interruptible(crew) as interrupted:
        crew.start()
        while crew.busy:
            result = crew.result()
            if result is None:
                bar.tick()
                continue
            journal.record(result)
            bar.add(result)
            _as_it_comes(call, result)
    bar.close()
    summary = Summary(journal.targets, journal.results)
    journal.close(keep=keep or bool(summary.failed))
    summary.write(call.options.output, call.terminal, journal=journal.path if summary.failed else None)
    return EXIT_INTERRUPTED if interrupted and summary.failed else summary.exit_code


def _as_it_comes(call: Call, result: Result) -> None:
    if call.options.output == "jsonl":
        call.terminal.print(as_json(result._asdict()))


@contextmanager
def _interruptible(crew: Crew) -> Iterator[list[int]]:
    """Let the first Ctrl-C end the run in order; the second ends the program. Yields what was received."""
    received: list[int] = []

    def interrupt(number: int, _: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)
        crew.interrupt()
        print("\ninterrupted: waiting for the requests under way", file=sys.stderr)  # noqa: T201  # within a handler

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, before)
