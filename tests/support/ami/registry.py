"""The applications of the dialplan by name.

Owns the table; `applications` and `bridges` fill it, `calls` looks in it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from ami.asterisk import Asterisk
from ami.channel import Channel

Run = Callable[[Asterisk, Channel, str], Awaitable[bool]]
"""Runs an application with its arguments; tells whether the dialplan goes on."""

_TABLE: Final[dict[str, "Application"]] = {}


@dataclass(frozen=True, slots=True)
class Application:
    """An application and its name as Asterisk spells it."""

    name: str
    run: Run


def application(name: str) -> Callable[[Run], Run]:
    """Enter a function into the table."""

    def enter(run: Run) -> Run:
        _TABLE[name.lower()] = Application(name, run)
        return run

    return enter


def find(name: str) -> Application | None:
    """Return an application, however its name is spelled."""
    return _TABLE.get(name.lower())
