"""A channel: its names, where it is, its variables and its stack.

Owns the state of one channel and how it waits; what happens to it is decided in `calls`, `applications` and `bridges`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ami.dialplan import Position

if TYPE_CHECKING:
    from ami.bridges import Bridge

Join = Callable[["Channel"], Awaitable[None]]
"""What a channel does for a while outside of its dialplan."""

DOWN, RING, UP = 0, 4, 6
STATES: Final = {DOWN: "Down", RING: "Ring", UP: "Up"}
CAUSES: Final = {
    0: "Unknown",
    16: "Normal Clearing",
    17: "User busy",
    19: "User alerting, no answer",
    21: "Call Rejected",
    31: "Normal, unspecified",
}


@dataclass(slots=True)
class Frame:
    """A Gosub: where it goes back to, and the variables that end with it."""

    back: Position
    local: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Channel:
    """One channel. `position` is where it is; `shown` is where it last was when something was told of it.

    `half` is the other half of a Local channel. `told_of` says that its position has been told as a Newexten.
    """

    name: str
    uniqueid: str
    linkedid: str
    created_s: float
    state: int = DOWN
    position: Position = field(default_factory=Position)
    shown: Position = field(default_factory=Position)
    application: str = ""
    data: str = ""
    caller_number: str = ""
    caller_name: str = ""
    connected_number: str = ""
    connected_name: str = ""
    cause: int = 0
    variables: list[tuple[str, str]] = field(default_factory=list)
    stack: list[Frame] = field(default_factory=list)
    half: "Channel | None" = None
    bridge: "Bridge | None" = None
    running: "asyncio.Task[None] | None" = None
    in_dialplan: bool = False
    ending: bool = False
    redirected: bool = False
    joining: "Join | None" = None
    dead: bool = False
    told_of: bool = False
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def disturbed(self) -> bool:
        """Whether whatever it does has to stop."""
        return self.ending or self.redirected or self.joining is not None

    async def rest(self, seconds: float) -> bool:
        """Wait; tell whether nothing disturbed it."""
        if not self.disturbed:
            self._woken.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), seconds)
        return not self.disturbed

    def wake(self) -> None:
        """End its wait."""
        self._woken.set()

    def get(self, name: str) -> str | None:
        """Return a variable's value, the innermost of that name."""
        return next((value for key, value in self.variables if key.lstrip("_") == name), None)

    def set(self, name: str, value: str) -> None:
        """Set a variable where it is, or anew."""
        bare = name.lstrip("_")
        for number, (key, _) in enumerate(self.variables):
            if key.lstrip("_") == bare:
                self.variables[number] = name, value
                return
        self.variables.insert(0, (name, value))

    def set_local(self, name: str, value: str) -> None:
        """Set a variable that ends with the innermost Gosub."""
        if name in self.stack[0].local:
            self.set(name, value)
        else:
            self.stack[0].local.append(name)
            self.variables.insert(0, (name, value))

    def forget(self, name: str) -> None:
        """Take the innermost variable of that name away."""
        for number, (key, _) in enumerate(self.variables):
            if key.lstrip("_") == name:
                del self.variables[number]
                return
