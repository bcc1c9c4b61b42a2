"""The fields of a runtime as the API shows them: one table, which mask, filter, order, output and docs share.

The eight documented fields come first, in the contract's order; then the parts of the composite `ext`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ivr_runtimes.model import Runtime

COMPOSITE: Final = "ext"
"""The one composite field: shown only when the mask names it or a part of it."""


class Kind(StrEnum):
    """How a field's values compare: by code point, or as instants (RFC 3339)."""

    STRING = "string"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Field:
    """A field: its name (dotted within `ext`), how it compares, its value in a row (None = not set), its meaning."""

    name: str
    kind: Kind
    value: Callable[[Runtime], str | None]
    meaning: str
    nullable: bool = False

    @property
    def part(self) -> str | None:
        """The name within `ext`, or None for a plain field."""
        composite, dot, part = self.name.partition(".")
        return part if dot and composite == COMPOSITE else None


FIELDS: Final[dict[str, Field]] = {
    field.name: field
    for field in (
        Field("id", Kind.STRING, lambda r: r.id, "Scenario handler identifier"),
        Field("site", Kind.STRING, lambda r: r.site, "The site where the handler is executed"),
        Field("node", Kind.STRING, lambda r: r.node, "Node within which the handler is executed"),
        Field("domain", Kind.STRING, lambda r: r.domain, "Script domain"),
        Field("type", Kind.STRING, lambda r: r.type, "Scenario type"),
        Field("code", Kind.STRING, lambda r: r.code, "The code of the running script, of the nested one while it runs"),
        Field("name", Kind.STRING, lambda r: r.name, "The name of the running script, of the nested one while it runs"),
        Field("starttime", Kind.TIME, lambda r: r.starttime, "Date and time of the handler start, RFC 3339, UTC"),
        Field("ext.state", Kind.STRING, lambda r: r.state, "`running` or `post_processing`"),
        Field("ext.stoptype", Kind.STRING, lambda r: r.stoptype, "Termination type in post-processing", nullable=True),
        Field("ext.rootcode", Kind.STRING, lambda r: r.rootcode, "Source script's code, if nested", nullable=True),
        Field("ext.rootname", Kind.STRING, lambda r: r.rootname, "Source script's name, if nested", nullable=True),
        Field("ext.session", Kind.STRING, lambda r: r.session, "The life of the engine that runs the handler"),
        Field("ext.lwt", Kind.TIME, lambda r: r.lwt, "Last write time of the row, RFC 3339, UTC"),
    )
}

DOCUMENTED: Final = tuple(field for field in FIELDS.values() if field.part is None)
"""The eight fields of the contract, in its order: what is shown without a mask."""
