"""The table of commands, and the parsers of a line.

Owns which commands there are. A command's own module is imported only where its parser is made. Used by the program, by
completion and by the maker of docs/cli.md.
"""

import argparse
from importlib import import_module
from typing import Any, Final, NamedTuple

from ivrctl.arguments import Parser, add_common


class Command(NamedTuple):
    """A command: its module under `commands`, and what it does in a line; without one it is for other programs."""

    module: str
    summary: str


COMMANDS: Final[dict[str, Command]] = {
    "list": Command("list", "list what runs now"),
    "get": Command("get", "show one running script"),
    "stop": Command("stop", "stop running scripts, and prove it"),
    "watch": Command("watch", "show what runs, live"),
    "login": Command("login", "get a token and keep it"),
    "logout": Command("logout", "remove the token from this machine"),
    "doctor": Command("doctor", "say what is wrong"),
    "completion": Command("completion", "print a script for bash, zsh or fish"),
    "complete-line": Command("complete", ""),
}

PROG: Final = "ivrctl"

DESCRIPTION: Final = "List, watch and stop the IVR scripts that run in your domain, at all sites."

EPILOG: Final = """\
examples:
  ivrctl list site=SITE1 'age>10m'
  ivrctl watch
  ivrctl stop --where site=SITE1 code=player

`ivrctl COMMAND --help` shows a command's arguments and examples. Without a profile it speaks to the local
stack of `make run`. Exit codes: 0 done, 1 something failed, 2 usage, 3 auth, 4 not found, 5 partial, 6 unavailable.
"""


def parser() -> Parser:
    """Return the parser of the program's own options, up to the command's name."""
    made = Parser(prog=PROG, usage="ivrctl [options] COMMAND [arguments]", description=DESCRIPTION, more=_epilog)
    made.add_argument("--version", action="store_true", help="show the version and end")
    add_common(made)
    made.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    made.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return made


def parser_of(name: str) -> Parser:
    """Return a command's parser; imports its module."""
    module = module_of(name)
    made = Parser(
        prog=f"{PROG} {name}", usage=f"{PROG} {name} {module.USAGE}", description=module.DESCRIPTION, more=module.more
    )
    module.add(made)
    add_common(made)
    return made


def module_of(name: str) -> Any:
    """Import a command's module."""
    return import_module(f"ivrctl.commands.{COMMANDS[name].module}")


def _epilog() -> str:
    told = {name: each.summary for name, each in COMMANDS.items() if each.summary}
    wide = max(map(len, told))
    return "commands:\n" + "".join(f"  {name:<{wide}}  {text}\n" for name, text in told.items()) + "\n" + EPILOG
