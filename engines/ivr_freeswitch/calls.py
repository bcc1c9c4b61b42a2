"""What runs in the engine: its events and dumps in, runtimes out through the kit's mirror. No I/O, no clock.

Owns which channel runs a script, which script, and why it ended. A channel's scripts form a stack: the extension it was
routed to at the bottom, above it what it executes with `execute_extension`, `ivr` and `lua`. Event-Sequence orders
events and dumps, so neither can undo a later one. Called by `bridge`.
"""

import re
from typing import Final

from ivr_engine.bridge import Event, first, text
from ivr_engine.calls import Call, Frame, Numbers
from ivr_engine.channels import Channels
from ivr_engine.mirror import Mirror
from ivr_engine.model import StopType
from ivr_engine.stopids import StopIds
from ivr_freeswitch.scripts import Scripts

STOP_IDS: Final = "ivr_stop_ids"
"""The channel variable that keeps the accepted stop ids."""

OURS: Final = "MANAGER_REQUEST"
"""The hangup cause of our own kills: an unknown cause would become NORMAL_CLEARING, as when a script ends by itself."""

UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

CALLER: Final = ("Caller-Caller-ID-Number",)
CALLED: Final = ("variable_sip_to_user", "Caller-RDNIS", "Caller-Destination-Number")
CALL_ID: Final = ("variable_sip_call_id", "Channel-Call-UUID")
"""Where the numbers of a call are told, the best place first; a transfer moves the number that was called to RDNIS."""

PLACE: Final = ("Caller-Profile-Index", "Caller-Context", "Caller-Destination-Number")
"""Where the dialplan has led a channel; the index grows with each transfer."""

BETWEEN: Final = frozenset({"CS_NEW", "CS_INIT", "CS_ROUTING", "CS_RESET"})
"""States on the way from one extension to the next: they say nothing of what runs."""

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


