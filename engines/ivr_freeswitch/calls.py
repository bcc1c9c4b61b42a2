"""What runs in the engine: its events and dumps in, runtimes out through the kit's mirror. No I/O, no clock.

Owns which channel runs a script, which script, and why it ended. A channel's scripts form a stack: the extension it was
routed to at the bottom, above it what it executes with `execute_extension`, `ivr` and `lua`. Event-Sequence orders
events and dumps, so neither can undo a later one. Called by `bridge`.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from ivr_engine.mirror import Mirror
from ivr_engine.model import FullState, State, StopType
from ivr_engine.stopids import StopIds
from ivr_freeswitch.scripts import DOMAIN, MAX_TEXT, Script, Scripts

Event = Mapping[str, Any]
"""A JSON event; our headers are strings."""

STOP_IDS: Final = "ivr_stop_ids"
"""The channel variable that keeps the accepted stop ids."""

OURS: Final = "MANAGER_REQUEST"
"""The hangup cause of our own kills: an unknown cause would become NORMAL_CLEARING, as when a script ends by itself."""

UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

CALLER: Final = ("Caller-Caller-ID-Number",)
CALLED: Final = ("variable_sip_to_user", "Caller-RDNIS", "Caller-Destination-Number")
CALL_ID: Final = ("variable_sip_call_id", "Channel-Call-UUID")
"""Where the numbers of a call are told, the best place first; a transfer moves the number that was called to RDNIS."""

BETWEEN: Final = frozenset({"CS_NEW", "CS_INIT", "CS_ROUTING", "CS_RESET"})
"""States on the way from one extension to the next: they say nothing of what runs."""

REMEMBERED: Final = 10_000
"""Ended channels whose late events are still known for late; the oldest are forgotten."""

STOPTYPES: Final = {
    OURS: StopType.STOP,
    "ALLOTTED_TIMEOUT": StopType.MAXDURATION,
    "NO_ROUTE_DESTINATION": StopType.TRANSFER_NOT_SET,
    "DESTINATION_OUT_OF_ORDER": StopType.ERROR,
    "NORMAL_TEMPORARY_FAILURE": StopType.ERROR,
    "NO_ANSWER": StopType.TIMEOUT,
    "NO_USER_RESPONSE": StopType.TIMEOUT,
    "ORIGINATOR_CANCEL": StopType.OWNER_DOWN,
    "MEDIA_TIMEOUT": StopType.OWNER_DOWN,
    "SYSTEM_SHUTDOWN": StopType.OWNER_DOWN,
}
"""The termination type by hangup cause; other causes are a script's own end."""


class Frame(NamedTuple):
    """What a channel executes: the application and its data (None: found after a reconnect), where that leads."""

    application: str
    data: str | None
    context: str
    extension: str
    script: Script | None


class Call:
    """One channel that executes dialplan. `place` is its profile index, context and extension."""

    __slots__ = (
        "branch",
        "domain",
        "frames",
        "ids",
        "name",
        "numbers",
        "place",
        "seq",
        "shown",
        "starttime",
        "stopping",
    )

    def __init__(self, starttime: str) -> None:
        self.starttime = starttime
        self.seq = 0
        self.place: tuple[str, str, str] | None = None
        self.frames: list[Frame] = []
        self.branch = self.stopping = False
        self.domain: str | None = None
        self.numbers: tuple[str | None, str | None, str | None] = (None, None, None)
        self.name: str | None = None
        self.ids = StopIds()
        self.shown: FullState | None = None

    @property
    def scripts(self) -> list[Script]:
        """The scripts, the source first and the running one last."""
        return [frame.script for frame in self.frames if frame.script]


