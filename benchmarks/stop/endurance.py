"""The agent with many runtimes while calls come and go: its lag, memory, CPU and lease."""

import asyncio
import itertools
import os
import re
import statistics
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.stop.bench import SITE, Bench

STEADY_S: Final = 18.0
CHURN: Final = 40
"""Starts per second, and as many ends, while the agent holds 10,000: calls of four minutes each."""


async def steady(bench: Bench) -> dict[str, Any]:
    """Let calls come and go for a while: lag of the table behind the engine, memory and CPU of the agent."""
    engine = bench.engine
    before, cpu_s, begun_s = dict(await bench.metrics("flush_lag")), agent_cpu_s(bench), time.monotonic()
    while time.monotonic() < begun_s + STEADY_S:
        requests = [engine.end(next(iter(engine.runtimes))) for _ in range(2)] + [engine.start() for _ in range(2)]
        await bench.events.send(*requests)
        await asyncio.sleep(2 / CHURN)
    took_s = time.monotonic() - begun_s
    cpu_percent = 100 * (agent_cpu_s(bench) - cpu_s) / took_s
    await asyncio.sleep(0.5)
    lags = {name: value - before.get(name, 0) for name, value in await bench.metrics("flush_lag")}
    return {
        "runtimes": len(engine.runtimes),
        "flush_lag_p99_ms": p99_ms(lags),
        "agent_rss_mib": agent_rss_mib(bench),
        "agent_cpu_percent": round(cpu_percent, 1),
    }


def agent_cpu_s(bench: Bench) -> float:
    fields = Path(f"/proc/{bench.node['agent_pid']}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def agent_rss_mib(bench: Bench) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{bench.node['agent_pid']}/status").read_text())
    assert found is not None
    return round(int(found[1]) / 1024)


def p99_ms(lags: dict[str, float]) -> float:
    """Return the 99th percentile of a histogram: within its bucket, as Prometheus reckons it."""
    buckets = [(float(m[1]), value) for name, value in lags.items() if (m := re.search(r'le="([^"]+)"', name))]
    wanted, low, below = 0.99 * buckets[-1][1], 0.0, 0.0
    for high, count in buckets:
        if count >= wanted:
            return round(1000 * (low + (high - low) * (wanted - below) / (count - below)), 1)
        low, below = high, count
    return float("inf")


class LeaseWatch:
    """Notes every renewal of the node's lease, from the table: what the agent says of itself is not asked."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.renewals: list[float] = []

    async def run(self) -> None:
        """Look until cancelled."""
        key = {"site": {"S": SITE}, "node": {"S": self._bench.node["node"]}}
        while True:
            read = self._bench.dynamodb.get_item
            item = (await asyncio.to_thread(read, TableName=self._bench.nodes_table, Key=key)).get("Item")
            if item and (not self.renewals or float(item["lease_until"]["N"]) > self.renewals[-1]):
                self.renewals.append(float(item["lease_until"]["N"]))
            await asyncio.sleep(0.5)

    def per_minute(self, first: int) -> float:
        """Return the renewals per minute from the one with that number on."""
        gaps = [after - before for before, after in itertools.pairwise(self.renewals[first:])]
        return round(60 / statistics.mean(gaps), 1) if gaps else float("nan")
