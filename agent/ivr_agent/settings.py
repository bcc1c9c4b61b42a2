"""The agent's settings: environment (`IVR_AGENT_…`) over a TOML file over defaults, checked once at the start.

Owns every setting's meaning, unit and default; `--help` and docs/agent.md show these very docstrings. Region, endpoints
and credentials of AWS are boto3's own business (`AWS_DEFAULT_REGION`, `AWS_ENDPOINT_URL_DYNAMODB`, …).
"""

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from typing import Annotated, Any, Final, Literal, cast

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticUndefined
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from ivr_agent.address import host_fault, lies_in
from ivr_engine.address import Address, parse
from ivr_engine.links import is_link
from ivr_runtimes.errors import SettingsError
from ivr_runtimes.identifiers import NODE_PATTERN, SITE_PATTERN, NodeName, Site, host_of
from ivr_runtimes.lease import HEARTBEAT_INTERVAL_S, LEASE_HANDOVER_S, LEASE_TTL_S
from ivr_runtimes.secret import fault_of, without_line_end, wrong_variables

PREFIX: Final = "IVR_AGENT_"


def _address(value: object) -> object:
    return parse(value) if isinstance(value, str) else value


def _networks(value: object) -> object:
    if not isinstance(value, str):
        return value
    return json.loads(value) if value.lstrip().startswith("[") else [part.strip() for part in value.split(",") if part]


def _usable(secret: SecretStr) -> SecretStr:
    if (fault := fault_of(secret.get_secret_value())) is not None:
        raise ValueError(fault)
    return secret


def _host(host: str) -> str:
    if host and (fault := host_fault(host)) is not None:
        raise ValueError(fault)
    return host


def _node(node: NodeName) -> NodeName:
    if (fault := host_fault(host_of(node))) is not None:
        raise ValueError(fault)
    return node


