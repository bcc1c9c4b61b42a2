"""A dialplan as `extensions.conf` has it: contexts, extensions, patterns, labels, includes.

Owns parsing and looking up; runs nothing. A step is what stands at one priority.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Final, NamedTuple

_STEP: Final = re.compile(r"(?P<priority>\d+|n)(?:\((?P<label>[\w-]+)\))?,(?P<call>.*)")
_CALL: Final = re.compile(r"(?P<application>\w+)(?:\((?P<data>.*)\))?", re.DOTALL)
_CLASSES: Final = {"X": "[0-9]", "Z": "[1-9]", "N": "[2-9]", ".": ".+", "!": ".*"}


class Position(NamedTuple):
    """Where a channel is in the dialplan."""

    context: str = ""
    exten: str = ""
    priority: int = 1


@dataclass(frozen=True, slots=True)
class Step:
    """An application and its arguments; `label` is empty where there is none."""

    application: str
    data: str
    label: str = ""


@dataclass(slots=True)
class Context:
    """The extensions of a context, each with its steps by priority, and the contexts it includes."""

    extensions: dict[str, dict[int, Step]] = field(default_factory=dict)
    includes: list[str] = field(default_factory=list)

    def named(self) -> Iterator[tuple[str, dict[int, Step]]]:
        """Yield the extensions as Asterisk lists them: by name, patterns last."""
        yield from sorted(self.extensions.items(), key=lambda item: (item[0].startswith("_"), item[0]))


class Dialplan:
    """The contexts by name, and the global variables."""

    def __init__(self, text: str) -> None:
        self.contexts: dict[str, Context] = {}
        self.variables: dict[str, str] = {}
        self._parse(text)

    def step(self, position: Position) -> Step | None:
        """Return what stands there, in the context or in one it includes."""
        for _, _, steps in self.extensions(position.context, position.exten):
            if position.priority in steps:
                return steps[position.priority]
        return None

    def exists(self, context: str, exten: str, priority: int = 1) -> bool:
        """Tell whether something stands there."""
        return self.step(Position(context, exten, priority)) is not None

    def labelled(self, context: str, exten: str, label: str) -> int | None:
        """Return the priority of a label."""
        for _, _, steps in self.extensions(context, exten):
            for priority, step in steps.items():
                if step.label == label:
                    return priority
        return None

    def extensions(self, context: str, exten: str) -> Iterator[tuple[str, str, dict[int, Step]]]:
        """Yield the contexts and extensions that match, the best first, each with its steps."""
        if (found := self.contexts.get(context)) is None:
            return
        if exten in found.extensions:
            yield context, exten, found.extensions[exten]
        for name, steps in found.extensions.items():
            if name.startswith("_") and name != exten and _pattern(name).fullmatch(exten):
                yield context, name, steps
        for included in found.includes:
            yield from self.extensions(included, exten)

    def _parse(self, text: str) -> None:
        context, steps, priority = Context(), dict[int, Step](), 0
        section = ""
        for line in map(_uncommented, text.splitlines()):
            if line.startswith("["):
                section = line.strip("[]")
                context = self.contexts.setdefault(section, Context()) if section != "globals" else Context()
            elif section == "globals" and "=" in line:
                name, _, value = line.partition("=")
                self.variables[name.strip()] = value.removeprefix(">").strip()
            elif line.startswith("include"):
                context.includes.append(line.partition("=>")[2].strip())
            elif line.startswith(("exten", "same")):
                what = line.partition("=>")[2].strip()
                if line.startswith("exten"):
                    name, _, what = what.partition(",")
                    steps = context.extensions.setdefault(name, {})
                priority = _take(what, steps, after=priority)


def _take(what: str, steps: dict[int, Step], *, after: int) -> int:
    """Take one step in; return its priority."""
    step = _STEP.fullmatch(what.strip())
    call = _CALL.fullmatch(step["call"].strip()) if step else None
    if step is None or call is None:
        raise ValueError(f"this is no step of a dialplan: {what}")
    priority = after + 1 if step["priority"] == "n" else int(step["priority"])
    steps[priority] = Step(call["application"], call["data"] or "", step["label"] or "")
    return priority


def _uncommented(line: str) -> str:
    return re.sub(r"(?<!\\);.*", "", line).strip().replace("\\;", ";")


@cache
def _pattern(name: str) -> re.Pattern[str]:
    """Return a pattern of Asterisk's as a regular expression."""
    sets = re.split(r"(\[[^\]]+\])", name[1:])
    text = "".join(
        part if part.startswith("[") else "".join(_CLASSES.get(char, re.escape(char)) for char in part)
        for part in sets
    )  # fmt: skip
    return re.compile(text, re.DOTALL)
