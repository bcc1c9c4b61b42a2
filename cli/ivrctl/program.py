"""The program: reads the line, calls the command, and turns errors into exit codes.

The composition root. Reads the line in two steps, so that only the module of the command that is called is imported.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from ivrctl.errors import EXIT_INTERRUPTED, EXIT_OK, EXIT_PIPE, CliError, UsageError
from ivrctl.grammar import COMMANDS, PROG, module_of, parser, parser_of
from ivrctl.terminal import Terminal


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
        raise UsageError(f"{PROG}: no command {options.command!r}", remedy="`ivrctl --help` lists the commands")
    return _called(options, terminal)


def _called(options: argparse.Namespace, terminal: Terminal) -> int:
    from ivrctl.call import Call  # noqa: PLC0415  # --help needs neither HTTP nor profiles

    before: dict[str, Any] = {name: value for name, value in vars(options).items() if name not in ("command", "rest")}
    own = parser_of(options.command).parse_args(options.rest)
    merged = argparse.Namespace(**{**before, **vars(own)})
    if getattr(merged, "no_color", False):
        terminal.forbid_colour()
    call = Call(merged, terminal)
    try:
        code: int = module_of(options.command).run(call)
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
