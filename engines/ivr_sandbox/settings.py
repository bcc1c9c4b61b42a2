"""The sandbox's settings: environment (IVR_SANDBOX_…), then the TOML file, then defaults.

Owns the sandbox's own settings, beside those of every engine. Read once, by `__main__`.
"""

from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_settings import SettingsConfigDict

from ivr_engine.settings import EngineSettings, ListOf
from ivr_sandbox.ids import NODE_NUMBER_BITS

PREFIX: Final = "IVR_SANDBOX_"


def _existing_folder(path: Path) -> Path:
    if not path.is_dir():
        raise ValueError(f"{path} is no folder; name the folder of the scripts")
    return path


class Domain(BaseModel):
    """The calls of one domain."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?$")]
    scripts: Annotated[tuple[str, ...], Field(min_length=1)]
    calls_per_minute: Annotated[float, Field(ge=0, le=600_000, allow_inf_nan=False)]


class Settings(EngineSettings):
    """What the sandbox can be told."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    node: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}@[A-Za-z0-9_.:\[\]-]{1,253}$")]
    """The node this engine is of, `name@host`: appears in the logs only, the agent names the node to the world."""

    node_number: Annotated[int, Field(ge=0, lt=1 << NODE_NUMBER_BITS)]
    """The node's number, 0 to 2^40 - 1: the last part of every runtime's id. Give each node its own."""

    scripts: Annotated[Path, AfterValidator(_existing_folder)]
    """The folder of the scripts, *.yaml (docs/scripts.md); relative to the working directory."""

    external_stop_delay_ms: Annotated[int, Field(ge=0, le=600_000)] = 0
    """How much later an External Stop branch starts, milliseconds: for tests of what happens meanwhile. 0: at once."""

    domains: Annotated[tuple[Domain, ...], *ListOf] = ()
    """The simulated calls: a list of {name, scripts: [codes], calls_per_minute}; JSON in the environment."""

    seed: int | None = None
    """Makes the same calls again: their times, scripts, digits and durations. Default: other calls every time."""
