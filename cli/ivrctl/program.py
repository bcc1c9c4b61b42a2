"""The program: which commands there are, how the line is read, and which exit code an error becomes.

The composition root. Reads the line in two steps, so that only the module of the command that is called is imported.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final, NamedTuple

from ivrctl.arguments import Parser, add_common
from ivrctl.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_PIPE, CliError, UsageError
from ivrctl.terminal import Terminal


class Command(NamedTuple):
    """A command: its module under `commands`, and what it does in a line."""

    module: str
    summary: str


COMMANDS: Final[dict[str, Command]] = {
    "list": Command("list", "list what runs now"),
    "get": Command("get", "show one running script"),
    "stop": Command("stop", "stop running scripts, and prove it"),
}

PROG: Final = "ivrctl"

DESCRIPTION: Final = "List, watch and stop the IVR scripts that run in your domain, at all sites."

EPILOG: Final = """\
examples:
  ivrctl list site=SITE1 'age>10m'
  ivrctl stop --where site=SITE1 code=player

`ivrctl COMMAND --help` shows a command's arguments and examples. Without a profile it speaks to the local
stack of `make run`. Exit codes: 0 done, 1 something failed, 2 usage, 3 auth, 4 not found, 5 partial, 6 unavailable.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # both are text files when a program starts
    terminal = Terminal()
    try:
        code = _run(given, terminal)
        sys.stdout.flush()
    except CliError as error:
        _tell(error, terminal, as_json="--json-errors" in given)
        return error.exit_code
    except KeyboardInterrupt:
        terminal.say("ended by Ctrl-C")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered goes nowhere
        return EXIT_PIPE
    return code


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
    module = import_module(f"ivrctl.commands.{COMMANDS[name].module}")
    made = Parser(
        prog=f"{PROG} {name}", usage=f"{PROG} {name} {module.USAGE}", description=module.DESCRIPTION, more=module.more
    )
    module.add(made)
    add_common(made)
    return made


def _run(given: list[str], terminal: Terminal) -> int:
    options = parser().parse_args(given)
    if options.version:
        from ivr_runtimes import __version__  # noqa: PLC0415  # only where it is asked for

        terminal.print(__version__)
        return EXIT_OK
    if options.command is None:
        parser().print_help()
        return EXIT_OK
    if options.command not in COMMANDS:
        raise UsageError(f"{PROG}: no command {options.command!r}", remedy="the commands are " + ", ".join(COMMANDS))
    return _called(options, terminal)


def _called(options: argparse.Namespace, terminal: Terminal) -> int:
    from ivrctl.call import Call  # noqa: PLC0415  # --help needs neither HTTP nor profiles

    before: dict[str, Any] = {name: value for name, value in vars(options).items() if name not in ("command", "rest")}
    own = parser_of(options.command).parse_args(options.rest)
    merged = argparse.Namespace(**{**before, **vars(own)})
    if getattr(merged, "no_color", False):
        terminal.forbid_colour()
    module = import_module(f"ivrctl.commands.{COMMANDS[options.command].module}")
    call = Call(merged, terminal)
    try:
        code: int = module.run(call)
    finally:
        call.close()
    return code


def _tell(error: CliError, terminal: Terminal, *, as_json: bool) -> None:
    sys.stdout.flush()
    if as_json:
        from ivrctl.neutral import neutral_json  # noqa: PLC0415  # beside its one use

        terminal.err.write(neutral_json(error.as_json()) + "\n")
        return
    first, *others = error.lines()
    terminal.say(f"{PROG}: {first}", colour="red")
    for line in others:
        terminal.say(line)


def _epilog() -> str:
    wide = max(map(len, COMMANDS))
    return (
        "commands:\n"
        + "".join(f"  {name:<{wide}}  {each.summary}\n" for name, each in COMMANDS.items())
        + "\n"
        + EPILOG
    )
