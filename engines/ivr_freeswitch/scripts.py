"""Which places in the dialplan are IVR scripts, and what each is called: the rules of the settings.

Owns the rules and how they are applied. A place is an extension in a context, a menu of the application `ivr`, or a Lua
script. Called by `calls`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

MAX_TEXT: Final = 256
"""Characters of a code or name at most: the engine protocol's limit; longer ones are cut."""

Text = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT)]
Context = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]
DOMAIN: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?")


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression ({error}); mend it") from None
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]


class Rule(BaseModel):
    """One kind of IVR script; exactly one of `context`, `menu` and `lua` says where it is found.

    Patterns are regular expressions for the whole name. Without `name` the channel's variable `ivr_name` counts,
    without `domain` its variable `ivr_domain`; `code` is the extension, the menu or the Lua file's name unless given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    context: Pattern | None = None
    extension: Pattern = ".*"
    menu: Pattern | None = None
    lua: Pattern | None = None
    type: Text = "ivr"
    code: Text | None = None
    name: Text | None = None
    domain: Annotated[str, StringConstraints(to_lower=True, pattern=f"^{DOMAIN.pattern}$")] | None = None
    post_processing: Context | None = None
    catch_all: bool = False

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if sum(place is not None for place in (self.context, self.menu, self.lua)) != 1:
            raise ValueError("give exactly one of context, menu and lua")
        return self


@dataclass(slots=True)
class Script:
    """A script as it runs: `code` and `name` may change while it does, `place` is its extension, menu or Lua file."""

    rule: Rule
    place: str
    code: str
    name: str


class Scripts:
    """The rules in order: the first that fits a place counts."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._branches = {rule.post_processing: rule for rule in reversed(rules) if rule.post_processing}

    def extension(self, context: str, extension: str) -> Script | None:
        """Return the script that the extension is, if any."""
        for rule in self._rules:
            if rule.context and re.fullmatch(rule.context, context) and re.fullmatch(rule.extension, extension):
                return _script(rule, extension)
        return None

    def menu(self, name: str) -> Script | None:
        """Return the script that a menu of the application `ivr` is, if any."""
        return next((_script(one, name) for one in self._rules if one.menu and re.fullmatch(one.menu, name)), None)

    def lua(self, command: str) -> Script | None:
        """Return the script that a Lua file with its arguments is, if any."""
        file = command.partition(" ")[0]
        rule = next((one for one in self._rules if one.lua and re.fullmatch(one.lua, file)), None)
        return _script(rule, file.removesuffix(".lua")) if rule else None

    def branch(self, context: str, extension: str) -> Script | None:
        """Return the script whose External Stop branch the extension is, if the context is one of branches."""
        rule = self._branches.get(context)
        return _script(rule, extension) if rule else None


def _script(rule: Rule, place: str) -> Script:
    code = (rule.code or place)[:MAX_TEXT]
    return Script(rule, place, code, rule.name or code)


Rules = Annotated[tuple[Rule, ...], Field(min_length=1)]
