"""The functions' settings: their environment variables as typed values, checked once at cold start.

template.yaml sets all of them. With a wrong or missing one the function does not start; the error names it.
"""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from ivr_runtimes.errors import SettingsError
from ivr_runtimes.identifiers import SITE_PATTERN, Site
from ivr_runtimes.ports import MAX_SITES

SiteCode = Annotated[Site, Meta(pattern=SITE_PATTERN + r"\Z")]  # `$` alone also matches before a final newline


class FunctionSettings(msgspec.Struct, frozen=True, kw_only=True, rename="upper"):
    """Settings of both functions. Each is read from the variable of the same name in upper case."""

    runtimes_table: Annotated[str, Meta(min_length=3)]
    """Name of the table of runtimes."""
    nodes_table: Annotated[str, Meta(min_length=3)]
    """Name of the table of nodes."""
    sites: Annotated[tuple[SiteCode, ...], Meta(min_length=1, max_length=MAX_SITES)]
    """Site codes, comma-separated: 1 to 100, because a stop reads one key per site in one BatchGetItem."""
    domain_claim: Annotated[str, Meta(min_length=1)] = "domain"
    """The claim of the access token that names the caller's domain."""


class ListSettings(FunctionSettings, frozen=True, kw_only=True, rename="upper"):
    """Further settings of the list function."""

    scope_numbers: Annotated[str, Meta(pattern=r"^[!#-\[\]-~]{1,64}\Z")] = "ivrscript_runtimes:numbers"
    """The scope of tokens that may ask for callers' numbers (RFC 6749 section 3.3)."""


class StopSettings(FunctionSettings, frozen=True, kw_only=True, rename="upper"):
    """Further settings of the stop function."""

    stop_queue_url_prefix: Annotated[str, Meta(pattern=r"^https?://")]
    """The URL of a site's stop queue without the site code at its end."""


AnySettings = TypeVar("AnySettings", bound=FunctionSettings)


def load(model: type[AnySettings], environ: Mapping[str, str]) -> AnySettings:
    """Read settings from environment variables; raises `SettingsError` that names every wrong one."""
    given: dict[str, Any] = {}
    wrong: list[str] = []
    for field in msgspec.structs.fields(model):
        name = field.encode_name
        if name in environ:
            text = environ[name]
            try:
                given[field.name] = msgspec.convert(text.split(",") if field.name == "sites" else text, field.type)
            except msgspec.ValidationError as error:
                wrong.append(f"{name}: {error}")
        elif field.required:
            wrong.append(f"{name} is missing")
    if wrong:
        raise SettingsError(f"wrong environment of the function, see template.yaml: {'; '.join(wrong)}")
    return model(**given)
