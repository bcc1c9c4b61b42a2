"""The command line's grammar: the parser that every command fills, and the options that all of them have.

Owns how an argument is refused (as `UsageError`, so that `--json-errors` holds for it, too) and the types of values.
`program` makes the parsers.
"""

import argparse
from collections.abc import Callable
from typing import Any, Final, NoReturn

from ivrctl import durations
from ivrctl.errors import UsageError

ZONES: Final = ("utc", "local")


HELP_COLUMNS: Final = 110
"""The width of help, on whatever terminal: so docs/cli.md is the same everywhere, and `shutil` is not imported."""


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help in a form that is the same in every version of Python."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=HELP_COLUMNS)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        value = "" if action.nargs == 0 else f" {action.metavar or '|'.join(action.choices or ())}"
        return ", ".join(action.option_strings) + value if action.option_strings else str(action.metavar)


class Parser(argparse.ArgumentParser):
    """An argument parser that raises instead of ending the program, and takes no abbreviated options.

    `more` returns text for the end of the help, which is made only when the help is shown.
    """

    def __init__(self, *, more: Callable[[], str] | None = None, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, add_help=False, formatter_class=_Help, **settings)
        self.add_argument("-h", "--help", action="help", help="show this and end")

        self._more = more
        self.color = False  # Python 3.14 would colour the help

    def format_help(self) -> str:
        """Return the help."""
        if self._more is not None:
            self.epilog, self._more = self._more(), None
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """Refuse the arguments."""
        raise UsageError(f"{self.prog}: {message}", remedy=f"`{self.prog} --help` shows what it takes")


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add what every command takes, before or after the command's name. What is not given is not set."""
    group = parser.add_argument_group("common options")

    def add(*names: str, **settings: Any) -> None:
        group.add_argument(*names, default=argparse.SUPPRESS, **settings)

    add("--profile", metavar="NAME", help="whom to speak to and as whom (IVRCTL_PROFILE; without any: local)")
    add("--config", metavar="FILE", help="the profiles (IVRCTL_CONFIG; ~/.config/ivrctl/config.toml)")
    add("--url", metavar="URL", help="where the API is, instead of the profile's (IVRCTL_URL)")
    add("--zone", choices=ZONES, help="show and read times in UTC or in local time (IVRCTL_ZONE; utc)")
    add("--no-color", action="store_true", help="no colours, as with NO_COLOR or TERM=dumb, or when piped")
    add("--json-errors", action="store_true", help="tell an error as JSON: the API's own problem, if it is one")


def add_filter(parser: argparse._ActionsContainer) -> None:
    """Add the full language's filter."""
    parser.add_argument(
        "--filter", metavar="JSON", help="a filter in the API's own language (docs/query.md), also beside WHERE"
    )


def duration(text: str) -> float:
    """Read a duration argument, in seconds."""
    try:
        return durations.seconds(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def whole(least: int, most: int) -> Any:
    """Return a reader of whole numbers within bounds."""

    def number(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {least} to {most}")
        return int(text)

    return number
