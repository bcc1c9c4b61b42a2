"""One run: the stack with the proxy in between, havoc and client at work, then peace, then the verdict.

The composition root of the harness: makes the parts, and owns the order of events and what is printed on the way.
`__main__` calls it.
"""

import asyncio
import dataclasses
import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from chaos import doors, embed, recorder, sabotage
from chaos import engine as engine_program
from chaos.agent import CLOCK
from chaos.client import Client
from chaos.havoc import Havoc
from chaos.history import History, Trouble
from chaos.played import PlayedEngine
from chaos.proxy import Proxy
from chaos.sabotage import SHOWS, Sabotage
from chaos.schedule import FUNCTIONS, Profile, Span, draw
from chaos.verdict import false_outcome, findings, wrongs
from ivr_local import emulator, fleet, server, state
from ivr_local.emulator import Endpoint
from ivr_local.nodes import NodeSpec, Part, Program
from ivr_local.stack import LocalStack, Seams

READY_WITHIN_S: Final = 120.0
EMPTY_WITHIN_S: Final = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is asked of a run."""

    seed: int
    stops: int
    minutes: float
    folder: Path
    profile: Profile
    sabotage: Sabotage | None = None
    asterisk: bool = False
    freeswitch: bool = False


def tell(line: str) -> None:
    """Say how it goes."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201  # for the person at the terminal


