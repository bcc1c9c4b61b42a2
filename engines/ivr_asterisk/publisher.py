"""What of the model the agent is told, and what must be asked for first.

Owns the step from channels to runtimes. A caller can forge events with a variable of its own, and an event may be older
than a list; so a start and an end are published once Asterisk has confirmed them for that channel, and a change of
scripts is looked up behind its publication. Called by `bridge` (what the server says) and `stops`.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from ivr_asterisk import accepted, naming
from ivr_asterisk.channel import Channel
from ivr_asterisk.dialogue import Answer
from ivr_asterisk.framing import Message
from ivr_asterisk.model import Model, Shown
from ivr_engine.mirror import Mirror
from ivr_engine.model import FullState, State, StopType, UnknownRuntimeError

log = logging.getLogger(__name__)

NO_CHANNEL: Final = "No such channel"
"""What Asterisk says of a channel that is gone."""


class Publisher:
    """The runtimes of one life of Asterisk. `now_s` gives seconds since the epoch."""

    def __init__(self, model: Model, mirror: Mirror, *, now_s: Callable[[], float]) -> None:
        self._model, self._mirror, self._now_s = model, mirror, now_s
        self._published: dict[str, FullState] = {}
        """The runtimes, by Uniqueid."""
        self._uniqueids: dict[str, str] = {}
        """The same, by runtime id."""
        self._touched: dict[str, None] = {}
        self._held = False
        self._watched: dict[str, list[asyncio.Event]] = {}
        self.doubted: dict[str, None] = {}
        """The channels to be looked up, in order."""
        self.doubts = asyncio.Event()
        self.again: dict[str, None] = {}
        """Channels to be looked up a little later: about to end, or said to have ended and yet found, or badly told."""
        self.told_variables = True
        """Whether the last list told our variables: it does where manager.conf names them in `channelvars`."""
        self.starts: dict[str, int] = {}
        """Starts to be kept in their channels, in seconds since the epoch, by Uniqueid."""
        self.trusting = False
        """While Asterisk drains it confirms nothing: events are believed."""

    def clear(self) -> None:
        """Forget every channel: nothing of an earlier life of Asterisk runs."""
        for known in (self._published, self._uniqueids, self._touched, self._model.channels):
            known.clear()
        for asked in (self.doubted, self.again, self.starts):
            asked.clear()

    def channel_of(self, runtime_id: str) -> Channel:
        """Return the channel of a runtime; raises `UnknownRuntimeError`."""
        channel = self._model.channels.get(self._uniqueids.get(runtime_id, ""))
        if channel is None:
            raise UnknownRuntimeError(runtime_id)
        return channel

    def state_of(self, channel: Channel) -> FullState | None:
        """Return the runtime on a channel as it was published; None if there is none."""
        return self._published.get(channel.uniqueid)

    def heard(self, event: Message) -> None:
        """Take in an event."""
        if channel := self._model.heard(event):
            self._touched[channel.uniqueid] = None
            if event.event == "HangupRequest" and channel.uniqueid in self._published:
                self.again[channel.uniqueid] = None  # in case that no Hangup follows

    def settle(self) -> None:
        """Publish what has changed."""
        if not self._held:
            touched, self._touched = self._touched, {}
            for uniqueid in touched:
                self._settle(uniqueid, sure=self.trusting)
                self._tell_watchers(uniqueid)

    def changed(self, channel: Channel) -> None:
        """Publish a change that the bridge itself has made."""
        self._settle(channel.uniqueid, sure=False)

    def without_domain(self) -> dict[str, str]:
        """Return the code of each running script whose domain nobody has set, by Uniqueid."""
        shown = {uniqueid: self._model.shown(channel) for uniqueid, channel in self._model.channels.items()}
        return {uniqueid: one.code for uniqueid, one in shown.items() if one and not one.domain}

    def believe(self, uniqueid: str) -> None:
        """Publish what events said of a channel: it cannot be looked up now."""
        self._settle(uniqueid, sure=True)

    def looked_up(self, uniqueid: str, answer: Answer) -> None:
        """Take in the answer to a Status of one channel."""
        if answer.torn or len(answer.rows) > 1:
            self.again[uniqueid] = None
        elif answer.accepted and answer.rows:
            (row,) = answer.rows
            self._note_contradiction(uniqueid)
            if row.get("Uniqueid") == uniqueid and (channel := self._model.seen(row)):
                channel.nested_in(row)
                self._settle(uniqueid, sure=True)
        elif answer.accepted or answer.said == NO_CHANNEL:
            self._gone(uniqueid)

    def doubt(self, uniqueid: str) -> None:
        """Have a channel looked up."""
        self.doubted[uniqueid] = None
        self.doubts.set()

    def doubt_again(self) -> None:
        """Have the channels looked up for which it was too early before."""
        for uniqueid in self.again:
            if uniqueid in self._model.channels:
                self.doubt(uniqueid)
        self.again.clear()

    @contextmanager
    def resynchronising(self) -> Iterator[None]:
        """Publish nothing until the block ends: a list alone does not tell the nesting."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
            self.settle()

    def listed(self, answer: Answer) -> None:
        """Take in a list of all channels: what it lacks is gone."""
        if not (answer.accepted and answer.complete):
            return
        self.told_variables = all(accepted.VARIABLE in row.variables for row in answer.rows)
        counted = Counter(row.get("Uniqueid") for row in answer.rows)
        self._touched.clear()
        self.doubted.clear()
        for row in answer.rows:
            if counted[uniqueid := row.get("Uniqueid")] == 1:
                self._note_contradiction(uniqueid)
                self._model.seen(row)
            else:
                self.doubt(uniqueid)
        for uniqueid in self._model.channels.keys() - counted.keys():
            if answer.torn:
                self.doubt(uniqueid)
            else:
                self._gone(uniqueid)

    def nested(self, answer: Answer) -> None:
        """Take in a Status of all channels behind that list: it tells the subroutines of those that stand still."""
        if not answer.accepted:
            return
        rows = {row.get("Uniqueid"): row for row in answer.rows}
        for channel in list(self._model.channels.values()):
            row = rows.get(channel.uniqueid)
            still = row and (row.get("Context"), row.get("Exten")) == (channel.place.context, channel.place.exten)
            if row and still:
                channel.nested_in(row)
            self._settle(channel.uniqueid, sure=bool(still) and channel.uniqueid not in self._touched)

    @contextmanager
    def watching(self, uniqueid: str) -> Iterator[asyncio.Event]:
        """Give an event that is set whenever the channel's runtime changes or ends."""
        watcher = asyncio.Event()
        self._watched.setdefault(uniqueid, []).append(watcher)
        try:
            yield watcher
        finally:
            self._watched[uniqueid].remove(watcher)
            if not self._watched[uniqueid]:
                del self._watched[uniqueid]

    def _note_contradiction(self, uniqueid: str) -> None:
        """Look once more at a channel that is found although its hang-up was told: one of the two may be late."""
        if (channel := self._model.channels.get(uniqueid)) and channel.cause is not None:
            self.again[uniqueid] = None

    def _settle(self, uniqueid: str, *, sure: bool) -> None:
        channel = self._model.channels.get(uniqueid)
        if channel is None:
            return
        shown, before = self._model.shown(channel), self._published.get(uniqueid)
        if before and shown:
            self._change(channel, before, shown, sure=sure)
        elif before and sure:
            self._end(uniqueid, self._model.ended_as(channel))
        elif before or (shown and shown.domain and not sure):
            self.doubt(uniqueid)
        elif shown and shown.domain:
            self._start(channel, shown, shown.domain)
        if channel.cause is not None and uniqueid not in self._published:
            if sure or not self._model.running(channel):
                self._model.channels.pop(uniqueid, None)
            else:
                self.doubt(uniqueid)  # the hang-up may be forged, and the start be on its way

    def _start(self, channel: Channel, shown: Shown, domain: str) -> None:
        uniqueid = channel.uniqueid
        channel.started = self._started(channel)
        state = FullState(
            id=naming.runtime_id(self._mirror.session, uniqueid),
            domain=domain,
            type="ivr",
            code=shown.code,
            name=shown.name,
            starttime=naming.rfc3339(channel.started),
            state=State.RUNNING,
        )
        self._uniqueids[state.id] = uniqueid
        self._put(uniqueid, _as_shown(state, channel, shown))

    def _started(self, channel: Channel) -> int:
        """Return when a script began, and have it kept if another bridge could not find it out."""
        now, began = int(self._now_s()), naming.began_s(channel.uniqueid)
        if channel.started:
            return channel.started
        if began and (self._held or now - began <= naming.LATE_S):  # in a list nothing tells when a script began
            return began
        self.starts[channel.uniqueid] = now
        self.doubts.set()
        return now

    def _change(self, channel: Channel, before: FullState, shown: Shown, *, sure: bool) -> None:
        after = _as_shown(before, channel, shown)
        if after == before:
            return
        self._put(channel.uniqueid, after)
        if before.state is State.POST_PROCESSING and after.state is State.RUNNING:
            extra = {"action": "branch_left", "id": after.id, "code": after.code}
            log.warning(
                "an External Stop branch went back into the script: end it with Hangup, not Return", extra=extra
            )
        if not sure and (after.code, after.rootcode, after.state) != (before.code, before.rootcode, before.state):
            self.doubt(channel.uniqueid)

    def _put(self, uniqueid: str, state: FullState) -> None:
        self._published[uniqueid] = state
        self._mirror.put(state)
        self._tell_watchers(uniqueid)

    def _gone(self, uniqueid: str) -> None:
        if channel := self._model.channels.pop(uniqueid, None):
            self._end(uniqueid, self._model.ended_as(channel))

    def _end(self, uniqueid: str, stoptype: StopType) -> None:
        if state := self._published.pop(uniqueid, None):
            del self._uniqueids[state.id]
            self._mirror.end(state.id, stoptype)
            if channel := self._model.channels.get(uniqueid):
                channel.started = None
        self._tell_watchers(uniqueid)

    def _tell_watchers(self, uniqueid: str) -> None:
        for watcher in self._watched.get(uniqueid, ()):
            watcher.set()


def _as_shown(state: FullState, channel: Channel, shown: Shown) -> FullState:
    return replace(
        state,
        code=shown.code,
        name=shown.name,
        state=State.POST_PROCESSING if shown.branch else State.RUNNING,
        stoptype=StopType.STOP if shown.branch else None,
        stop_id=channel.stops.latest,
        rootcode=shown.rootcode,
        rootname=shown.rootname,
        caller=channel.caller,
        called=channel.called,
        call_id=channel.linkedid,
    )
