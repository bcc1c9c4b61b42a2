"""What a bridge's settings say of the scripts of a dialplan: how each kind is called, whose it is, how it is stopped.

Owns what rules of every engine have in common. An engine subclasses `Rule` and adds where such scripts are found.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

MAX_TEXT: Final = 256
"""Characters of a code or name at most: the engine protocol's limit; longer ones are cut."""

DOMAIN: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?")
"""What the agent takes for a domain. It is looked at before it is folded: other letters fold to these, too."""


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression ({error}); mend it") from None
    return text


Pattern = Annotated[str, AfterValidator(_pattern)]
"""A regular expression for a whole name."""

Text = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT)]

Domain = Annotated[str, StringConstraints(pattern=f"^{DOMAIN.pattern}$"), AfterValidator(str.lower)]
"""A domain, folded to lower case."""


def domain_of(name: str) -> str | None:
    """Return a domain as the agent is told it, in lower case; None if the name is none."""
    return name.lower() if DOMAIN.fullmatch(name) else None


class Rule(BaseModel):
    """One kind of script. Without `name` and `domain` the channel's variables tell them; `code` is the place's name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Text = "ivr"
    code: Text | None = None
    name: Text | None = None
    domain: Domain | None = None
    post_processing: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,128}$")] | None = None
    """The context with the External Stop branches of these scripts."""
    catch_all: bool = False
    """Whether that context takes any number, so that it need not be looked into."""

    def script(self, place: str) -> "Script":
        """Return the script that runs at a place of this kind."""
        code = (self.code or place)[:MAX_TEXT]
        return Script(self, place, code, self.name or code)


@dataclass(slots=True)
class Script:
    """A script as it runs: `code` and `name` may change meanwhile; its branch has the name of the `place`."""

    rule: Rule
    place: str
    code: str
    name: str

    def branch_of(self, other: "Script") -> None:
        """Take over what the stopped script is called: this is its branch."""
        self.rule, self.code, self.name = other.rule, other.code, other.name

    def call(self, name: str) -> None:
        """Take the name that the script has set, unless its rule names it."""
        self.name = self.rule.name or name[:MAX_TEXT]
