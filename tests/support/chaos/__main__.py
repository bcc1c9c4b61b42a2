"""`python -m chaos` (`make chaos`): one run from a seed; the last line is the verdict as one JSON object.

Owns arguments, what is printed, and the exit code: 0 when nothing is wrong, 1 otherwise. See docs/chaos.md.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path
from random import SystemRandom

from chaos.run import Options, run, tell
from chaos.sabotage import PROFILES, Sabotage
from chaos.schedule import Profile
from chaos.verdict import FATES, VIOLATIONS, findings, judge

SHOWN = 5
"""How many examples of each violation are printed."""


def main() -> int:
    """Run and judge."""
    options = _options(_parser().parse_args())
    tell(f"seed {options.seed}, {options.stops} stops, at most {options.minutes:g} minutes; {options.folder}")
    history, unforeseen = asyncio.run(run(options))
    verdict = judge(history)
    wrong = verdict.wrong() + unforeseen
    found = findings(history)
    for name in VIOLATIONS:
        for what in found[name][:SHOWN]:
            tell(f"{name}: {what}")
    for line in wrong:
        tell(f"WRONG: {line}")
    tell(f"fates: { {name: len(found[name]) for name in FATES} }; replay: make chaos SEED={options.seed}")
    print(json.dumps(verdict.as_json()))  # noqa: T201  # the program's result
    return 1 if wrong else 0


def _options(given: argparse.Namespace) -> Options:
    seed = given.seed if given.seed is not None else SystemRandom().randrange(1_000_000)
    sabotage = Sabotage(given.sabotage) if given.sabotage else None
    return Options(
        seed=seed,
        stops=given.stops,
        minutes=given.minutes,
        folder=(given.folder or Path(".local") / f"chaos-{seed}").absolute(),
        profile=PROFILES[sabotage] if sabotage else Profile(),
        sabotage=sabotage,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m chaos", description="Break the embedded stack and judge it.")
    add = parser.add_argument
    add("--seed", type=int, help="replay this schedule (default: a new one, which is told)")
    add("--stops", type=int, default=2000, help="how many stops are asked for (default: %(default)s)")
    add("--minutes", type=float, default=6.0, help="no stop is begun after this (default: %(default)s)")
    add("--folder", type=Path, help="logs, records and history.json (default: .local/chaos-<seed>)")
    add("--sabotage", choices=[one.value for one in Sabotage], help="put this defect in, to see it found")
    return parser


if __name__ == "__main__":
    sys.exit(main())
