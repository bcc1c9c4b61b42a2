"""Manager users: what they may read and do, and which events they want left out.

Owns the rules of `manager.conf` that matter to a client; the samples are those of the recordings.
"""

import re
from dataclasses import dataclass
from typing import Final

from ami.events import Event

ALL: Final = frozenset({"all"})


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user. `left_out` are patterns of `header: value` lines whose events are not told; `allowed` is the ACL."""

    name: str
    secret: str = "secret"
    read: frozenset[str] = ALL
    write: frozenset[str] = ALL
    left_out: tuple[str, ...] = ()
    allowed: bool = True

    def may(self, *classes: str) -> bool:
        """Tell whether it may do what needs one of these classes; none is needed for what everybody may."""
        return not classes or "all" in self.write or bool(self.write & set(classes))

    def hears(self, event: Event) -> bool:
        """Tell whether an event is for it."""
        if "all" not in self.read and event.privilege not in self.read:
            return False
        lines = [f"Event: {event.name}", *(f"{name}: {value}" for name, value in event.headers)]
        return not any(re.search(pattern, line) for pattern in self.left_out for line in lines)


EVERYBODY: Final = (
    User(
        name="ivr",
        read=frozenset({"system", "call", "dialplan", "user", "reporting"}),
        write=frozenset({"system", "call", "command", "originate", "reporting"}),
    ),
    User(name="full"),
    User(name="callonly", read=frozenset({"call"}), write=frozenset({"call"})),
    User(name="least", read=frozenset({"call", "dialplan"}), write=frozenset({"call", "reporting"})),
    User(
        name="filtered",
        read=frozenset({"system", "call", "dialplan"}),
        write=frozenset({"system", "call", "reporting"}),
        left_out=(
            "^Event: (VarSet|DeviceStateChange|DialBegin|DialEnd|RTCP)",
            r"^Channel: Local/.*;2",
        ),
    ),
    User(name="elsewhere", read=frozenset({"call"}), write=frozenset({"call"}), allowed=False),
)
