"""The functions' settings: their environment variables as typed values, checked once at cold start.

template.yaml sets every one of them; a wrong or missing one stops the function from starting, by name.
"""

from collections.abc import Mapping
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from ivr_runtimes.dynamo import MAX_SITES
from ivr_runtimes.errors import SettingsError
from ivr_runtimes.names import SITE_PATTERN, Site

SiteCode = Annotated[Site, StringConstraints(pattern=SITE_PATTERN)]
Sites = Annotated[
    tuple[SiteCode, ...],
    BeforeValidator(lambda value: value.split(",") if isinstance(value, str) else value),
    Field(min_length=1, max_length=MAX_SITES),
]


class FunctionSettings(BaseModel):
    """What both functions need."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    runtimes_table: Annotated[str, Field(alias="RUNTIMES_TABLE", min_length=3)]
    """Name of the table of runtimes."""
    nodes_table: Annotated[str, Field(alias="NODES_TABLE", min_length=3)]
    """Name of the table of nodes."""
    sites: Annotated[Sites, Field(alias="SITES")]
    """Site codes, comma-separated: 1 to 100, because a stop reads one key per site in one BatchGetItem."""
    domain_claim: Annotated[str, Field(alias="DOMAIN_CLAIM", min_length=1)] = "domain"
    """The claim of the access token that names the caller's domain."""


class StopSettings(FunctionSettings):
    """What the stop function needs besides."""

    stop_queue_url_prefix: Annotated[str, Field(alias="STOP_QUEUE_URL_PREFIX", pattern=r"^https?://")]
    """The URL of a site's stop queue without the site code at its end."""


AnySettings = TypeVar("AnySettings", bound=FunctionSettings)


def load(model: type[AnySettings], environ: Mapping[str, str]) -> AnySettings:
    """Read settings from environment variables; raises `SettingsError` that names every wrong one."""
    try:
        return model.model_validate(dict(environ))
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise SettingsError(f"wrong environment of the function, see template.yaml: {wrong}") from None
