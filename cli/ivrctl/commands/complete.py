"""`ivrctl complete-line`: what may stand at the end of a line; the shells' scripts call it, people do not.

Owns the candidates. Never fails and never waits long: without an answer from the API there are just no values.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from ivrctl.access import read_cached, write_cached
from ivrctl.api import Query
from ivrctl.call import Call
from ivrctl.errors import EXIT_OK, CliError
from ivrctl.grammar import COMMANDS, parser, parser_of
from ivrctl.neutral import neutral
from ivrctl.profiles import names_in

USAGE = "LINE"

DESCRIPTION = "Print what may stand at the end of a line, for the shells' scripts."

FRESH_S: Final = 60.0
"""How long values are offered without asking the API again."""

MOST_ROWS: Final = 1000
"""Values are taken from so many rows, the youngest."""

VALUES: Final = ("site", "node", "code", "type")
STATES: Final = ("running", "post_processing")


def more() -> str:
    """Return nothing: people do not call it."""
    return ""


def add(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("line", metavar="LINE", help="the line up to the cursor")


def run(call: Call) -> int:
    """Print the candidates, one a line."""
    for each in candidates(call.options.line, lambda: values(call), lambda: names_in(vars(call.options))):
        call.terminal.print(each)
    return EXIT_OK


def candidates(line: str, known: Callable[[], dict[str, list[str]]], profiles: Callable[[], list[str]]) -> list[str]:
    """Return what may stand at the line's end; `known` returns values by field, `profiles` their names."""
    *before, word = line.lstrip().split(" ")
    words = [each for each in before[1:] if each]
    command = next((each for each in words if each in COMMANDS), None)
    grammar = parser_of(command) if command else parser()
    found = _of_option(grammar, words[-1] if words else "", profiles)
    if found is None:
        found = [*_options(grammar)] if word.startswith("-") else _words(command, word, words, known)
    return sorted({each for each in found if each.startswith(word)})


def values(call: Call) -> dict[str, list[str]]:
    """Return the values of fields that run now, from a cache of a minute."""
    file = os.path.join(call.profile.cache, "values", os.path.basename(call.tokens.file))
    kept = read_cached(file)
    if kept is not None and 0 <= time.time() - float(kept.get("at_s", 0)) < FRESH_S:
        return dict(kept["values"])
    try:
        rows = call.api.rows(Query(mask=",".join(("id", *VALUES)), order="-starttime", limit=MOST_ROWS)).rows
    except CliError:
        return {}
    found = {name: sorted({str(row.get(name)) for row in rows}) for name in ("id", *VALUES)}
    write_cached(file, {"at_s": time.time(), "values": found})
    return found


def _of_option(grammar: argparse.ArgumentParser, last: str, profiles: Callable[[], list[str]]) -> list[str] | None:
    """Return the values of the option that the last word is; None if it is none, or takes no value."""
    for action in grammar._actions:  # noqa: SLF001  # argparse shows its options nowhere else
        if last in action.option_strings and action.nargs != 0 and not isinstance(action.nargs, str):
            return profiles() if last == "--profile" else [str(each) for each in action.choices or ()]
    return None


def _options(grammar: argparse.ArgumentParser) -> Iterable[str]:
    for action in grammar._actions:  # noqa: SLF001  # argparse shows its options nowhere else
        yield from (each for each in action.option_strings if each.startswith("--"))


def _words(command: str | None, word: str, words: Sequence[str], known: Callable[[], dict[str, Any]]) -> list[str]:
    if command is None:
        return _commands()
    if command == "completion":
        return ["bash", "fish", "zsh"]
    conditions = command in ("list", "watch") or "--where" in words
    if conditions:
        return _conditions(word, known)
    return _sound(known().get("id", [])) if command in ("get", "stop") else []


def _conditions(word: str, known: Callable[[], dict[str, Any]]) -> list[str]:
    from ivrctl.where import names  # noqa: PLC0415  # it imports the core

    field, sign, typed = word.partition("=")
    if not sign:
        return [f"{name}=" for name in names() if name != "age"] + ["age>", "age<"]
    *others, _ = typed.split(",")
    offered = STATES if field in ("state", "ext.state") else known().get(field, [])
    head = ",".join([*others, ""])
    return [f"{field}={head}{value}" for value in _sound(offered) if value not in others]


def _commands() -> list[str]:
    return [name for name, command in COMMANDS.items() if command.summary]


def _sound(offered: Iterable[object]) -> list[str]:
    """Leave out what a shell would take apart: data of callers must not become parts of a command."""
    texts = [str(each) for each in offered]
    return [each for each in texts if neutral(each) == each and not set(each) & set(" \t'\"\\$`;&|<>()*?[]{}!#~,")]
