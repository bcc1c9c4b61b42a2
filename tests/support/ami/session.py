"""One manager's connection: login, requests and their answers, events. Does no IO.

Owns who the manager is, what is said to it and in which order. Bytes come in by `feed` and leave by the given `write`.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable
from typing import Final, Protocol

from ami.actions import TABLE, success, told
from ami.asterisk import Asterisk
from ami.events import Event, Headers, message
from ami.lists import ACTION_ID, Answer, failure
from ami.request import Reader, Request
from ami.users import User

REFUSED_S: Final = 1.0
"""How long a refused login waits for its answer."""

CHALLENGE: Final = "128383395"
"""What MD5 logins are challenged with: the same in each session, as in the recorded one."""

SHUTTING_DOWN: Final = "Asterisk is shutting down"


class Life(Protocol):
    """Who can end an engine's life: the server. It counts logins."""

    logins: int

    def command(self, line: str, answer: Callable[[list[str]], None]) -> None:
        """Carry a command of the console out; its output may come much later."""


class Session:
    """A connection. `close` ends it."""

    def __init__(
        self, asterisk: Asterisk, *, life: Life, write: Callable[[bytes], None], close: Callable[[], None]
    ) -> None:
        self._asterisk, self._life, self._write, self._close = asterisk, life, write, close
        self.user: User | None = None
        self._events: list[Event] = []
        self._mask: frozenset[str] = frozenset()
        self._reader = Reader(limited=asterisk.quirks.long_lines_are_refused)
        self._held = False
        self._waiting: list[Request] = []
        write(f"Asterisk Call Manager/{asterisk.settings.ami_version}\r\n".encode())
        asterisk.listeners.append(self.hear)

    def end(self) -> None:
        """Hear no more."""
        if self.hear in self._asterisk.listeners:
            self._asterisk.listeners.remove(self.hear)

    def feed(self, data: bytes) -> None:
        """Take bytes in and answer what they ask."""
        if self._asterisk.faults.hung:
            return
        for request in self._reader.feed(data):
            if self._held:
                self._waiting.append(request)
            else:
                self._answer(request)

    def hear(self, event: Event) -> None:
        """Tell an event, if it is for this manager; it leaves after the answers that are being given."""
        if self.user is None or not self.user.hears(event):
            return
        if "on" not in self._mask and event.privilege not in self._mask:
            return
        self._events.append(event)
        if len(self._events) == 1:
            late_s = self._asterisk.faults.events_late_s
            asyncio.get_running_loop().call_later(late_s, self._flush)

    def _flush(self) -> None:
        events, self._events = self._events, []
        if self._asterisk.faults.hung:
            return
        if self._asterisk.faults.misordered:
            events.reverse()
        self._write(b"".join(self._rendered(event) for event in events))

    def _rendered(self, event: Event) -> bytes:
        settings = self._asterisk.settings
        bare = event.name == "FullyBooted"
        named = settings.system_name and self._asterisk.quirks.systemname_is_told
        return message([
            ("Event", event.name),
            ("Privilege", f"{event.privilege},all"),
            *([("Timestamp", f"{time.time():.6f}")] if settings.timestamps and not bare else []),
            *([("SystemName", settings.system_name)] if named and not bare else []),
            *event.headers,
        ])  # fmt: skip

    def _answer(self, request: Request) -> None:
        if not self._asterisk.quirks.events_follow_lists and self._events:
            self._flush()
        said = []
        for headers in self._answers(request):
            is_row = headers[0][0] == "Event" and ("EventList", "Complete") not in headers
            said.append(self._reply(request, headers, is_row=is_row))
        self._write(b"".join(said))

    def _reply(self, request: Request, headers: Headers, *, is_row: bool) -> bytes:
        faults, action_id = self._asterisk.faults, request.get("ActionID")
        hidden = not action_id or (is_row and faults.anonymous_rows)
        shown = [
            (ACTION_ID[0], action_id) if header == ACTION_ID else header
            for header in headers
            if header != ACTION_ID or not hidden
        ]
        return message(shown, end="\n" if is_row and faults.odd_row_ends else "\r\n")

    def _answers(self, request: Request) -> Answer:
        name = request.get("Action").lower()
        if request.fault or not name:
            return failure(request.fault or "Missing action in request")
        if self._asterisk.draining and self._asterisk.quirks.draining_refuses_everything:
            return failure(SHUTTING_DOWN)
        if name in {"challenge", "login"}:
            return told(("Challenge", CHALLENGE)) if name == "challenge" else self._login(request)
        return self._act(name, request, self.user) if self.user else failure("Permission denied")

    def _act(self, name: str, request: Request, user: User) -> Answer:
        if name == "logoff":
            asyncio.get_running_loop().call_soon(self._close)
            return iter([[("Response", "Goodbye"), ACTION_ID, ("Message", "Thanks for all the fish.")]])
        if name == "events":
            self._mask = _mask(request.get("EventMask"))
            return told(("Events", "On" if self._mask else "Off"))
        if name == "command":
            return self._command(request) if user.may("command") else failure("Permission denied")
        action = TABLE.get(name)
        if action is None:
            asked = request.get("Action")
            return failure(f"Invalid/unknown command: {asked}. Use Action: ListCommands to show available commands.")
        return action.run(self._asterisk, request) if user.may(*action.classes) else failure("Permission denied")

    def _login(self, request: Request) -> Answer:
        if self.user is not None:
            return success("Already authenticated")
        self._life.logins += 1
        user = self._asterisk.users.get(request.get("Username"))
        too_early = self._boot_left_s() > 0 and not self._asterisk.quirks.login_before_boot
        if user is None or not user.allowed or too_early or not self._knows_secret(user, request):
            return self._refuse(request)
        self.user = user
        self._mask = _mask(request.get("Events") or "on")
        loop = asyncio.get_running_loop()
        if self._asterisk.faults.close_at_login:
            loop.call_soon(self._close)
        loop.call_later(max(0.0, self._boot_left_s()), self._booted)
        return success("Authentication accepted")

    def _boot_left_s(self) -> float:
        left_s = self._asterisk.started_at + self._asterisk.settings.boot_s - time.time()
        return left_s if self._asterisk.settings.boot_s else 0.0

    def _booted(self) -> None:
        headers = ("Uptime", "1"), ("LastReload", "1"), ("Status", "Fully Booted")
        self.hear(Event("FullyBooted", "system", headers))

    def _knows_secret(self, user: User, request: Request) -> bool:
        if request.get("AuthType").upper() == "MD5":
            key = hashlib.md5((CHALLENGE + user.secret).encode(), usedforsecurity=False).hexdigest()
            return request.get("Key") == key
        return request.get("Secret") == user.secret

    def _refuse(self, request: Request) -> Answer:
        refusal = next(failure("Authentication failed"))
        if not self._asterisk.quirks.refused_logins_are_slow:
            return iter([refusal])

        def refuse() -> None:
            self._write(self._reply(request, refusal, is_row=False))
            self._close()

        self._held = True
        asyncio.get_running_loop().call_later(REFUSED_S, refuse)
        return iter(())

    def _command(self, request: Request) -> Answer:
        self._held = True

        def answer(output: list[str]) -> None:
            failed = output[-1].startswith(("No such", "Command '")) if output else False
            lines = [("Output", line) for line in output]
            headers = [("Response", "Error" if failed else "Success"), ACTION_ID, ("Message", "Command output follows")]
            self._write(self._reply(request, [*headers, *lines], is_row=False))
            self._held = False
            waiting, self._waiting = self._waiting, []
            for other in waiting:
                self._answer(other)

        self._life.command(request.get("Command"), answer)
        return iter(())


def _mask(given: str) -> frozenset[str]:
    words = frozenset(given.lower().split(","))
    return frozenset() if words <= {"off", ""} else words
