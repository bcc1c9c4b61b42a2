"""`make bench-stop`: the stop path and the agent's loops on the embedded stack, against the bare AWS SDK.

Starts the stack with one site of one node, ends that node's engine and takes its place: an engine that runs no scripts,
but notes when it is told. Everything else is what `make run` starts. Prints a line per measurement and, last, one JSON
object (docs/agent.md explains its members). Under 60 s; means little on a machine that does other work.
"""

import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.stop.bench import FEW, FLEET, taking_the_engines_place, until
from benchmarks.stop.endurance import LeaseWatch, steady
from benchmarks.stop.latency import calls_per_stop, stops, waited_stops
from benchmarks.stop.rates import ROUNDS, ROWS, drained, registered
from stack import Stack, running_stack

MANY: Final = ROUNDS * ROWS
"""Runtimes on the agent in the end, which must make no difference to its lease."""


def say(**found: Any) -> dict[str, Any]:
    print("  ".join(f"{name}={value}" for name, value in found.items()), flush=True)  # its output
    return found


async def measure(stack: Stack) -> dict[str, Any]:
    """Take all measurements in turn."""
    async with taking_the_engines_place(stack) as bench:
        watch = LeaseWatch(bench)
        watching = asyncio.create_task(watch.run())

        async def adopted() -> bool:
            return bool(await bench.metric("snapshots_total") >= 2 and await bench.metric("lease_seconds") > 0)

        await until(adopted)
        found = say(**await stops(bench))
        found |= say(**await waited_stops(bench))
        found |= say(aws_calls_per_stop=await asyncio.to_thread(calls_per_stop, bench))
        few = watch.per_minute(0)  # before the agent is halted for a while, which delays a renewal
        found |= say(**await drained(bench))
        found |= say(**await registered(bench))
        first = len(watch.renewals)
        found |= say(**await steady(bench))
        found["lease_writes_per_node_minute"] = {str(FEW): few, str(MANY): watch.per_minute(first)}
        watching.cancel()
        found["drain_vs_bare"] = round(found["drain_per_s"] / found["bare_drain_per_s"], 2)
        found["register_vs_bare"] = round(found["register_per_s"] / found["bare_register_per_s"], 2)
        return found


def main() -> None:
    """Run the benchmark."""
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "fleet.toml"
        config.write_text(FLEET)
        with running_stack(Path(folder), config=config, permissions=False) as stack:
            found = asyncio.run(measure(stack))
    found["took_s"] = round(time.monotonic() - begun_s, 1)
    print(json.dumps(found))  # its output


if __name__ == "__main__":
    main()
