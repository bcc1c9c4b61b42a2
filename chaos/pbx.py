"""The Asterisk of a mixed fleet: its calls, what is broken with it, and the truth about what it ran.

Owns an Asterisk of the tests' own inside the harness's process. It listens to that Asterisk's events where they are
made and writes each beginning and end down, so neither AMI nor the bridge has a say. `run` makes one.
"""

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Final

from ami import Asterisk, Dialplan, Server, Settings
from ami.calls import incoming
from ami.events import Event
from chaos.history import Trouble
from chaos.recorder import Recorder
from chaos.schedule import Upset, Upsetting
from ivr_asterisk.naming import Life, runtime_id
from ivr_local.emulator import HOST

DIALPLAN: Final = Path(__file__).parent / "extensions.conf"
BRANCHES: Final = "ivr-external-stop"
CONTEXTS: Final = frozenset({"ivr", "ivr-nested", BRANCHES})
SCRIPTS: Final = ({"context": "ivr(-nested)?"},)
CODES: Final = ("survey", "endless", "player", "stubborn", "nested", "survey")
VARIABLES: Final = ("IVR_NAME", "IVR_DOMAIN", "IVR_STOPS", "IVR_STARTED")
CALLS_PER_MINUTE: Final = 150.0

BACK_S: Final = 6.0
"""The bridge's longest pause between connections (5 s), and a moment to list all channels."""


@dataclass(slots=True, kw_only=True)
class Pbx:
    """The Asterisk of one node. `killed` maps the number of each life that is over to its instant.

    Lives are numbered from -1 downwards, where a process would have its id.
    """

    node: str
    records: Path
    domains: Sequence[str]
    seed: int
    killed: dict[int, float] = field(default_factory=dict)
    troubles: list[Trouble] = field(default_factory=list)
    upsets: Counter[str] = field(default_factory=Counter)
    _asterisk: Asterisk = field(init=False)
    _server: Server = field(init=False)
    _recorder: Recorder = field(init=False)
    _session: str = field(init=False)
    _running: set[str] = field(default_factory=set)
    _branched: set[str] = field(default_factory=set)
    _lives: int = 0
    _calls: "asyncio.Task[None] | None" = None

    def __post_init__(self) -> None:
        dialplan = Dialplan(DIALPLAN.read_text("utf-8"))
        self._asterisk = Asterisk(dialplan, Settings(system_name=self.node, channelvars=VARIABLES))
        self._server = Server(self._asterisk)

    async def start(self) -> None:
        """Listen, and let calls in."""
        self._begin()
        await self._server.listen()
        self._calls = asyncio.create_task(self._let_in())

    async def stop(self) -> None:
        """End it."""
        if self._calls:
            self._calls.cancel()
            with suppress(asyncio.CancelledError):
                await self._calls
        await self._server.deafen()
        self._server.cut()
        await self._asterisk.close()

    def environment(self) -> dict[str, str]:
        """Return the settings of its bridge."""
        return {
            "IVR_ASTERISK_AMI": f"tcp://{HOST}:{self._server.port}",
            "IVR_ASTERISK_USERNAME": "least",
            "IVR_ASTERISK_SECRET": "secret",
            "IVR_ASTERISK_SCRIPTS": json.dumps(SCRIPTS),
            "IVR_ASTERISK_NODE": self.node,
        }

    async def rage(self, upsets: Sequence[Upset]) -> None:
        """Upset it at each of these times, until cancelled."""
        began_at = time.time()
        for upset in upsets:
            await asyncio.sleep(max(0.0, began_at + upset.at_s - time.time()))
            since = time.time()
            try:
                await self._upset(upset)
            finally:
                self.upsets[upset.what] += 1
                await self._calm_down()
                what = "process" if upset.what in {Upsetting.RESTART, Upsetting.GRACEFUL} else "slow"
                self.troubles.append(Trouble(self.node, what, since, time.time() + BACK_S))

    async def _upset(self, upset: Upset) -> None:
        match upset.what:
            case Upsetting.CUT:
                self._server.cut(abort=True)
            case Upsetting.HUNG:
                self._asterisk.faults.hung = True
                await asyncio.sleep(upset.for_s)
                self._server.cut(abort=True)  # what was asked meanwhile is never answered
            case Upsetting.LATE:
                self._asterisk.faults.events_late_s = upset.for_s
                await asyncio.sleep(2 * upset.for_s)
            case Upsetting.DRAIN:
                self._asterisk.draining = True
                await asyncio.sleep(upset.for_s)
            case Upsetting.RESTART:
                await self._restart(upset.for_s)
            case Upsetting.GRACEFUL:
                self._asterisk.draining = True
                await asyncio.sleep(upset.for_s)
                self._server.hang_up_all()
                await asyncio.sleep(0.5)
                await self._restart(0.5)

    async def _calm_down(self) -> None:
        """End every upset, also one that peace has cut short."""
        faults = self._asterisk.faults
        faults.hung, faults.events_late_s, self._asterisk.draining = False, 0.0, False
        if not self._server.listening:
            await self._server.listen()

    async def _restart(self, down_s: float) -> None:
        await self._server.deafen()
        self._server.cut()
        self.killed[-self._lives] = time.time()
        self._asterisk.begin()
        self._begin()
        await asyncio.sleep(down_s)

    def _begin(self) -> None:
        """Begin a life's record."""
        self._lives += 1
        self._running.clear()
        self._branched.clear()
        started = datetime.fromtimestamp(self._asterisk.started_at).astimezone()
        settings = self._asterisk.settings
        life = Life(settings.system_name, settings.entity_id, f"{started:%Y-%m-%d %H:%M:%S}")
        self._session = life.session
        self._recorder = Recorder(self.records, node=self.node, session=self._session, life=-self._lives)
        if self._heard not in self._asterisk.listeners:
            self._asterisk.listeners.append(self._heard)

    def _heard(self, event: Event) -> None:
        """Write down what an event means."""
        told = dict(event.headers)
        uniqueid = told.get("Uniqueid", "")
        if event.name == "Newexten" and told["Context"] in CONTEXTS and uniqueid not in self._running:
            channel = self._asterisk.channels[told["Channel"]]
            self._running.add(uniqueid)
            self._recorder.note("began", runtime=runtime_id(self._session, uniqueid), domain=channel.get("IVR_DOMAIN"))
        elif event.name == "Newexten" and told["Context"] == BRANCHES and uniqueid not in self._branched:
            self._branched.add(uniqueid)
            self._recorder.note("branch", runtime=runtime_id(self._session, uniqueid))
        elif event.name == "Hangup" and uniqueid in self._running:
            self._running.discard(uniqueid)
            self._recorder.note("ended", runtime=runtime_id(self._session, uniqueid), stoptype="")

    async def _let_in(self) -> None:
        chance = Random(f"{self.seed}/{self.node}/calls")
        for domain, code in zip(itertools.cycle(self.domains), itertools.cycle(CODES), strict=False):
            await asyncio.sleep(chance.uniform(0.5, 1.5) * 60 / CALLS_PER_MINUTE)
            if not self._asterisk.draining:
                call = incoming(self._asterisk, "ivr", code, number=f"+1555{chance.randrange(10**7):07}")
                call.set("IVR_DOMAIN", domain)
