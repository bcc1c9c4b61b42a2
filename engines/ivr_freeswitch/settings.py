"""The bridge's settings: environment (IVR_FREESWITCH_…), then the TOML file, then defaults.

Owns the bridge's own settings, beside those of every engine. Read once, by `__main__`.
"""

import json
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, StringConstraints
from pydantic_settings import NoDecode, SettingsConfigDict

from ivr_engine.settings import EngineSettings
from ivr_freeswitch.scripts import Rules

PREFIX: Final = "IVR_FREESWITCH_"


def _from_json(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError(f"not JSON ({error}); write a list of objects") from None


def _one_line(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not text.isprintable() or text != text.strip():
        raise ValueError("holds a control character or a blank at an end; write it as one line of visible characters")
    return secret


class Settings(EngineSettings):
    """What the bridge can be told."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,253}$")] = "127.0.0.1"
    """Where FreeSWITCH listens for the Event Socket: a name or an address. The protocol is not encrypted."""

    port: Annotated[int, Field(ge=1, le=65535)] = 8021
    """The Event Socket's port."""

    user: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]+@[A-Za-z0-9_.-]+$")] | None = None
    """The Event Socket user, `name@domain` of the directory. Default: the socket's own password, with all rights."""

    password: Annotated[SecretStr, Field(min_length=1), AfterValidator(_one_line)]
    """The user's `esl-password`; without a user the password of event_socket.conf."""

    scripts: Annotated[Rules, NoDecode, BeforeValidator(_from_json)]
    """What is an IVR script: a list of rules, the first that fits a place counts; JSON in the environment."""
