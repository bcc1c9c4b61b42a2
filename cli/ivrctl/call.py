"""One call of the program: the arguments and what every command needs, made once.

Owns what is wired to what. The profile is read when a command first asks for it: `--help` and completion need none.
"""

import argparse
import os
from collections.abc import Mapping
from functools import cached_property

from ivrctl.access import Tokens
from ivrctl.api import Api
from ivrctl.profiles import Profile, resolve
from ivrctl.terminal import Terminal


class Call:
    """What a command is called with."""

    def __init__(
        self, options: argparse.Namespace, terminal: Terminal, environment: Mapping[str, str] = os.environ
    ) -> None:
        self.options = options
        self.terminal = terminal
        self.environment = environment

    @cached_property
    def profile(self) -> Profile:
        """Whom to speak to."""
        return resolve(vars(self.options), self.environment)

    @cached_property
    def tokens(self) -> Tokens:
        """The profile's tokens."""
        return Tokens(self.profile)

    @cached_property
    def api(self) -> Api:
        """The API, for the main thread."""
        return Api(self.profile, self.tokens)

    def close(self) -> None:
        """Close what was opened."""
        if "api" in vars(self):
            self.api.close()
