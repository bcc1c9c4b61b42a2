"""The FreeSWITCH of a mixed fleet: its calls, what is broken with it, and the truth about what it ran.

Owns a FreeSWITCH of the tests' own inside the harness's process. Each beginning and end is written down before its
event is sent or dropped, so neither the Event Socket nor the bridge has a say. `run` makes one.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from chaos.played import PlayedEngine
from chaos.recorder import Recorder
from chaos.schedule import SwitchUpsetting, Upset
from esl.dialplan import Dialplan
from esl.server import GOODBYE, Access, Server
from esl.switch import Channel, Switch
from ivr_local.emulator import HOST, free_ports

DIALPLAN: Final = Path(__file__).parent / "dialplan.xml"
BRANCHES: Final = "ivr-external-stop"
SCRIPTS: Final = ({"context": "ivr(-nested)?", "post_processing": BRANCHES},)
PASSWORD: Final = "chaos-password"  # noqa: S105  # of an engine that lives as long as the run

LIST_LAG_S: Final = 0.2
"""How far behind the list of channels is written where nothing is broken, as recorded."""

DROPPED: Final = frozenset(
    {"CHANNEL_CREATE", "CHANNEL_EXECUTE", "CHANNEL_EXECUTE_COMPLETE", "CHANNEL_HANGUP", "CHANNEL_HANGUP_COMPLETE"}
)
"""Events that an overloaded FreeSWITCH drops."""

STAYS: Final = frozenset({"rows stay", "kills are lost", "transfers are lost"})


class WitnessedSwitch(Switch):
    """A switch that has `witness` see each event of a channel before it is sent or dropped."""

    def __init__(self, witness: Callable[[str, Channel], None]) -> None:
        super().__init__(Dialplan(DIALPLAN), list_lag_s=LIST_LAG_S)
        self._witness = witness

    def forget_rows(self) -> None:
        """Take the rows out of the list that stayed."""
        self._listed = {uuid: row for uuid, row in self._listed.items() if uuid in self.channels}

    def fire(self, name: str, channel: Channel | None = None, told: dict[str, str] | None = None) -> None:
        """Show, then send."""
        if channel is not None:
            self._witness(name, channel)
        super().fire(name, channel, told)


class FreeSwitch(PlayedEngine):
    """The FreeSWITCH of one node."""

    upsettings = SwitchUpsetting
    deadly = frozenset({SwitchUpsetting.RESTART})

    def __init__(self, *, node: str, records: Path, domains: Sequence[str], seed: int) -> None:
        super().__init__(node=node, records=records, domains=domains, seed=seed)
        self.switch = WitnessedSwitch(self._heard)
        self.server = Server(self.switch)
        self.server.access = Access(password=PASSWORD)
        self._running: set[str] = set()
        self._branched: set[str] = set()
        self._open = AsyncExitStack()

    def environment(self, *, listen: str, agent: str) -> dict[str, str]:
        """Return the settings of its bridge."""
        return {
            "IVR_FREESWITCH_LISTEN": listen,
            "IVR_FREESWITCH_AGENT": agent,
            "IVR_FREESWITCH_HOST": HOST,
            "IVR_FREESWITCH_PORT": str(self._port),
            "IVR_FREESWITCH_PASSWORD": PASSWORD,
            "IVR_FREESWITCH_SCRIPTS": json.dumps(SCRIPTS),
            "IVR_FREESWITCH_NODE": self.node,
        }

    def call(self, code: str, *, domain: str, number: str) -> None:
        """Let a call in, unless it is down."""
        if not self.server.access.denied:
            call = self.switch.originate(code, caller=number)
            self.switch.channels[call].variables["ivr_domain"] = domain

    async def upset(self, upset: Upset) -> None:
        """Break it."""
        match upset.what:
            case SwitchUpsetting.CUT:
                self.server.drop()
            case SwitchUpsetting.NOTICE:
                self.server.drop(GOODBYE)
            case SwitchUpsetting.HUNG:
                for connection in self.server.connections:
                    connection.held = True
                await asyncio.sleep(upset.for_s)
                self.server.drop()  # what was asked meanwhile is never answered
            case SwitchUpsetting.LATE:
                self.switch.list_lag_s = upset.for_s
                await asyncio.sleep(2 * upset.for_s)
            case SwitchUpsetting.STAYS:
                self.switch.faults |= STAYS
                await asyncio.sleep(upset.for_s)
            case SwitchUpsetting.OVERLOAD:
                self.switch.faults |= DROPPED
                await asyncio.sleep(upset.for_s)
            case SwitchUpsetting.RESTART:
                self.server.access.denied = True
                self.server.drop()
                self.switch.restart()
                self.begin()
                await asyncio.sleep(upset.for_s)

    async def calm_down(self) -> None:
        """End every upset."""
        self.switch.faults.clear()
        self.switch.list_lag_s, self.server.access.denied = LIST_LAG_S, False
        self.switch.forget_rows()

    def begin(self) -> None:
        """Begin a life and its record."""
        super().begin()
        self._running.clear()
        self._branched.clear()
        self._recorder = Recorder(self.records, node=self.node, session=self.switch.core, life=self.life)

    async def start(self) -> None:
        """Begin its first life and listen."""
        self.begin()
        (self._port,) = free_ports(1)
        await self._open.enter_async_context(self.server.at_port(self._port))

    async def close(self) -> None:
        """End it."""
        self.server.drop()
        self.switch.end()
        await self._open.aclose()

    def _heard(self, name: str, channel: Channel) -> None:
        """Write down what an event means."""
        uuid = channel.uuid
        if name == "CHANNEL_EXECUTE" and channel.context == BRANCHES and uuid not in self._branched:
            self._branched.add(uuid)
            self._recorder.note("branch", runtime=uuid)
        elif name == "CHANNEL_EXECUTE" and uuid not in self._running:
            self._running.add(uuid)
            self._recorder.note("began", runtime=uuid, domain=channel.variables["ivr_domain"])
        elif name == "CHANNEL_HANGUP" and uuid in self._running:
            self._running.discard(uuid)
            self._recorder.note("ended", runtime=uuid, stoptype="")