AddressOf = Annotated[Address, NoDecode, BeforeValidator(_address)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_networks)]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$")]
Token = Annotated[SecretStr, AfterValidator(_usable)]
Secret = Annotated[SecretStr, Field(min_length=32), AfterValidator(_usable)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The site and the node this agent speaks for: every loop that names rows or commands is given one."""

    site: Site
    node: NodeName


class Settings(BaseSettings):
    """All settings of one agent."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    site: Annotated[Site, StringConstraints(pattern=SITE_PATTERN)]
    """Code of the site this node belongs to, e.g. SITE1. No default: it decides which rows and queue are ours."""
    node: Annotated[NodeName, StringConstraints(pattern=NODE_PATTERN), AfterValidator(_node)]
    """Name of the node, `name@host`; its agent listens for peers on that host. No default: it must be unique."""
    runtimes_table: Annotated[str, Field(min_length=3)]
    """Name of the table of runtimes. No default: the stack that is deployed names it."""
    nodes_table: Annotated[str, Field(min_length=3)]
    """Name of the table of nodes. No default: the stack that is deployed names it."""
    queue_url: Url
    """URL of the site's stop queue. No default: the stack that is deployed names it."""
    dead_letter_url: Url
    """URL of the site's dead-letter queue. No default: the stack that is deployed names it."""
    engine: AddressOf
    """Where the engine answers: `unix:/path` or `http://127.0.0.1:PORT`. No default: it differs from node to node."""
    listen: AddressOf
    """Where the agent listens for its engine: the same forms. No default: it differs from node to node."""
    engine_token: Token | None = None
    """Token shared with the engine, both ways. Needed when either address is TCP; files' permissions guard sockets."""
    control_host: Annotated[str, AfterValidator(_host)] = ""
    """Address that the control port binds to. Default: the host part of `node`; set it where that is translated."""
    control_port: Annotated[int, Field(ge=0, le=65535)] = 9470
    """TCP port for peers, health and metrics. Default: any fixed port serves; 0 takes a free one and publishes it."""
    single_node_site: bool = False
    """True when no other node belongs to the site. Default false, so that peers are never forgotten by oversight."""
    peer_networks: Networks = ()
    """Networks in which the site's nodes lie, CIDR, comma-separated. Default none: commands go nowhere unasked."""
    peer_secret: Secret | None = None
    """Secret that the site's agents share, 32 characters or more. No default: a known secret is none."""
    heartbeat_interval_s: Annotated[float, Field(gt=0)] = HEARTBEAT_INTERVAL_S
    """Seconds between renewals of the lease and probes of the engine. Default: three tries fit one lease."""
    lease_ttl_s: Annotated[float, Field(gt=0, le=LEASE_HANDOVER_S)] = LEASE_TTL_S
    """Seconds a renewal vouches for the node. Default: a crashed node's runtimes leave the lists 2 s after it."""
    write_threads: Annotated[int, Field(ge=1, le=32)] = 4
    """Requests of rows sent at the same time. Default: some 2,000 rows a second at 50 ms, beyond any one node."""
    poll_threads: Annotated[int, Field(ge=1, le=8)] = 4
    """Requests for commands sent at once while the queue is full; else one. Default: more than an engine takes."""
    aws_connect_timeout_s: Annotated[float, Field(gt=0, le=10)] = 2.0
    """Seconds to wait for a connection to AWS. Default: a lost packet is repeated within it."""
    aws_read_timeout_s: Annotated[float, Field(gt=0, le=10)] = 3.0
    """Seconds to wait for an answer of AWS (a long poll: besides its own wait). Default: leaves time in one lease."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is logged. Default: every stop's outcome and every change of state, but no single event."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  # the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # files of that kind are not read
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # files of that kind are not read
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment, but for its service links, win over the TOML file, whose values come as arguments."""
        environment = cast("EnvSettingsSource", env_settings)
        read = environment.env_vars.items()
        environment.env_vars = {name: value for name, value in read if not is_link(name, value)}
        return env_settings, init_settings

    @model_validator(mode="before")
    @classmethod
    def _without_line_ends(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Drop the line ends that files and variables leave at the end of a value."""
        return {name: without_line_end(value) if isinstance(value, str) else value for name, value in given.items()}

    @property
    def place(self) -> Place:
        """Where this agent is."""
        return Place(site=self.site, node=self.node)

    @property
    def bind_host(self) -> str:
        """The address the control port binds to."""
        return self.control_host or host_of(self.node)

    def is_reachable(self, address: IPv4Address | IPv6Address) -> bool:
        """Tell whether peers, if there are any, can reach the agent where it binds."""
        return self.single_node_site or bool(self.control_host) or lies_in(address, self.peer_networks)

    @property
    def request_lifetime_s(self) -> float:
        """The longest life of one request to DynamoDB (single attempt), and as long again for it to land."""
        return 2 * (self.aws_connect_timeout_s + self.aws_read_timeout_s)

    def token(self) -> str | None:
        """Return the token shared with the engine, if any."""
        return self.engine_token.get_secret_value() if self.engine_token else None


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read the settings; raises `SettingsError` that names every wrong one and its remedy.

    `environ` must be the process's own environment: it is looked through for names that are no settings.
    """
    values = _toml(path) if path else {}
    wrong = [f"{name}: no such setting. Remove it, or correct its spelling" for name in _unknown(environ)]
    wrong += wrong_variables(environ)
    try:
        settings = Settings(**values)
    except ValidationError as error:
        wrong += [_told(str(fault["loc"][0]), fault["msg"]) for fault in error.errors()]
    else:
        wrong += _conflicts(settings)
        if not wrong:
            return settings
    raise SettingsError("wrong settings:\n" + "\n".join(f"  {line}" for line in wrong))


def explain() -> Iterator[tuple[str, str, str]]:
    """Yield each setting's name, default and meaning, in order."""
    for name, field in Settings.model_fields.items():
        default = "required" if field.is_required() else _shown(field.default)
        yield name, default, (field.description or "").replace("\n", " ")


def _shown(default: object) -> str:
    if default is None or default in ("", ()) or default is PydanticUndefined:
        return "none"
    return str(default).lower() if isinstance(default, bool) else str(default)


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"wrong settings:\n  the file {path} cannot be read: {error}") from None


def _unknown(environ: Mapping[str, str]) -> list[str]:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    ours = [name for name, value in environ.items() if name.upper().startswith(PREFIX) and not is_link(name, value)]
    return sorted(name for name in ours if not name.isascii() or name.upper() not in known)


def _told(name: str, message: str) -> str:
    if name not in Settings.model_fields:
        return f"{name}: no such setting. Remove it from the file, or correct its spelling"
    meaning = (Settings.model_fields[name].description or "").replace("\n", " ")
    return f"{name}: {message}. Set {PREFIX}{name.upper()}, or {name} in the file: {meaning}"


def _conflicts(settings: Settings) -> list[str]:
    """Name what is wrong between settings that are each right by themselves."""
    wrong = _misplaced(settings)
    if not settings.single_node_site:
        missing = [name for name in ("peer_networks", "peer_secret") if not getattr(settings, name)]
        wrong += [_told(name, "missing, and the site is not declared single_node_site") for name in missing]
        if settings.peer_networks and not _literal_is_reachable(settings):
            wrong.append(
                _told("peer_networks", f"peers could not reach {settings.node}: its host lies in none of them")
            )
    if not (settings.engine.path and settings.listen.path) and not settings.token():
        wrong.append(_told("engine_token", "missing, and an address of the engine protocol is TCP"))
    if settings.engine == settings.listen:
        wrong.append(_told("listen", "the engine's own address"))
    if settings.heartbeat_interval_s * 2 > settings.lease_ttl_s:
        wrong.append(
            _told("heartbeat_interval_s", "more than half of lease_ttl_s: one lost heartbeat would end the lease")
        )
    return wrong


def _misplaced(settings: Settings) -> list[str]:
    """Name the queues that are another site's: template.yaml ends their names with the site's code."""
    ends = {"queue_url": f"stop-{settings.site}", "dead_letter_url": f"stop-{settings.site}-dlq"}
    return [
        _told(name, f"not a queue of site {settings.site}, whose name ends with {end}")
        for name, end in ends.items()
        if not getattr(settings, name).rstrip("/").endswith(end)
    ]


def _literal_is_reachable(settings: Settings) -> bool:
    try:
        host = ip_address(host_of(settings.node))
    except ValueError:
        return True  # a name: what it leads to is judged when it is bound
    return lies_in(host, settings.peer_networks)