class Calls:
    """The channels of one session. `doubtful` are those whose stack has to be asked for anew."""

    def __init__(self, scripts: Scripts, mirror: Mirror) -> None:
        self._scripts, self._mirror = scripts, mirror
        self._calls: dict[str, Call] = {}
        self._ended: dict[str, int] = {}
        self.doubtful: set[str] = set()

    def clear(self) -> None:
        """Forget every channel: the engine restarted."""
        self._calls.clear()
        self._ended.clear()
        self.doubtful.clear()

    def runtime(self, runtime_id: str) -> Call | None:
        """Return the call that the runtime is, if it runs."""
        call = self._calls.get(runtime_id)
        return call if call and call.shown else None

    def known(self) -> set[str]:
        """Return every channel that is taken to execute dialplan."""
        return set(self._calls)

    def differs(self, row: Mapping[str, str]) -> bool:
        """Whether a row of the list tells of a script that is not known so; the list is late, so it only hints."""
        call = self._calls.get(row["uuid"])
        if call and call.place:
            return call.place[1:] != (row["context"], row["dest"]) or row["state"] != "CS_EXECUTE"
        script = self._scripts.extension(row["context"], row["dest"]) or self._scripts.branch(
            row["context"], row["dest"]
        )
        called = self._called(row["application"], row["application_data"])
        return row["state"] == "CS_EXECUTE" and bool(script or called)

    def take(self, event: Event) -> None:
        """Take in an event of a channel."""
        uuid, kind, seq = str(event.get("Unique-ID", "")), event.get("Event-Name"), int(event["Event-Sequence"])
        if kind == "CHANNEL_UUID":
            self._rename(str(event["Old-Unique-ID"]), uuid, seq)
        if kind == "CHANNEL_CREATE":
            self._ended.pop(uuid, None)  # an id given anew by the dialplan
        call = self._calls.get(uuid)
        if seq <= self._ended.get(uuid, 0) or (call and seq <= call.seq) or not UUID.fullmatch(uuid):
            return
        if kind in {"CHANNEL_HANGUP", "CHANNEL_HANGUP_COMPLETE"} or (kind == "CHANNEL_EXECUTE" and _bridged(event)):
            self.end(uuid, _stoptype(event), seq=seq)
        elif kind == "CHANNEL_EXECUTE" and _routed(event):
            self._execute(uuid, call or self._begin(uuid, event), event, seq)
        elif call and kind in {"CHANNEL_EXECUTE_COMPLETE", "CUSTOM"}:
            call.seq = seq
            self._variables(call, event)
            self._complete(uuid, call, event) if kind != "CUSTOM" else self._menu(call, event)
            self._show(uuid, call)

    def confirm(self, uuid: str, dump: Event, context: str, extension: str) -> bool:
        """Take in what `uuid_dump` and two `uuid_getvar` told; False if an event was later and knows better."""
        call, seq = self._calls.get(uuid), int(dump["Event-Sequence"])
        if seq <= self._ended.get(uuid, -1):
            return True
        if call and seq < call.seq:
            return False
        state = dump.get("Channel-State")
        if state in BETWEEN and dump.get("Answer-State") != "hangup":
            return True
        if state != "CS_EXECUTE" or dump.get("Answer-State") == "hangup" or not _routed(dump):
            self.end(uuid, StopType.NORMAL, seq=seq)
            return True
        call = call or self._begin(uuid, dump)
        call.seq = seq
        self._at(call, _place(dump))
        if not call.frames or (call.frames[-1].context, call.frames[-1].extension) != (context, extension):
            self._rebuild(call, dump, context, extension)
        self._variables(call, dump)
        if call.ids.last is None:
            call.ids = StopIds.unpacked(str(dump.get(f"variable_{STOP_IDS}", "")), proven=call.branch)
        self._show(uuid, call)
        return True

    def end(self, uuid: str, stoptype: StopType, *, seq: int | None = None) -> None:
        """Take in that a channel runs no script since event `seq`, or that it is gone; a stopped one ends by `stop`."""
        call = self._calls.pop(uuid, None)
        self._ended[uuid] = sys.maxsize if seq is None else seq
        if len(self._ended) > REMEMBERED:
            del self._ended[next(iter(self._ended))]
        if call and call.shown:
            self._mirror.end(uuid, StopType.STOP if call.branch or call.stopping else stoptype)

    def accept(self, uuid: str, stop_id: str) -> StopIds:
        """Note an accepted stop id; return all that the runtime has accepted."""
        call = self._calls[uuid]
        call.ids.accept(stop_id)
        self._show(uuid, call)
        return call.ids

    def _begin(self, uuid: str, told: Event) -> Call:
        started_s = int(told["Caller-Channel-Created-Time"]) // 1_000_000
        call = self._calls[uuid] = Call(datetime.fromtimestamp(started_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        call.numbers = (_first(told, CALLER), _first(told, CALLED), _first(told, CALL_ID))
        return call

    def _execute(self, uuid: str, call: Call, event: Event, seq: int) -> None:
        call.seq = seq
        self._at(call, _place(event))
        self._variables(call, event)
        application, data = str(event.get("Application", "")), str(event.get("Application-Data", ""))
        if application in {"execute_extension", "ivr", "lua"}:
            call.frames.append(self._frame(call, application, data))
        self._show(uuid, call)

    def _at(self, call: Call, place: tuple[str, str, str]) -> None:
        """Begin a new stack where the channel was routed anew."""
        if place == call.place:
            return
        before, (_, context, extension) = call.scripts, place
        script = self._scripts.branch(context, extension)
        call.place, call.branch = place, script is not None
        if script and before:  # the branch of the script that ran
            script.code, script.name, script.rule = before[-1].code, before[-1].name, before[-1].rule
        call.frames = [Frame("", "", context, extension, script or self._scripts.extension(context, extension))]

    def _frame(self, call: Call, application: str, data: str) -> Frame:
        inner = call.frames[-1]
        context, extension = inner.context, inner.extension
        if application == "execute_extension":
            extension, _, context = (*data.split(), "", "", "")[:3]
            context = context or inner.context
            return Frame(application, data, context, extension, self._scripts.extension(context, extension))
        return Frame(application, data, context, extension, self._called(application, data))

    def _called(self, application: str, data: str) -> Script | None:
        known = {"ivr": self._scripts.menu, "lua": self._scripts.lua}
        return known[application](data) if application in known else None

    def _rebuild(self, call: Call, dump: Event, context: str, extension: str) -> None:
        """Find the stack of a channel that was met in its midst: what lies between source and innermost is unknown."""
        del call.frames[1:]
        if (context, extension) != (call.frames[0].context, call.frames[0].extension):
            script = self._scripts.extension(context, extension)
            call.frames.append(Frame("execute_extension", None, context, extension, script))
        application = str(dump.get("variable_current_application", ""))
        if application in {"ivr", "lua"}:
            data = str(dump.get("variable_current_application_data", ""))
            call.frames.append(self._frame(call, application, data))

    def _complete(self, uuid: str, call: Call, event: Event) -> None:
        """Go back to what called the application that is complete."""
        application, data = event.get("Application"), event.get("Application-Data", "")
        for depth in range(len(call.frames) - 1, 0, -1):
            frame = call.frames[depth]
            if frame.application == application and frame.data in {data, None}:
                del call.frames[depth:]
                if frame.data is None:
                    self.doubtful.add(uuid)
                return

    def _menu(self, call: Call, event: Event) -> None:
        """Enter or leave a menu. The one that `ivr` names is there already."""
        menu, inner = str(event.get("Menu-Name", "")), call.frames[-1]
        if event.get("Event-Subclass") == "menu::enter":
            named = (inner.application, inner.data) == ("ivr", menu)
            script = None if named else self._scripts.menu(menu)
            call.frames.append(Frame("menu", menu, inner.context, inner.extension, script))
        elif (inner.application, inner.data) == ("menu", menu):
            call.frames.pop()

    def _variables(self, call: Call, told: Event) -> None:
        """Read the name that the running script has set; it is not put back when a nested script ends."""
        name = told.get("variable_ivr_name")
        if isinstance(name, str) and name and name != call.name and call.scripts:
            call.name, script = name, call.scripts[-1]
            script.name = script.rule.name or name[:MAX_TEXT]
        if call.domain is None and call.scripts:
            domain = call.scripts[0].rule.domain or str(told.get("variable_ivr_domain", "")).lower()
            call.domain = domain if DOMAIN.fullmatch(domain) else None

    def _show(self, uuid: str, call: Call) -> None:
        """Tell the mirror what changed."""
        scripts = call.scripts
        if call.shown and not scripts:
            call.shown = None
            self._mirror.end(uuid, StopType.NORMAL)
        if not scripts or call.domain is None:
            return
        source, script = scripts[0], scripts[-1]
        nested = len(scripts) > 1 and not call.branch
        state = FullState(
            id=uuid,
            domain=call.domain,
            type=script.rule.type,
            code=script.code,
            name=script.name,
            starttime=call.starttime,
            state=State.POST_PROCESSING if call.branch else State.RUNNING,
            stoptype=StopType.STOP if call.branch else None,
            stop_id=call.ids.last,
            rootcode=source.code if nested else None,
            rootname=source.name if nested else None,
            caller=call.numbers[0],
            called=call.numbers[1],
            call_id=call.numbers[2],
        )
        if state != call.shown:
            call.shown = state
            self._mirror.put(state)

    def _rename(self, before: str, uuid: str, seq: int) -> None:
        call = self._calls.get(before)
        if call and before != uuid:
            self.end(before, StopType.NORMAL, seq=seq)
            call.shown = None
            self._calls[uuid] = call
            self._show(uuid, call)


def _place(told: Event) -> tuple[str, str, str]:
    return (
        str(told.get("Caller-Profile-Index", "")),
        str(told.get("Caller-Context", "")),
        str(told.get("Caller-Destination-Number", "")),
    )


def _first(told: Event, names: Sequence[str]) -> str | None:
    return next((str(told[name]) for name in names if told.get(name)), None)


def _routed(told: Event) -> bool:
    """Whether the dialplan sent the channel there; an outbound leg's first context is that of its dial string."""
    return told.get("Caller-Profile-Index") != "1" or told.get("Call-Direction") != "outbound"


def _bridged(event: Event) -> bool:
    """Whether an application runs outside of an extension: `uuid_bridge` takes a channel out of its script."""
    return event.get("Channel-State") != "CS_EXECUTE"


def _stoptype(event: Event) -> StopType:
    cause = str(event.get("Hangup-Cause", ""))
    if cause == "NORMAL_CLEARING" and str(event.get("variable_sip_hangup_disposition", "")).startswith("recv"):
        return StopType.OWNER_DOWN
    return STOPTYPES.get(cause, StopType.NORMAL)
