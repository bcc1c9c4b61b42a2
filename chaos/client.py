"""The client: lists and stops over real HTTP through the gateway, as fast as it can.

Owns what a careful program does: every stop has an Idempotency-Key, every unclear answer is followed by a repeat with
the same key, and a 404 makes it look at a fresh list; now and then it is impatient, repeats what was answered, or asks
for a deliberate second stop with a new key. Half of its stops wait for their effect. Writes down each stop with the
instant of its first 204 and what its answers said of the effect, and each list.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import aiohttp

from chaos.history import Claim, Sample, Stop
from chaos.schedule import Manner, Profile, manner, wait_s

RESOURCE: Final = "/rest/v1/uc/ivrscript_runtimes"
WORKERS: Final = 8
SAMPLE_S: Final = 0.7
"""How often each domain is listed."""

GIVE_UP_S: Final = 75.0
"""How long one stop is repeated: longer than SQS is ever away."""

WITH_BRANCH: Final = frozenset({"survey", "endless", "nested", "goodbye"})
"""Scripts that can be in an External Stop branch: only those get a deliberate second stop."""

BREAK_AT: Final = 2
"""How many stops may be without a clear answer when another is begun: a careful program leaves an ill service alone."""

KEPT: Final = 5
"""One in so many stops is kept for what is broken later in a short run."""

UNCLEAR_STATUS: Final = 500
NOT_FOUND: Final = 404


@dataclass(slots=True, kw_only=True)
class Client:
    """All requests of a run. `tokens` maps domains to access tokens; `stops` are asked for, none after `until`.

    The last of them are kept until `kept_until`.
    """

    url: str
    tokens: Mapping[str, str]
    seed: int
    profile: Profile
    stops: int
    until: float
    kept_until: float = 0.0
    http: aiohttp.ClientSession
    log: list[Stop] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    attempts: int = 0
    _unclear: set[str] = field(default_factory=set)
    _candidates: dict[str, tuple[str, str]] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)

    async def list_for_ever(self) -> None:
        """List every domain again and again, until cancelled."""
        while True:
            await asyncio.gather(*(self._sample(domain) for domain in self.tokens), asyncio.sleep(SAMPLE_S))

    async def stop_all(self) -> None:
        """Ask for all stops; returns when the last was answered."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(WORKERS):
                tasks.create_task(self._work())

    async def _work(self) -> None:
        while len(self.log) < self.stops and time.time() < self.until:
            found = self._choose() if self._may_begin() else None
            if found is None:
                await asyncio.sleep(0.05)
                continue
            runtime, domain, code = found
            await self._stop(runtime, domain, manner(self.seed, len(self.log), self.profile), code in WITH_BRANCH)

    def _may_begin(self) -> bool:
        if len(self._unclear) >= BREAK_AT:
            return False
        return len(self.log) < self.stops - self.stops // KEPT or time.time() >= self.kept_until

    def _choose(self) -> tuple[str, str, str] | None:
        free = [runtime for runtime in self._candidates if runtime not in self._taken]
        if not free:
            return None
        chance = Random(f"{self.seed}/choice/{len(self.log)}")
        runtime = chance.choice(free)
        self._taken.add(runtime)
        return runtime, *self._candidates[runtime]

    async def _stop(self, runtime: str, domain: str, how: Manner, branch: bool) -> None:
        async with asyncio.TaskGroup() as tasks:
            first = self._new(runtime)
            tasks.create_task(self._ask(first, domain, patience_s=how.patience_s))
            if how.echo_s is not None:
                tasks.create_task(self._echo(first, domain, how.echo_s))
            if how.second_s is not None and branch:
                tasks.create_task(self._second(runtime, domain, how.second_s))

    async def _second(self, runtime: str, domain: str, after_s: float) -> None:
        await asyncio.sleep(after_s)
        if len(self.log) < self.stops:
            await self._ask(self._new(runtime), domain, patience_s=12.0)

    async def _echo(self, stop: Stop, domain: str, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await self._send(stop, domain, patience_s=12.0)

    def _new(self, runtime: str) -> Stop:
        number = len(self.log)
        stop = Stop(
            stop_id=f"chaos-{self.seed}-{number}",
            runtime=runtime,
            sent_at=time.time(),
            wait_s=wait_s(self.seed, number, self.profile),
        )
        self.log.append(stop)
        return stop

    async def _ask(self, stop: Stop, domain: str, *, patience_s: float) -> None:
        """Repeat with the same key until the answer is clear."""
        until = time.time() + GIVE_UP_S
        while time.time() < until:
            status = await self._send(stop, domain, patience_s=patience_s)
            if status is not None and status < UNCLEAR_STATUS:
                stop.answer = str(status)
                if status == NOT_FOUND:  # a node has come back, and its dead runtimes may be of any domain
                    self._candidates.clear()
                break
            self._unclear.add(stop.stop_id)
            patience_s = 12.0
            await asyncio.sleep(0.3 if status is None else 1.0)
        else:
            stop.answer = "unclear"
        self._unclear.discard(stop.stop_id)

    def _forget(self, domain: str) -> None:
        """Choose none of a domain before its next list: what it listed last is out of date."""
        self._candidates = {runtime: found for runtime, found in self._candidates.items() if found[0] != domain}

    async def _send(self, stop: Stop, domain: str, *, patience_s: float) -> int | None:
        """Send one DELETE; return its status, None when there was none."""
        stop.attempts += 1
        self.attempts += 1
        headers = {"Authorization": f"Bearer {self.tokens[domain]}", "Idempotency-Key": stop.stop_id}
        if stop.wait_s is not None:
            headers["Prefer"] = f"wait={stop.wait_s}"
        try:
            async with self.http.delete(
                f"{self.url}{RESOURCE}/{stop.runtime}", headers=headers, timeout=aiohttp.ClientTimeout(total=patience_s)
            ) as answer:
                status, outcome = answer.status, answer.headers.get("Stop-Outcome")
        except (aiohttp.ClientError, TimeoutError):
            return None
        if status == 204 and stop.accepted_at is None:
            stop.accepted_at = time.time()
        if outcome is not None:
            stop.claims.append(Claim(outcome, time.time()))
        return status

    async def _sample(self, domain: str) -> None:
        asked_at = time.time()
        rows = await self._list(domain)
        if rows is None:
            return
        answered_at = time.time()
        self.samples.append(
            Sample(domain=domain, asked_at=asked_at, answered_at=answered_at, ids=frozenset(row["id"] for row in rows))
        )
        fresh = {row["id"]: (domain, row["code"]) for row in rows}
        self._forget(domain)
        self._candidates |= fresh

    async def _list(self, domain: str) -> list[dict[str, Any]] | None:
        headers = {"Authorization": f"Bearer {self.tokens[domain]}"}
        try:
            async with self.http.get(f"{self.url}{RESOURCE}?mask=id,code", headers=headers) as answer:
                return await answer.json() if answer.status == 200 else None
        except (aiohttp.ClientError, TimeoutError):
            return None
