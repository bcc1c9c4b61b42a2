"""The bridge: what is said to a FreeSWITCH, and which of its events counts as what (docs/freeswitch.md).

Owns the commands. What runs is known to `calls`, how to talk to `link`, when to ask to the kit; `+OK` proves nothing,
an event or a dump does. Wired by `__main__`, called by the kit.
"""

import asyncio
import re
from typing import Any, Final

from ivr_engine import bridge
from ivr_engine.answers import json_object
from ivr_engine.bridge import Event
from ivr_engine.calls import Call
from ivr_freeswitch.calls import OURS, STOP_IDS, UUID, Calls
from ivr_freeswitch.dialplan import takes
from ivr_freeswitch.link import Link

GONE: Final = "-ERR No such channel!"
NUMBER: Final = re.compile(r"[A-Za-z0-9_+*#.@:=~][A-Za-z0-9_+*#.@:=~-]{0,127}")
"""Numbers that may stand in a command: a caller chooses them, and a blank or a line end would change the command."""


class Bridge(bridge.Bridge[Link, Calls]):
    """The channels of one FreeSWITCH."""

    def heard(self, event: Event) -> None:
        """Take in an event; the first of another life of the engine begins its session."""
        # The engine's clock in microseconds is above each earlier seq.
        self.belongs(str(event["Core-UUID"]), seq=int(event["Event-Date-Timestamp"]))
        if event["Event-Name"] == "HEARTBEAT":
            self._life.answered()
        elif "Unique-ID" in event:
            self.calls.take(event)
            self.stops.moved(str(event["Unique-ID"]))

    async def listed(self) -> dict[str, Event]:
        """Return the rows of the list: it is late, so it only says whom to ask."""
        rows = _parsed(await self.link.command("show channels as json")).get("rows", [])
        return {row["uuid"]: row for row in rows if UUID.fullmatch(row["uuid"])}

    async def asked(self, name: str) -> list[Any] | None:
        """Return a channel's dump, and where the innermost of its extensions is; None: there is no such channel."""
        variables = (f"uuid_getvar {name} {variable}" for variable in ("context", "destination_number"))
        dump, *inner = await asyncio.gather(*map(self.link.command, (f"uuid_dump {name} json", *variables)))
        return None if any(answer.startswith(GONE) for answer in (dump, *inner)) else [_parsed(dump), *inner]

    async def is_there(self, call: Call) -> bool:
        """Whether the channel exists."""
        return await self.link.command(f"uuid_exists {call.id}") != "false"

    async def has_branch(self, call: Call) -> bool:
        """Whether the settings name an External Stop branch for the script, and it is known to be there."""
        rule, number = call.scripts[-1].rule, call.scripts[-1].place
        if rule.post_processing is None or not NUMBER.fullmatch(number):
            return False
        asked = f"xml_locate dialplan context name {rule.post_processing}"
        return rule.catch_all or takes(await self.link.command(asked), number)

    async def transfer(self, call: Call) -> bool:
        """Transfer the channel into the branch."""
        script = call.scripts[-1]
        return await self._acts(f"uuid_transfer {call.id} {script.place} XML {script.rule.post_processing}")

    async def kill(self, call: Call) -> bool:
        """Kill the channel."""
        return await self._acts(f"uuid_kill {call.id} {OURS}")

    async def store(self, call: Call, ids: str) -> bool:
        """Keep the stop ids in a variable of the channel."""
        return await self._acts(f"uuid_setvar {call.id} {STOP_IDS} {ids}")

    async def _acts(self, command: str) -> bool:
        return not (await self.link.command(command)).startswith(GONE)


def _parsed(answer: str) -> dict[str, Any]:
    return json_object(answer, "the engine answered a list or a dump with something else")
