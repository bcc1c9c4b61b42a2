"""The sandbox's settings: environment (IVR_SANDBOX_…) over the TOML file over defaults.

Owns what can be set, what it means and what is wrong with it. Read once, by `__main__`.
"""

import json
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final, Literal, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from ivr_engine.address import Address, parse
from ivr_engine.links import is_link
from ivr_sandbox.ids import NODE_NUMBER_BITS
from ivr_sandbox.library import place

PREFIX: Final = "IVR_SANDBOX_"


class SettingsError(Exception):
    """The settings are wrong; one line per setting: its name, what is wrong, the remedy."""


def _from_json(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError(f"not JSON ({error}); write a list of objects") from None


def _existing_folder(path: Path) -> Path:
    if not path.is_dir():
        raise ValueError(f"{path} is no folder; name the folder of the scripts")
    return path


def _usable(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not text.isprintable() or text != text.strip():  # HTTP takes no control characters, and trims blanks away
        raise ValueError("holds a control character or a blank at an end; write it as one line of visible characters")
    return secret


class Domain(BaseModel):
    """The calls of one domain."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?$")]
    scripts: Annotated[tuple[str, ...], Field(min_length=1)]
    calls_per_minute: Annotated[float, Field(ge=0, le=600_000, allow_inf_nan=False)]


class Settings(BaseSettings):
    """What the sandbox can be told."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True
    )

    node: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}@[A-Za-z0-9_.:\[\]-]{1,253}$")]
    """The node this engine is of, `name@host`: appears in the logs only, the agent names the node to the world."""

    node_number: Annotated[int, Field(ge=0, lt=1 << NODE_NUMBER_BITS)]
    """The node's number, 0 to 2^40 - 1: the last part of every runtime's id. Give each node its own."""

    listen: Annotated[Address, NoDecode, PlainValidator(parse)]
    """Where the engine serves its agent: unix:/path, or http://127.0.0.1:PORT (loopback only, needs a token)."""

    agent: Annotated[Address, NoDecode, PlainValidator(parse)]
    """Where the agent takes the engine's events: an address of the same two forms."""

    token: Annotated[SecretStr, Field(min_length=1), AfterValidator(_usable)] | None = None
    """The node's secret, the same for engine and agent: required if either address is TCP, unused otherwise."""

    scripts: Annotated[Path, AfterValidator(_existing_folder)]
    """The folder of the scripts, *.yaml (docs/scripts.md); relative to the working directory."""

    external_stop_delay_ms: Annotated[int, Field(ge=0, le=600_000)] = 0
    """How much later an External Stop branch starts, milliseconds: for tests of what happens meanwhile. 0: at once."""

    domains: Annotated[tuple[Domain, ...], NoDecode, BeforeValidator(_from_json)] = ()
    """The simulated calls: a list of {name, scripts: [codes], calls_per_minute}; JSON in the environment."""

    seed: int | None = None
    """Makes the same calls again: their times, scripts, digits and durations. Default: other calls every time."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least level that is logged; debug logs every start and end of a call."""

    @model_validator(mode="before")
    @classmethod
    def _without_line_ends(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Drop the line ends that files and variables leave at the end of a value."""
        return {name: value.rstrip("\r\n") if isinstance(value, str) else value for name, value in given.items()}

    @model_validator(mode="after")
    def _tcp_has_a_token(self) -> "Settings":
        if self.token is None and not (self.listen.path and self.agent.path):
            raise ValueError("token: missing, and TCP needs it; set it, or use Unix sockets")
        return self

    def token_for(self, address: Address) -> str | None:
        """Return the token of requests to the address; none over a Unix socket: its permissions protect it."""
        return self.token.get_secret_value() if self.token and not address.path else None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  # the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # no such file is read
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # no such folder is read
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the environment, but for its service links, over the file, which `load` passes as arguments."""
        environment = cast("EnvSettingsSource", env_settings)
        read = environment.env_vars.items()
        environment.env_vars = {name: value for name, value in read if not is_link(name, value)}
        return env_settings, init_settings


def load(file: Path | None) -> Settings:
    """Read the settings; raises `SettingsError`."""
    _refuse_unknown_variables()
    try:
        return Settings(**(_read(file) if file else {}))
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(fault) for fault in error.errors())) from None


def describe() -> str:
    """Return every setting with its variable, default and meaning, for `--help`."""
    lines = []
    for name, field in Settings.model_fields.items():
        default = "required" if field.is_required() else f"default: {field.default!r}"
        lines.append(f"  {name}  ({variable(name)}, {default})\n      {field.description}")
    return "\n".join(lines)


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + name.upper()


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"--config: {file} cannot be read as TOML: {error}; name a readable TOML file") from None


def _refuse_unknown_variables() -> None:
    known = {variable(name) for name in Settings.model_fields}
    ours = [name for name, value in os.environ.items() if name.upper().startswith(PREFIX) and not is_link(name, value)]
    unknown = sorted(name for name in ours if not name.isascii() or name.upper() not in known)
    if unknown:
        raise SettingsError("\n".join(f"{name}: no such setting; unset it or correct its spelling" for name in unknown))


def _explain(fault: Any) -> str:
    message = fault["msg"].removeprefix("Value error, ")
    if not fault["loc"]:
        return str(message)
    name = str(fault["loc"][0])
    field = Settings.model_fields.get(name)
    if field is None:
        return f"{name}: no such setting; remove it or correct its spelling"
    return f"{place(fault['loc'])}: {message}. Set {variable(name)} or `{name}` in the file: {field.description}"
