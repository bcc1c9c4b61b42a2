"""`python -m chaos` (`make chaos`): one run from a seed; the last line is the verdict as one JSON object.

Owns arguments, what is printed, and the exit code: 0 when nothing is wrong, 1 otherwise; a run that the time limit cut
short is wrong, unless the limit was asked for. See docs/chaos.md.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path
from random import SystemRandom
from typing import Final

from chaos.run import Options, run, tell
from chaos.sabotage import PROFILES, Sabotage
from chaos.schedule import SCENARIOS, Profile
from chaos.verdict import FATES, UNTOLD, VIOLATIONS, findings, judge

SHOWN: Final = 5
"""How many examples of each violation are printed."""

MINUTES: Final = 12.0
"""The time limit unless one is given: more than twice what the default of stops takes on two cores."""


def main() -> int:
    """Run and judge."""
    given = _parser().parse_args()
    options = _options(given)
    tell(f"seed {options.seed}, {options.stops} stops, at most {options.minutes:g} minutes; {options.folder}")
    history, unforeseen = asyncio.run(run(options))
    verdict = judge(history)
    wrong = verdict.wrong() + unforeseen
    if short := cut_short(verdict.requests, options, limit_given=given.minutes is not None):
        wrong.append(short)
    found = findings(history)
    for name in VIOLATIONS:
        for what in found[name][:SHOWN]:
            tell(f"{name}: {what}")
    for line in wrong:
        tell(f"WRONG: {line}")
    tell(f"fates: { {name: len(found[name]) for name in FATES} }; replay: make chaos SEED={options.seed}")
    tell(f"of node_died, {len(found[UNTOLD])} had ended by themselves before, untold: {found[UNTOLD][:SHOWN]}")
    print(json.dumps(verdict.as_json()))  # noqa: T201  # the program's result
    return 1 if wrong else 0


def cut_short(requests: int, options: Options, *, limit_given: bool) -> str | None:
    """Say that fewer stops were asked for than promised; None if all were, or if the time limit was asked for."""
    if limit_given or requests >= options.stops:
        return None
    return (
        f"only {requests} of {options.stops} stops were asked for within {options.minutes:g} minutes; "
        "name a limit of your own (MINUTES=…) to allow for that, or give a slow machine more"
    )


def _options(given: argparse.Namespace) -> Options:
    seed = given.seed if given.seed is not None else SystemRandom().randrange(1_000_000)
    sabotage = Sabotage(given.sabotage) if given.sabotage else None
    return Options(
        seed=seed,
        stops=given.stops,
        minutes=MINUTES if given.minutes is None else given.minutes,
        folder=(given.folder or Path(".local") / f"chaos-{seed}").absolute(),
        profile=PROFILES[sabotage] if sabotage else SCENARIOS.get(given.scenario, Profile()),
        sabotage=sabotage,
        asterisk=given.asterisk,
        freeswitch=given.freeswitch,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m chaos", description="Break the embedded stack and judge it.")
    add = parser.add_argument
    add("--seed", type=int, help="replay this schedule (default: a new one, which is told)")
    add("--stops", type=int, default=2000, help="how many stops are asked for (default: %(default)s)")
    add("--minutes", type=float, help=f"no stop is begun after this; fewer are then no failure (default: {MINUTES:g})")
    add("--folder", type=Path, help="logs, records and history.json (default: .local/chaos-<seed>)")
    add("--scenario", choices=sorted(SCENARIOS), help="break nothing but this (default: everything)")
    add("--sabotage", choices=[one.value for one in Sabotage], help="put this defect in, to see it found")
    add("--asterisk", action="store_true", help="one node is an Asterisk with its bridge (see docs/chaos.md)")
    add("--freeswitch", action="store_true", help="one node is a FreeSWITCH with its bridge")
    return parser


if __name__ == "__main__":
    sys.exit(main())
