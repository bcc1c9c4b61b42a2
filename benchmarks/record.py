"""Keeps figures that docs/scale.md computes with: reads a benchmark's output, passes it on, writes units.json.

    python -m benchmarks.units | python -m benchmarks.record bench-units

Of the last line's JSON object it keeps those members that units.json already names, each with the benchmark, the day
and the kind of machine it was taken on. `delivery/units.py` reads the file. Run by `make bench-… RECORD=1`.
"""

import json
import os
import platform
import sys
from datetime import UTC, datetime
from typing import Any, Final

from benchmarks import report
from benchmarks.function import ROOT

UNITS: Final = ROOT / "benchmarks" / "units.json"


def machine() -> str:
    """Return the kind of machine, and nothing that names this one."""
    return f"{os.cpu_count()} processors, {platform.machine()}, CPython {platform.python_version()}"


def recorded(known: dict[str, Any], told: dict[str, Any], *, by: str, day: str, on: str) -> dict[str, Any]:
    """Return the figures with those that were told in place of the old ones."""
    new = {name: {"value": told[name], "by": by, "day": day, "on": on} for name in known if name in told}
    return known | new


def main() -> None:
    """Copy standard input to the output; keep the figures of its last line."""
    last = ""
    for line in sys.stdin:
        report.say(line.rstrip("\n"))
        last = line
    if not last.startswith("{"):
        raise SystemExit("record: the benchmark told no figures; nothing is kept")
    day = datetime.now(UTC).date().isoformat()
    figures = json.loads(UNITS.read_text(encoding="utf-8"))
    figures = recorded(figures, json.loads(last), by=sys.argv[1], day=day, on=machine())
    UNITS.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
