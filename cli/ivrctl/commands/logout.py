"""`ivrctl logout`: removes the profile's token from this machine."""

import argparse

from ivrctl.call import Call
from ivrctl.errors import EXIT_OK

USAGE = "[options]"

DESCRIPTION = (
    "Remove the profile's token from this machine. The issuer is told nothing: the token lasts as long as it does."
)

EXAMPLES = """\
examples:
  ivrctl logout --profile prod
"""


def more() -> str:
    """Return the examples."""
    return EXAMPLES


def add(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""


def run(call: Call) -> int:
    """Log out."""
    call.terminal.say("the token is removed" if call.tokens.forget() else "there was no token")
    return EXIT_OK
