"""samplesconfig.toml: the sites, nodes, domains, clients and users of the embedded stack.

Owns what that file may contain, and the errors in it. Starts nothing. Read once, by `__main__`.
"""

import ipaddress
import json
import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from ivr_runtimes.errors import SettingsError
from ivr_runtimes.identifiers import DOMAIN_PATTERN, NODE_PATTERN, SITE_PATTERN, NodeName, host_of
from ivr_runtimes.secret import without_line_end

SCOPE_PATTERN: Final = r"^[!#-\[\]-~]{1,128}$"
"""One scope token, RFC 6749 section 3.3."""

MAX_DELAY_MS: Final = 600_000


def _on_loopback(node: str) -> str:
    try:
        loopback = ipaddress.ip_address(host_of(NodeName(node))).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ValueError(
            f"{node}: the host must be a loopback address, for nothing may leave this machine: …@127.0.0.1"
        )
    return node


LocalNode = Annotated[str, StringConstraints(pattern=NODE_PATTERN), AfterValidator(_on_loopback)]
"""The name of a node on this machine."""


def _whole(secret: object) -> object:
    return without_line_end(secret) if isinstance(secret, str) else secret


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class SiteConfig(_Part):
    """A site and the names of its nodes, `name@127.0.0.1`."""

    code: Annotated[str, StringConstraints(pattern=SITE_PATTERN)]
    nodes: Annotated[tuple[LocalNode, ...], Field(min_length=1)]


class DomainConfig(_Part):
    """A tenant, the scripts that its calls run (in equal shares), and the calls per minute on all nodes together."""

    name: Annotated[str, StringConstraints(pattern=DOMAIN_PATTERN)]
    scripts: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
    calls_per_minute: Annotated[float, Field(ge=0, le=600_000, allow_inf_nan=False)]


class ClientConfig(_Part):
    """A program that may ask for tokens, for one domain and only these scopes."""

    id: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,128}$")]
    secret: Annotated[str, BeforeValidator(_whole), StringConstraints(pattern=r"^[\x21-\x7e]{8,128}$")]
    domain: Annotated[str, StringConstraints(pattern=DOMAIN_PATTERN)]
    scopes: Annotated[tuple[Annotated[str, StringConstraints(pattern=SCOPE_PATTERN)], ...], Field(min_length=1)]


class UserConfig(_Part):
    """A person whom one may pick on the sign-in page: of one domain, with only these scopes."""

    id: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,128}$")]
    name: Annotated[str, Field(min_length=1, max_length=128)]
    domain: Annotated[str, StringConstraints(pattern=DOMAIN_PATTERN)]
    scopes: Annotated[tuple[Annotated[str, StringConstraints(pattern=SCOPE_PATTERN)], ...], Field(min_length=1)]


class PublicClientConfig(_Part):
    """A program without a secret through which users sign in, and where their browser may be sent back to.

    A path alone belongs to the stack's own address; of a loopback address without a port any port will do.
    """

    id: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,128}$")]
    redirect_uris: Annotated[
        tuple[Annotated[str, StringConstraints(pattern=r"^(?:/|https?://)[\x21-\x7e]{0,256}$")], ...],
        Field(min_length=1),
    ]


class SandboxConfig(_Part):
    """Settings of all engines. `external_stop_delay_ms` delays the start of External Stop branches."""

    external_stop_delay_ms: Annotated[int, Field(ge=0, le=MAX_DELAY_MS)] = 0


class BridgeConfig(_Part):
    """A node whose engine is a real one: the bridge to it, and the bridge's settings by their names."""

    node: LocalNode
    program: Literal["ivr_asterisk", "ivr_freeswitch"]
    settings: dict[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,39}$")], str | int | float | list[Any]]

    @model_validator(mode="after")
    def _is_told_its_own_only(self) -> "BridgeConfig":
        for name in ("agent", "listen", "node", "token"):
            if name in self.settings:
                raise ValueError(f"settings.{name}: the stack sets it; remove it")
        return self

    def environment(self) -> dict[str, str]:
        """Return the settings as the bridge's variables."""
        prefix = f"{self.program.upper()}_"
        return {
            prefix + name.upper(): value if isinstance(value, str) else json.dumps(value)
            for name, value in self.settings.items()
        }


class Fleet(_Part):
    """The whole file."""

    sites: Annotated[tuple[SiteConfig, ...], Field(min_length=1)]
    domains: Annotated[tuple[DomainConfig, ...], Field(min_length=1)]
    clients: Annotated[tuple[ClientConfig, ...], Field(min_length=1)]
    users: tuple[UserConfig, ...] = ()
    public_clients: tuple[PublicClientConfig, ...] = ()
    sandbox: SandboxConfig = SandboxConfig()
    bridges: tuple[BridgeConfig, ...] = ()

    @model_validator(mode="after")
    def _is_consistent(self) -> "Fleet":
        _each_once("sites: site", (site.code for site in self.sites))
        _each_once("sites: node", (node for site in self.sites for node in site.nodes))
        _each_once("domains: domain", (domain.name for domain in self.domains))
        _each_once("clients: client", (client.id for client in self.clients))
        _each_once("bridges: node", (bridge.node for bridge in self.bridges))
        nodes = {node for site in self.sites for node in site.nodes}
        for index, bridge in enumerate(self.bridges):
            if bridge.node not in nodes:
                raise ValueError(f"bridges[{index}].node: no such node; name one of {', '.join(sorted(nodes))}")
        known = {domain.name for domain in self.domains}
        for index, client in enumerate(self.clients):
            if client.domain not in known:
                raise ValueError(f"clients[{index}].domain: no such domain; name one of {', '.join(sorted(known))}")
        return self


def _each_once(what: str, names: Iterable[str]) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(f"{what} {repeated[0]!r} stands there twice; give each a name of its own")


def load(file: Path) -> Fleet:
    """Read the file; raises `SettingsError`, which names the file, each place in it and the remedy."""
    try:
        return Fleet.model_validate(tomllib.loads(file.read_text("utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: cannot be read ({error}); name the sample fleet with --config") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file}: not TOML: {error}; correct it there") from None
    except ValidationError as error:
        raise SettingsError("\n".join(f"{file}: {_explain(fault)}" for fault in error.errors())) from None


def _explain(fault: Any) -> str:
    message = fault["msg"].removeprefix("Value error, ")
    match fault["type"]:
        case "extra_forbidden":
            message = "no such setting; remove it or correct its spelling"
        case "missing":
            message = "missing; add it (docs/local.md shows every setting)"
        case "value_error":
            pass
        case _:
            message = f"{message}; correct it (docs/local.md shows every setting)"
    return f"{_place(fault['loc'])}: {message}" if fault["loc"] else message


def _place(loc: tuple[str | int, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")
