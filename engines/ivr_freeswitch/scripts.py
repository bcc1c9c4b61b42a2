"""Where the IVR scripts of a FreeSWITCH are found: extensions, menus of the application `ivr`, Lua files.

Owns the rules of the settings. Called by `calls`.
"""

import re
from collections.abc import Sequence
from typing import Self

from pydantic import model_validator

from ivr_engine import rules
from ivr_engine.rules import Pattern, Script


class Rule(rules.Rule):
    """One kind of IVR script; exactly one of `context`, `menu` and `lua` says where it is found."""

    context: Pattern | None = None
    extension: Pattern = ".*"
    menu: Pattern | None = None
    lua: Pattern | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if sum(place is not None for place in (self.context, self.menu, self.lua)) != 1:
            raise ValueError("give exactly one of context, menu and lua")
        return self


class Scripts:
    """The rules in order: the first that fits a place counts."""

    def __init__(self, given: Sequence[Rule]) -> None:
        self._rules = given

    def extension(self, context: str, number: str) -> Script | None:
        """Return the script that an extension is, if any."""
        found = (rule for rule in self._rules if _fits(rule.context, context) and _fits(rule.extension, number))
        return next((rule.script(number) for rule in found), None)

    def branch(self, context: str, number: str) -> Script | None:
        """Return the script whose External Stop branch an extension is, if any."""
        return next((rule.script(number) for rule in self._rules if rule.post_processing == context), None)

    def called(self, application: str, data: str) -> Script | None:
        """Return the script that an application runs, if any: a menu, or a Lua file with its arguments."""
        if application == "ivr":
            return next((rule.script(data) for rule in self._rules if _fits(rule.menu, data)), None)
        file = data.partition(" ")[0] if application == "lua" else ""
        found = (rule for rule in self._rules if _fits(rule.lua, file))
        return next((rule.script(file.removesuffix(".lua")) for rule in found), None)


def _fits(pattern: str | None, name: str) -> bool:
    return pattern is not None and re.fullmatch(pattern, name) is not None
