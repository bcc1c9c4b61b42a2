"""The bridge's settings: environment (IVR_ASTERISK_…), then the TOML file, then defaults.

Owns the bridge's own settings, beside those of every engine. Read once, by `__main__`.
"""

import ssl
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_settings import SettingsConfigDict

from ivr_asterisk.mapping import Rule
from ivr_engine.settings import EngineSettings, ListOf, Secret

PREFIX: Final = "IVR_ASTERISK_"

SCHEMES: Final = frozenset({"tcp", "tls"})


def _address(text: str) -> str:
    url = urlsplit(text)
    try:
        port = url.port
    except ValueError:
        port = None
    if url.scheme not in SCHEMES or not url.hostname or not port or url.path or url.query:
        raise ValueError("not an address; write tcp://127.0.0.1:5038 or tls://pbx.example.com:5039")
    if url.scheme == "tcp" and not _is_loopback(url.hostname):
        raise ValueError("the secret would go over the network in clear; write tls://…, or put the bridge beside it")
    return text


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _existing_file(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"{path} is no file; name the file of the certificate authority, PEM")
    return path


Word = Annotated[str, StringConstraints(pattern=r"^[^\s,()]{1,79}$")]
"""A context's name."""


class Settings(EngineSettings):
    """What the bridge can be told."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    node: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}@[A-Za-z0-9_.:\[\]-]{1,253}$")]
    """The node this Asterisk is, `name@host`: appears in the logs; the agent names the node to the world."""

    ami: Annotated[str, AfterValidator(_address)] = "tcp://127.0.0.1:5038"
    """Where Asterisk's manager interface is: tcp://127.0.0.1:PORT (loopback only), or tls://HOST:PORT."""

    ami_ca: Annotated[Path, AfterValidator(_existing_file)] | None = None
    """The certificate, or its authority's, that proves Asterisk over tls: a PEM file. Default: the system's."""

    username: Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,80}$")]
    """The manager user (manager.conf)."""

    secret: Secret
    """Its secret."""

    scripts: Annotated[tuple[Rule, ...], Field(min_length=1), *ListOf]
    """Which dialplan is a script: a list of {context, exten, code, name, domain}; JSON in the environment."""

    stop_context: Word = "ivr-external-stop"
    """The context of the External Stop branches: the extension of the script's code, priority 1."""

    hangup_cause: Annotated[int, Field(ge=1, le=127)] = 8
    """The Q.850 cause with which a stop hangs up, to tell it from others in the call records. 8: preemption."""

    audit_s: Annotated[float, Field(ge=5, le=3600)] = 60
    """How often all channels are listed beside the events, seconds."""

    @property
    def host(self) -> str:
        """The host of the manager interface."""
        return urlsplit(self.ami).hostname or ""

    @property
    def port(self) -> int:
        """The port of the manager interface."""
        return urlsplit(self.ami).port or 0

    def tls(self) -> ssl.SSLContext | None:
        """Return how Asterisk proves who it is; None without TLS."""
        if not self.ami.startswith("tls:"):
            return None
        return ssl.create_default_context(cafile=self.ami_ca)