class Run:
    """The parts of one run. `run` makes one."""

    def __init__(self, options: Options, opened: state.StateDir, http: aiohttp.ClientSession) -> None:
        self.options = options
        self.fleet = fleet.load(embed.FLEET)
        self.sites = {node: site.code for site in self.fleet.sites for node in site.nodes}
        self.played = {engine.node: engine for engine in self._played()}
        self.schedule = draw(
            options.seed,
            duration_s=options.minutes * 60,
            nodes=tuple(self.sites),
            swapping=embed.SWAPPING,
            profile=options.profile,
            played={node: engine.upsettings for node, engine in self.played.items()},
        )
        self.http = http
        inside = 2 * len(embed.SWAPPING)
        gateway, upstream, *ports = emulator.free_ports(3 + len(self.sites) + inside)
        self.emulator = Endpoint(upstream)
        links = dict(zip((FUNCTIONS, *self.sites), map(Endpoint, ports[:-inside]), strict=True))
        self.proxy = Proxy(upstream=self.emulator, schedule=self.schedule, links=links)
        self.unforeseen: list[str] = []
        self.doors = doors.of(embed.SWAPPING, ports[-inside:])
        self._lives = dict.fromkeys(self.sites, 0)
        seams = Seams(
            emulator=self.emulator,
            functions=links[FUNCTIONS],
            program=self._program,
            scripts=embed.SCRIPTS,
        )
        plan = embed.plan(self.fleet, port=gateway, seams=seams)
        self.stack = LocalStack(plan, state=opened, bound=server.listen(gateway), tell=self._heard)
        self.began_at = self.peace_at = 0.0

    async def through(self) -> History:
        """Run everything to its end; return the history."""
        await self.proxy.start()
        for engine in self.played.values():
            await engine.start()
        try:
            async with asyncio.timeout(READY_WITHIN_S):
                await self.stack.start()
            for engine in self.played.values():
                engine.open()
            return await self._havoc()
        finally:
            await self.stack.stop()
            for engine in self.played.values():
                await engine.stop()
            await self.proxy.close()

    async def _havoc(self) -> History:
        nodes = {name: node for name in self.sites if (node := self.stack.node(name)) is not None}
        havoc = Havoc(nodes=nodes, doors=self.doors, schedule=self.schedule, http=self.http)
        client = await self._client()
        listing = asyncio.create_task(client.list_for_ever())
        self._begin()
        played = [engine.rage(self.schedule.upsets[engine.node]) for engine in self.played.values()]
        raging = [asyncio.create_task(one) for one in (havoc.rage(), *played)]
        stopping = asyncio.create_task(client.stop_all())
        while not stopping.done() and not self._proven(havoc, client):
            await asyncio.wait({stopping}, timeout=1.0 if self.options.sabotage else 15.0)
            accepted = sum(stop.accepted_at is not None for stop in client.log)
            tell(f"{time.time() - self.began_at:5.0f} s: {len(client.log)} stops, {accepted} accepted, "
                 f"{havoc.kills} kills, {self.proxy.faults.total()} faults")  # fmt: skip
        if proven := not stopping.done():
            stopping.cancel()
        with suppress(asyncio.CancelledError):
            await stopping
            await self._past_an_outage()
        self.peace_at = time.time()
        for task in raging:
            await _cancelled(task)
        if not proven:
            await self._peace(havoc, client)
        await _cancelled(listing)
        self._sum_up(havoc, client)
        return self._history(havoc, client)

    def _proven(self, havoc: Havoc, client: Client) -> bool:
        """Tell whether a sabotaged run has done what it was to show: nothing later undoes these wrongs."""
        if self.options.sabotage is None:
            return False
        history = self._history(havoc, client)
        shown = {wrong for life in history.lives.values() for wrong in wrongs(life)}
        if any(false_outcome(stop, history) for stop in history.stops):
            shown.add("false_outcome")
        return SHOWS[self.options.sabotage] in shown

    def _found(self, havoc: Havoc, client: Client) -> bool:
        """Tell whether a sabotaged run has shown what it was to show, now that nothing is broken any more."""
        return self.options.sabotage is not None and bool(
            findings(self._history(havoc, client))[SHOWS[self.options.sabotage]]
        )

    def _begin(self) -> None:
        self.began_at = time.time()
        for node in self.sites:
            spans = [span for span in self.schedule.slow if span.place == node]
            times = [(self.began_at + span.since_s, self.began_at + span.until_s) for span in spans]
            self._slow(node).write_text(json.dumps(times))
        self.proxy.begin()

    async def _past_an_outage(self) -> None:
        """Wait until SQS has been away and is back: a short run goes through that as well."""
        over_s = min((outage.until_s for outage in self.schedule.outages), default=0.0)
        await asyncio.sleep(max(0.0, self.began_at + over_s - time.time()))

    async def _peace(self, havoc: Havoc, client: Client) -> None:
        """End all faults, then wait until the queues are empty and the lists have settled."""
        for node in self.sites:
            self._slow(node).write_text("[]")
        await asyncio.gather(self.proxy.end(), havoc.mend())
        settled_at = time.time() + self.options.profile.settle_s
        until = time.time() + EMPTY_WITHIN_S
        while waiting := await asyncio.to_thread(embed.depths, self.emulator, self.stack.queue_urls):
            if time.time() > until:
                self.unforeseen.append(f"after {EMPTY_WITHIN_S:.0f} s without faults messages are left: {waiting}")
                break
            await asyncio.sleep(0.5)
        tell(f"the queues were waited for until {time.time() - self.peace_at:.1f} s after the last fault")
        while (left_s := settled_at - time.time()) > 0 and not self._found(havoc, client):  # noqa: ASYNC110  # what happens meanwhile is in files
            await asyncio.sleep(min(1.0, left_s))

    def _sum_up(self, havoc: Havoc, client: Client) -> None:
        _, _, counted = recorder.read(self._records, self._killed(havoc))
        kinds = {str(kind): count for kind, count in self.proxy.faults.most_common()}
        tell(f"faults by kind: {kinds}, slow answers: {counted['slow']}; {client.attempts} DELETEs")
        for engine in self.played.values():
            tell(f"upsets of {engine.node}: {dict(engine.upsets)}")
        tell(f"swaps: {dict(havoc.swaps)}, refused for a wrong token: {counted['refused']}")
        if self.proxy.stalls:
            tell(f"the machine was starved, which made links slow, so many times: {dict(self.proxy.stalls)}")

    def _history(self, havoc: Havoc, client: Client) -> History:
        ended_at = time.time()
        sessions, lives, counted = recorder.read(self._records, self._killed(havoc))
        upset = [trouble for engine in self.played.values() for trouble in engine.troubles]
        return History(
            sites=self.sites,
            ended_at=ended_at,
            sessions=sessions,
            lives=lives,
            stops=client.log,
            samples=client.samples,
            troubles=[*self.proxy.troubles, *havoc.troubles, *upset, *self._scheduled()],
            hidden=self.proxy.hidden,
            receipts=self.proxy.receipts,
            kills=havoc.kills,
            faults=self.proxy.faults.total()
            + counted["slow"]
            + sum(engine.upsets.total() for engine in self.played.values()),
        )

    def _killed(self, havoc: Havoc) -> dict[int, float]:
        """Return when processes, and lives of played engines, ended."""
        killed = dict(havoc.killed)
        for engine in self.played.values():
            killed |= engine.killed
        return killed

    def _played(self) -> Iterator[PlayedEngine]:
        """Make the engines that the harness plays: they are the tests' own, so only a run with one needs them."""
        domains, seed = [domain.name for domain in self.fleet.domains], self.options.seed
        if self.options.asterisk:
            from chaos.pbx import Pbx  # noqa: PLC0415  # see above

            yield Pbx(node=embed.PBX, records=self._records, domains=domains, seed=seed)
        if self.options.freeswitch:
            from chaos.switch import FreeSwitch  # noqa: PLC0415  # see above

            yield FreeSwitch(node=embed.SWITCH, records=self._records, domains=domains, seed=seed)

    def _scheduled(self) -> Iterator[Trouble]:
        def troubles(spans: tuple[Span, ...], what: str) -> Iterator[Trouble]:
            for span in spans:
                since, until = self.began_at + span.since_s, min(self.began_at + span.until_s, self.peace_at)
                if since < until:
                    yield Trouble(span.place, what, since, until)

        yield from troubles(self.schedule.cuts, "link")
        yield from troubles(self.schedule.slow, "slow")
        yield from troubles(self.schedule.outages, "queue")

    async def _client(self) -> Client:
        url = self.stack.plan.url
        tokens = {one.domain: await embed.token(one, url=url, http=self.http) for one in self.fleet.clients}
        return Client(
            url=url,
            tokens=tokens,
            seed=self.options.seed,
            profile=self.options.profile,
            stops=self.options.stops,
            until=time.time() + self.options.minutes * 60,
            kept_until=time.time() + min((outage.since_s for outage in self.schedule.outages), default=0.0),
            http=self.http,
        )

    def _program(self, spec: NodeSpec, part: Part) -> Program:
        """Return what runs as a part: each life of an agent has the next wrong clock, some nodes meet over TCP."""
        common = {"PYTHONPATH": str(embed.HERE.parent)}
        if spec.name in self.doors:
            common |= self.doors[spec.name].environment(part)
        if self.options.sabotage:
            common[sabotage.VARIABLE] = self.options.sabotage
        if part is Part.ENGINE:
            settings = {"records": str(self._records), "seed": self.options.seed, "slow": str(self._slow(spec.name))}
            common[engine_program.SETTINGS] = json.dumps(settings)
            if engine := self.played.get(spec.name):
                own = engine.environment(listen=spec.engine_address, agent=spec.agent_address)
                return Program("chaos.bridge", common | own)
            if self.played and self.options.sabotage is Sabotage.FORGETFUL:
                del common[sabotage.VARIABLE]  # in a mixed fleet the bridges alone are forgetful
            return Program("chaos.engine", common)
        clocks = self.schedule.clocks[spec.name]
        clock_s = clocks[self._lives[spec.name] % len(clocks)]
        self._lives[spec.name] += 1
        return Program("chaos.agent", {**common, **self.proxy.links[spec.name].environment(), CLOCK: str(clock_s)})

    @property
    def _records(self) -> Path:
        return self.options.folder / "records"

    def _slow(self, node: str) -> Path:
        return self.options.folder / f"slow-{node}.json"

    def _heard(self, line: str) -> None:
        if "exit code" in line:
            self.unforeseen.append(line)
            tell(f"unforeseen: {line}")


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def run(options: Options) -> tuple[History, list[str]]:
    """Carry a run out; return its history and what went wrong besides: processes that ended, queues not empty."""
    shutil.rmtree(options.folder, ignore_errors=True)
    (options.folder / "records").mkdir(parents=True)
    timeout = aiohttp.ClientTimeout(total=40)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as http:
        with state.opened(options.folder / "stack") as opened:
            one = Run(options, opened, http)
            history = await one.through()
    (options.folder / "history.json").write_text(json.dumps(dataclasses.asdict(history), default=_plain))
    return history, one.unforeseen


def _plain(value: Any) -> Any:
    return sorted(value)
