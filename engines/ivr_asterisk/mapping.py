"""Which dialplan is a script: from context and extension to code, name and domain.

Owns the rules of the settings. Called by `model` for each place at which a channel is.
"""

import re
from dataclasses import dataclass, replace
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, model_validator

from ivr_engine.rules import Domain, Pattern, Text

PASSING: Final = frozenset({"a", "e", "i", "o", "t", "T"})
"""Extensions that Asterisk enters by itself, out of another of the same context: that one still names the script."""

NAMELESS: Final = PASSING | {"s", "failed"}
"""Extensions that name no script: where a code is made of the extension, the context stands for them."""


@dataclass(frozen=True, slots=True)
class Script:
    """What a place in the dialplan runs; `name` and `domain` are None where the channel's variables tell them."""

    code: str
    name: str | None = None
    domain: str | None = None
    branch: bool = False
    """Whether it is the External Stop branch of the script with that code."""


class Rule(BaseModel):
    """Places of the dialplan that are scripts: regular expressions of the whole, and a template of the code."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    context: Pattern
    exten: Pattern = ".+"
    code: Text = "{exten}"
    name: Text | None = None
    domain: Domain | None = None

    @model_validator(mode="after")
    def _code_can_be_filled_in(self) -> Self:
        groups = {*re.compile(self.context).groupindex, *re.compile(self.exten).groupindex, "context", "exten"}
        try:
            self.code.format(**dict.fromkeys(groups, "x"))
        except (KeyError, IndexError, ValueError, AttributeError):
            names = ", ".join(f"{{{name}}}" for name in sorted(groups))
            raise ValueError(f"code: a text with one or more of {names}") from None
        return self

    def script(self, context: str, exten: str) -> Script | None:
        """Return the script at that place, None if the rule is not about it."""
        in_context, at_exten = re.fullmatch(self.context, context), re.fullmatch(self.exten, exten)
        if in_context is None or at_exten is None:
            return None
        named = {"context": context, "exten": context if exten in NAMELESS else exten}
        groups = {key: value or "" for key, value in (in_context.groupdict() | at_exten.groupdict()).items()}
        return Script(self.code.format(**{**groups, **named}) or context, self.name, self.domain)


class Scripts:
    """The rules, the first that fits counts; `branches` is the context of the External Stop branches."""

    def __init__(self, rules: tuple[Rule, ...], *, branches: str) -> None:
        self.branches = branches
        self._rules = rules
        self._known: dict[tuple[str, str], Script | None] = {}

    def find(self, context: str, exten: str) -> Script | None:
        """Return the script at that place; None outside of the scripts and in an `h` extension."""
        place = (context, exten)
        if place not in self._known:
            if len(self._known) >= MAX_KNOWN:  # callers dial extensions of their own
                self._known.clear()
            self._known[place] = self._look_up(context, exten)
        return self._known[place]

    def _look_up(self, context: str, exten: str) -> Script | None:
        if exten in {"", "h"}:
            return None
        script = next((script for rule in self._rules if (script := rule.script(context, exten))), None)
        if context != self.branches:
            return script
        return replace(script, code=exten, branch=True) if script else Script(exten, branch=True)


MAX_KNOWN: Final = 10_000
"""Places whose script is remembered."""
