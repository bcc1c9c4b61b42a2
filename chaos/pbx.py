"""The Asterisk of a mixed fleet: its calls, what is broken with it, and the truth about what it ran.

Owns an Asterisk of the tests' own inside the harness's process. It listens to that Asterisk's events where they are
made and writes each beginning and end down, so neither AMI nor the bridge has a say. `run` makes one.
"""

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from ami import Asterisk, Dialplan, Server, Settings
from ami.calls import incoming
from ami.events import Event
from chaos.played import PlayedEngine
from chaos.recorder import Recorder
from chaos.schedule import Upset, Upsetting
from ivr_asterisk.naming import Life, runtime_id
from ivr_local.emulator import HOST

DIALPLAN: Final = Path(__file__).parent / "extensions.conf"
BRANCHES: Final = "ivr-external-stop"
CONTEXTS: Final = frozenset({"ivr", "ivr-nested", BRANCHES})
SCRIPTS: Final = ({"context": "ivr(-nested)?"},)
VARIABLES: Final = ("IVR_NAME", "IVR_DOMAIN", "IVR_STOPS", "IVR_STARTED")


class Pbx(PlayedEngine):
    """The Asterisk of one node."""

    upsettings = Upsetting
    deadly = frozenset({Upsetting.RESTART, Upsetting.GRACEFUL})

    def __init__(self, *, node: str, records: Path, domains: Sequence[str], seed: int) -> None:
        super().__init__(node=node, records=records, domains=domains, seed=seed)
        dialplan = Dialplan(DIALPLAN.read_text("utf-8"))
        self.asterisk = Asterisk(dialplan, Settings(system_name=node, channelvars=VARIABLES))
        self.server = Server(self.asterisk)
        self._running: set[str] = set()
        self._branched: set[str] = set()

    def environment(self, *, listen: str, agent: str) -> dict[str, str]:
        """Return the settings of its bridge."""
        return {
            "IVR_ASTERISK_LISTEN": listen,
            "IVR_ASTERISK_AGENT": agent,
            "IVR_ASTERISK_AMI": f"tcp://{HOST}:{self.server.port}",
            "IVR_ASTERISK_USERNAME": "least",
            "IVR_ASTERISK_SECRET": "secret",
            "IVR_ASTERISK_SCRIPTS": json.dumps(SCRIPTS),
            "IVR_ASTERISK_NODE": self.node,
        }

    def call(self, code: str, *, domain: str, number: str) -> None:
        """Let a call in, unless it drains."""
        if not self.asterisk.draining:
            incoming(self.asterisk, "ivr", code, number=number).set("IVR_DOMAIN", domain)

    async def upset(self, upset: Upset) -> None:
        """Break it."""
        match upset.what:
            case Upsetting.CUT:
                self.server.cut(abort=True)
            case Upsetting.HUNG:
                self.asterisk.faults.hung = True
                await asyncio.sleep(upset.for_s)
                self.server.cut(abort=True)  # what was asked meanwhile is never answered
            case Upsetting.LATE:
                self.asterisk.faults.events_late_s = upset.for_s
                await asyncio.sleep(2 * upset.for_s)
            case Upsetting.DRAIN:
                self.asterisk.draining = True
                await asyncio.sleep(upset.for_s)
            case Upsetting.RESTART:
                await self._restart(upset.for_s)
            case Upsetting.GRACEFUL:
                self.asterisk.draining = True
                await asyncio.sleep(upset.for_s)
                self.server.hang_up_all()
                await asyncio.sleep(0.5)
                await self._restart(0.5)

    async def calm_down(self) -> None:
        """End every upset."""
        faults = self.asterisk.faults
        faults.hung, faults.events_late_s, self.asterisk.draining = False, 0.0, False
        if not self.server.listening:
            await self.server.listen()

    def begin(self) -> None:
        """Begin a life and its record."""
        super().begin()
        self._running.clear()
        self._branched.clear()
        started = datetime.fromtimestamp(self.asterisk.started_at).astimezone()
        settings = self.asterisk.settings
        life = Life(settings.system_name, settings.entity_id, f"{started:%Y-%m-%d %H:%M:%S}")
        self._session = life.session
        self._recorder = Recorder(self.records, node=self.node, session=self._session, life=self.life)
        if self._heard not in self.asterisk.listeners:
            self.asterisk.listeners.append(self._heard)

    async def start(self) -> None:
        """Begin its first life and listen."""
        self.begin()
        await self.server.listen()

    async def close(self) -> None:
        """End it."""
        await self.server.deafen()
        self.server.cut()
        await self.asterisk.close()

    async def _restart(self, down_s: float) -> None:
        await self.server.deafen()
        self.server.cut()
        self.asterisk.begin()
        self.begin()
        await asyncio.sleep(down_s)

    def _heard(self, event: Event) -> None:
        """Write down what an event means."""
        told = dict(event.headers)
        uniqueid = told.get("Uniqueid", "")
        if event.name == "Newexten" and told["Context"] in CONTEXTS and uniqueid not in self._running:
            channel = self.asterisk.channels[told["Channel"]]
            self._running.add(uniqueid)
            self._recorder.note("began", runtime=runtime_id(self._session, uniqueid), domain=channel.get("IVR_DOMAIN"))
        elif event.name == "Newexten" and told["Context"] == BRANCHES and uniqueid not in self._branched:
            self._branched.add(uniqueid)
            self._recorder.note("branch", runtime=runtime_id(self._session, uniqueid))
        elif event.name == "Hangup" and uniqueid in self._running:
            self._running.discard(uniqueid)
            self._recorder.note("ended", runtime=runtime_id(self._session, uniqueid), stoptype="")