class Calls(Channels):
    """The channels of one session."""

    def __init__(self, scripts: Scripts, mirror: Mirror) -> None:
        super().__init__(mirror)
        self._scripts = scripts

    def differs(self, row: Event) -> bool:
        """Whether a row of the list tells of a script that is not known so; the list is late, so it only hints."""
        place, executes = (row["context"], row["dest"]), row["state"] == "CS_EXECUTE"
        if channel := self._channels.get(row["uuid"]):
            return not executes or channel.place[1:] != place
        script = self._scripts.extension(*place) or self._scripts.branch(*place)
        return executes and bool(script or self._scripts.called(row["application"], row["application_data"]))

    def take(self, event: Event) -> None:
        """Take in an event of a channel."""
        uuid, kind, seq = str(event["Unique-ID"]), event["Event-Name"], int(event["Event-Sequence"])
        if kind == "CHANNEL_UUID":
            self.rename(str(event["Old-Unique-ID"]), uuid, seq=seq)
        elif kind == "CHANNEL_CREATE":
            self.born(uuid, seq=seq)
        if self.is_late(uuid, seq=seq) or not UUID.fullmatch(uuid):
            return
        channel = self._channels.get(uuid)
        if kind in {"CHANNEL_HANGUP", "CHANNEL_HANGUP_COMPLETE"}:
            self.end(uuid, _stoptype(event), seq=seq)
        elif kind == "CHANNEL_EXECUTE" and event.get("Channel-State") != "CS_EXECUTE":
            self.end(uuid, StopType.NORMAL, seq=seq)  # `uuid_bridge` takes a channel out of its script
        elif kind == "CHANNEL_EXECUTE" and _routed(event):
            self._execute(channel or self._begin(uuid, event), event, seq)
        elif channel and kind in {"CHANNEL_EXECUTE_COMPLETE", "CUSTOM"}:
            self._proceed(channel, event, seq)

    def confirm(self, uuid: str, dump: Event, context: str, extension: str) -> bool:
        """Take in what `uuid_dump` and two `uuid_getvar` told; False if an event was later and knows better."""
        channel, seq, state = self._channels.get(uuid), int(dump["Event-Sequence"]), dump.get("Channel-State")
        hung_up = dump.get("Answer-State") == "hangup"
        if self.is_late(uuid, seq=seq) or (state in BETWEEN and not hung_up):
            return channel is None
        if state != "CS_EXECUTE" or hung_up or not _routed(dump):
            self.end(uuid, StopType.NORMAL, seq=seq)
            return True
        channel = channel or self._begin(uuid, dump)
        self._at(channel, dump, seq)
        inner = channel.frames[-1]
        if len(channel.frames) == 1 or (inner.context, inner.extension) != (context, extension):
            self._rebuild(channel, dump, context, extension)
        self._name(channel, dump)
        if channel.ids.last is None:
            channel.ids = StopIds.unpacked(text(dump, f"variable_{STOP_IDS}"), proven=channel.branch)
        channel.show(self._mirror)
        return True

    def _begin(self, uuid: str, told: Event) -> Call:
        numbers = Numbers(first(told, CALLER), first(told, CALLED), first(told, CALL_ID))
        channel = Call(uuid, started_us=int(told["Caller-Channel-Created-Time"]), numbers=numbers)
        self._channels[uuid] = channel
        return channel

    def _execute(self, channel: Call, event: Event, seq: int) -> None:
        self._at(channel, event, seq)
        self._name(channel, event)
        application, data = text(event, "Application"), text(event, "Application-Data")
        if application in {"execute_extension", "ivr", "lua"}:
            channel.frames.append(self._frame(channel.frames[-1], application, data))
        channel.show(self._mirror)

    def _proceed(self, channel: Call, event: Event, seq: int) -> None:
        channel.seq = seq
        self._name(channel, event)
        if event["Event-Name"] == "CUSTOM":
            self._menu(channel, event)
        elif frame := channel.complete(text(event, "Application"), text(event, "Application-Data")):
            self.doubtful |= {channel.id} if frame.data is None else set()
        channel.show(self._mirror)

    def _at(self, channel: Call, told: Event, seq: int) -> None:
        """Begin a new stack where the channel was led elsewhere."""
        channel.seq, place = seq, tuple(text(told, name) for name in PLACE)
        if place != channel.place:
            channel.place, (_, context, extension) = place, place
            branch = self._scripts.branch(context, extension)
            script = branch or self._scripts.extension(context, extension)
            channel.enter(Frame("", "", context, extension, script), branch=branch is not None)

    def _frame(self, inner: Frame, application: str, data: str) -> Frame:
        if application != "execute_extension":
            return Frame(application, data, inner.context, inner.extension, self._scripts.called(application, data))
        extension, _, context = (*data.split(), "", "", "")[:3]
        context = context or inner.context
        return Frame(application, data, context, extension, self._scripts.extension(context, extension))

    def _rebuild(self, channel: Call, dump: Event, context: str, extension: str) -> None:
        """Find the stack of a channel that was met in its midst: what lies between source and innermost is unknown."""
        del channel.frames[1:]
        if (context, extension) != (channel.frames[0].context, channel.frames[0].extension):
            script = self._scripts.extension(context, extension)
            channel.frames.append(Frame("execute_extension", None, context, extension, script))
        application = text(dump, "variable_current_application")
        if application in {"ivr", "lua"}:
            data = text(dump, "variable_current_application_data")
            channel.frames.append(self._frame(channel.frames[-1], application, data))

    def _menu(self, channel: Call, event: Event) -> None:
        """Enter or leave a menu. The one that `ivr` names is there already."""
        menu, inner = text(event, "Menu-Name"), channel.frames[-1]
        if event.get("Event-Subclass") == "menu::enter":
            named = (inner.application, inner.data) == ("ivr", menu)
            script = None if named else self._scripts.called("ivr", menu)
            channel.frames.append(Frame("menu", menu, inner.context, inner.extension, script))
        else:
            channel.complete("menu", menu)

    def _name(self, channel: Call, told: Event) -> None:
        channel.variables(name=text(told, "variable_ivr_name"), domain=text(told, "variable_ivr_domain"))


def _routed(told: Event) -> bool:
    """Whether the dialplan sent the channel there; an outbound leg's first context is that of its dial string."""
    return told.get("Caller-Profile-Index") != "1" or told.get("Call-Direction") != "outbound"


def _stoptype(event: Event) -> StopType:
    cause = text(event, "Hangup-Cause")
    if cause == "NORMAL_CLEARING" and text(event, "variable_sip_hangup_disposition").startswith("recv"):
        return StopType.OWNER_DOWN
    return STOPTYPES.get(cause, StopType.NORMAL)
