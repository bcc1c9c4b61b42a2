"""Settings of an engine: the environment, then the TOML file, then defaults.

Owns the settings of every engine (where to serve, where its agent is, the token), how settings are read and how a
wrong one is explained. An engine subclasses `EngineSettings`, names its variables' prefix and adds its own settings.
"""

import json
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from ivr_engine.address import Address, parse
from ivr_engine.links import is_link
from ivr_engine.telling import place


class StartError(Exception):
    """The program cannot start; says why and what to do. `what` is the heading, for people."""

    what: ClassVar[str] = "wrong settings"


class SettingsError(StartError):
    """The settings are wrong; one line per setting: its name, what is wrong, the remedy."""


def _from_json(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError(f"not JSON ({error}); write a list of objects") from None


def _usable(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not text.isprintable() or text != text.strip():  # HTTP refuses control characters and trims blanks
        raise ValueError("holds a control character or a blank at an end; write it as one line of visible characters")
    return secret


ListOf = (NoDecode, BeforeValidator(_from_json))
"""Makes a setting a list of objects, `Annotated[tuple[…], *ListOf]`: JSON in the environment."""

Secret = Annotated[SecretStr, Field(min_length=1), AfterValidator(_usable)]
"""A secret of one line."""

AddressOf = Annotated[Address, NoDecode, PlainValidator(parse)]
"""A setting that is an address of the engine protocol."""


class EngineSettings(BaseSettings):
    """What every engine can be told."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True
    )

    listen: AddressOf
    """Where the engine serves its agent: unix:/path, or http://127.0.0.1:PORT (loopback only, needs a token)."""

    agent: AddressOf
    """Where the agent takes the engine's events: an address of the same two forms."""

    token: Secret | None = None
    """The node's secret, the same for engine and agent: required if either address is TCP, unused otherwise."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least level that is logged; debug logs every start and end of a call."""

    @model_validator(mode="before")
    @classmethod
    def _without_line_ends(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Drop line ends at the end of a value, as files leave them."""
        return {name: value.rstrip("\r\n") if isinstance(value, str) else value for name, value in given.items()}

    @model_validator(mode="after")
    def _tcp_has_a_token(self) -> Self:
        if self.token is None and not (self.listen.path and self.agent.path):
            raise ValueError("token: missing, and TCP needs it; set it, or use Unix sockets")
        return self

    def token_for(self, address: Address) -> str | None:
        """Return the token of requests to the address; none over a Unix socket, which its permissions protect."""
        return self.token.get_secret_value() if self.token and not address.path else None

    @classmethod
    def load(cls, file: Path | None) -> Self:
        """Read the settings; raises `SettingsError`."""
        cls._refuse_unknown_variables()
        try:
            return cls(**(_read(file) if file else {}))
        except ValidationError as error:
            raise SettingsError("\n".join(cls._explain(fault) for fault in error.errors())) from None

    @classmethod
    def describe(cls) -> str:
        """Return every setting with its variable, default and meaning, for `--help`."""
        lines = []
        for name, field in cls.model_fields.items():
            default = "required" if field.is_required() else f"default: {field.default!r}"
            lines.append(f"  {name}  ({cls.variable(name)}, {default})\n      {field.description}")
        return "\n".join(lines)

    @classmethod
    def variable(cls, name: str) -> str:
        """Return the environment variable of a setting."""
        return cls.prefix() + name.upper()

    @classmethod
    def prefix(cls) -> str:
        """Return the prefix of the engine's variables."""
        return cls.model_config["env_prefix"]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  # the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # no such file is read
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # no such folder is read
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment (without service links) before the file, which `load` passes as arguments."""
        environment = cast("EnvSettingsSource", env_settings)
        read = environment.env_vars.items()
        environment.env_vars = {name: value for name, value in read if not is_link(name, value)}
        return env_settings, init_settings

    @classmethod
    def _refuse_unknown_variables(cls) -> None:
        known, prefix = {cls.variable(name) for name in cls.model_fields}, cls.prefix()
        ours = [
            name for name, value in os.environ.items() if name.upper().startswith(prefix) and not is_link(name, value)
        ]
        unknown = sorted(name for name in ours if not name.isascii() or name.upper() not in known)
        if unknown:
            told = (f"{name}: no such setting; unset it or correct its spelling" for name in unknown)
            raise SettingsError("\n".join(told))

    @classmethod
    def _explain(cls, fault: Any) -> str:
        message = fault["msg"].removeprefix("Value error, ")
        if not fault["loc"]:
            return str(message)
        name = str(fault["loc"][0])
        field = cls.model_fields.get(name)
        if field is None:
            return f"{name}: no such setting; remove it or correct its spelling"
        return (
            f"{place(fault['loc'])}: {message}. Set {cls.variable(name)} or `{name}` in the file: {field.description}"
        )


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"--config: {file} cannot be read as TOML: {error}; name a readable TOML file") from None
