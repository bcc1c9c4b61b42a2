"""The fields of a runtime as the API shows them: the one table that mask, filter, order, output and docs share.

The eight documented fields come first, in the contract's order; then the parts of the composite `ext`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from operator import attrgetter
from typing import Final

from ivr_runtimes.model import Row

COMPOSITE: Final = "ext"
"""The only composite field. It is shown only when the mask names it or one of its parts."""


class FieldKind(StrEnum):
    """How the values of a field compare: by code point, or as instants (RFC 3339)."""

    STRING = "string"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a runtime. `name` has a dot within `ext`; `value` reads it from a row, None if it is not set.

    `personal` ones may only be named by callers with a scope of their own (see `listing.permission`), and rows have
    them only if a query names one.
    """

    name: str
    kind: FieldKind
    meaning: str
    nullable: bool = False
    personal: bool = False
    value: Callable[[Row], str | None] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make `value`: an `attrgetter`, which is written in C, because it runs for every row."""
        object.__setattr__(self, "value", attrgetter(self.attribute))

    @property
    def attribute(self) -> str:
        """The name of the attribute that holds it, in the table and in `model`."""
        return self.name.rpartition(".")[2]

    @property
    def part(self) -> str | None:
        """The name within `ext`; None for a field outside of it."""
        composite, dot, part = self.name.partition(".")
        return part if dot and composite == COMPOSITE else None


def _number(name: str, meaning: str) -> Field:
    return Field(
        name, FieldKind.STRING, f"{meaning}, in the engine's own words; personal", nullable=True, personal=True
    )


FIELDS: Final[dict[str, Field]] = {
    each.name: each
    for each in (
        Field("id", FieldKind.STRING, "Scenario handler identifier"),
        Field("site", FieldKind.STRING, "The site where the handler is executed"),
        Field("node", FieldKind.STRING, "Node within which the handler is executed"),
        Field("domain", FieldKind.STRING, "Script domain"),
        Field("type", FieldKind.STRING, "Scenario type"),
        Field("code", FieldKind.STRING, "The code of the running script, of the nested one while it runs"),
        Field("name", FieldKind.STRING, "The name of the running script, of the nested one while it runs"),
        Field("starttime", FieldKind.TIME, "Date and time of the handler start, RFC 3339, UTC"),
        Field("ext.state", FieldKind.STRING, "`running` or `post_processing`"),
        Field("ext.stoptype", FieldKind.STRING, "Termination type in post-processing", nullable=True),
        Field("ext.stop_id", FieldKind.STRING, "The last stop that the engine has accepted for it", nullable=True),
        Field("ext.rootcode", FieldKind.STRING, "Source script's code, if nested", nullable=True),
        Field("ext.rootname", FieldKind.STRING, "Source script's name, if nested", nullable=True),
        Field("ext.session", FieldKind.STRING, "The life of the engine that runs the handler"),
        Field("ext.lwt", FieldKind.TIME, "Last write time of the row, RFC 3339, UTC"),
        _number("ext.caller", "Who calls"),
        _number("ext.called", "Who is called"),
        _number("ext.call_id", "The id of the call"),
    )
}

DOCUMENTED: Final = tuple(each for each in FIELDS.values() if each.part is None)
"""The eight fields of the public contract, in its order: what is shown without a mask."""

PERSONAL: Final = tuple(each for each in FIELDS.values() if each.personal)
"""The numbers: who calls whom in which call."""
