"""The bridge's settings: environment (IVR_FREESWITCH_…), then the TOML file, then defaults.

Owns the bridge's own settings, beside those of every engine. Read once, by `__main__`.
"""

from typing import Annotated, Final

from pydantic import Field, StringConstraints
from pydantic_settings import SettingsConfigDict

from ivr_engine.settings import EngineSettings, ListOf, Secret
from ivr_freeswitch.scripts import Rule

PREFIX: Final = "IVR_FREESWITCH_"


class Settings(EngineSettings):
    """What the bridge can be told."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    node: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}@[A-Za-z0-9_.:\[\]-]{1,253}$")] | None = None
    """The node this FreeSWITCH is, `name@host`: appears in the log only, the agent names the node to the world."""

    host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,253}$")] = "127.0.0.1"
    """Where FreeSWITCH listens for the Event Socket: a name or an address. The protocol is not encrypted."""

    port: Annotated[int, Field(ge=1, le=65535)] = 8021
    """The Event Socket's port."""

    user: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+@[A-Za-z0-9_.-]+$")] | None = None
    """The Event Socket user, `name@domain` of the directory. Default: the socket's own password, with all rights."""

    password: Secret
    """The user's `esl-password`; without a user the password of event_socket.conf."""

    scripts: Annotated[tuple[Rule, ...], Field(min_length=1), *ListOf]
    """What is an IVR script: a list of rules, the first that fits a place counts; JSON in the environment."""
