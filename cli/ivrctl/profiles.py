"""Profiles: whom to speak to, and as whom. From a file, the environment and the command line; `local` is built in.

Owns what may stand in the file and in the IVRCTL_* variables, and the errors in them. The order: the command line wins
over the environment, that over the profile. Never fetches a token; `access` does.
"""

import os
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from ivrctl.arguments import ZONES
from ivrctl.errors import UsageError

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
LOGINS: Final = ("client", "browser", "device")

KEYS: Final[dict[str, str]] = {
    "url": "where the API is; a path before /rest is kept",
    "issuer": "the OIDC issuer that the tokens come from; without it: the url",
    "client_id": "the OAuth client",
    "client_secret_file": "a file with the client's secret, for login `client`; keep it readable by you alone",
    "login": "how to get a token: `client` (client credentials), `browser` (authorization code with PKCE) or `device`",
    "scopes": "the scopes to ask for, separated by blanks; without it the issuer decides",
    "audience": "the parameter `audience` of token requests, for issuers that want one",
    "zone": "`utc` or `local`",
}
"""What a profile may set."""

VARIABLES: Final[dict[str, str]] = {
    "IVRCTL_PROFILE": "the profile, as `--profile`",
    "IVRCTL_CONFIG": "the file of profiles, as `--config`",
    **{f"IVRCTL_{key.upper()}": f"wins over the profile's `{key}`" for key in KEYS},
    "IVRCTL_CLIENT_SECRET": "the client's secret itself",
    "IVRCTL_TOKEN": "an access token to use as it is; then no issuer is asked",
    "IVRCTL_CACHE": "the folder of cached tokens and names; without it: ~/.cache/ivrctl",
    "IVRCTL_STATE": "the folder of the journals of stops; without it: ~/.local/state/ivrctl",
}
"""The environment, for people and docs/cli.md."""

LOCAL: Final = {"url": "http://127.0.0.1:3000", "client_id": "operator", "login": "client"}
LOCAL_USER: Final = {"url": "http://127.0.0.1:3000", "client_id": "ivrctl", "login": "browser"}
BUILT_IN: Final = {"local": LOCAL, "local-user": LOCAL_USER}
LOCAL_SECRET: Final = "sample-operator-secret"  # noqa: S105  # a published sample (docs/local.md); sent to loopback only


class Profile(NamedTuple):
    """Whom to speak to, and as whom. `secret` and `token` are None if not given."""

    name: str
    url: str
    issuer: str
    client_id: str
    login: str
    scopes: str
    audience: str
    zone: str
    secret: str | None
    token: str | None
    cache: str
    state: str


def resolve(options: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Profile:
    """Return the profile that arguments, environment and file add up to; raises `UsageError`."""
    file = _file(options, environment)
    written = _written(file, required=bool(options.get("config") or environment.get("IVRCTL_CONFIG")))
    name = options.get("profile") or environment.get("IVRCTL_PROFILE") or _default(written, file)
    values = _profile(written, name, file)
    values |= {key: environment[f"IVRCTL_{key.upper()}"] for key in KEYS if environment.get(f"IVRCTL_{key.upper()}")}
    values |= {key: options[key] for key in ("url", "zone") if options.get(key)}
    return _checked(name, values, environment)


def names_in(options: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> list[str]:
    """Return the names of the profiles, `local` among them; of a file that cannot be read none."""
    try:
        profiles = _written(_file(options, environment), required=False).get("profiles", {})
    except UsageError:
        profiles = {}
    return sorted({*BUILT_IN, *(profiles if isinstance(profiles, dict) else ())})


def _checked(name: str, values: Mapping[str, str], environment: Mapping[str, str]) -> Profile:
    if "url" not in values:
        raise UsageError(f"profile {name}: has no url", remedy="set url in the profile, or IVRCTL_URL")
    url, issuer = (values.get(key, values["url"]).rstrip("/") for key in ("url", "issuer"))
    _check_url("url", url)
    _check_url("issuer", issuer)
    secret = _secret(name, values, environment, hosts={urlsplit(each).hostname for each in (url, issuer)})
    return Profile(
        name=name,
        url=url,
        issuer=issuer,
        client_id=values.get("client_id", ""),
        login=_one_of("login", values.get("login") or ("client" if secret else "browser"), LOGINS),
        scopes=values.get("scopes", ""),
        audience=values.get("audience", ""),
        zone=_one_of("zone", values.get("zone", "utc"), ZONES),
        secret=secret,
        token=environment.get("IVRCTL_TOKEN") or None,
        cache=_folder(environment, "IVRCTL_CACHE", "XDG_CACHE_HOME", ".cache"),
        state=_folder(environment, "IVRCTL_STATE", "XDG_STATE_HOME", ".local/state"),
    )


def _file(options: Mapping[str, Any], environment: Mapping[str, str]) -> str:
    named = options.get("config") or environment.get("IVRCTL_CONFIG")
    return named or os.path.join(_folder(environment, "", "XDG_CONFIG_HOME", ".config"), "config.toml")


def _folder(environment: Mapping[str, str], own: str, xdg: str, default: str) -> str:
    if environment.get(own):
        return environment[own]
    base = environment.get(xdg) or ""  # a relative one is invalid and not looked at (XDG Base Directory Specification)
    return os.path.join(base if base.startswith("/") else os.path.expanduser(f"~/{default}"), "ivrctl")


def _written(file: str, *, required: bool) -> dict[str, Any]:
    try:
        with open(file, encoding="utf-8") as opened:
            text = opened.read()
    except FileNotFoundError:
        if required:
            raise UsageError(f"{file}: no such file", remedy="name the file of profiles with --config") from None
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: cannot be read ({error})") from None
    import tomllib  # noqa: PLC0415  # only where there is a file

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file}: not TOML: {error}", remedy="correct it there") from None


def _default(written: Mapping[str, Any], file: str) -> str:
    default = written.get("default", "local")
    if not isinstance(default, str):
        raise UsageError(f"{file}: default: is not the name of a profile", remedy='write default = "NAME"')
    return default


def _profile(written: Mapping[str, Any], name: str, file: str) -> dict[str, str]:
    if odd := sorted(written.keys() - {"default", "profiles"}):
        raise UsageError(f"{file}: {odd[0]}: no such setting", remedy='write default = "NAME" and [profiles.NAME]')
    profiles = written.get("profiles", {})
    found = profiles.get(name) if isinstance(profiles, dict) else None
    if found is None and name in BUILT_IN:
        return dict(BUILT_IN[name])
    if not isinstance(found, dict):
        raise UsageError(
            f"there is no profile {name!r}", remedy=f"write [profiles.{name}] into {file}, or name another"
        )
    for key, value in found.items():
        if key not in KEYS:
            raise UsageError(f"{file}: profiles.{name}.{key}: no such setting", remedy="name one of " + ", ".join(KEYS))
        if not isinstance(value, str) or not value:
            raise UsageError(f"{file}: profiles.{name}.{key}: is not a text", remedy=f'write {key} = "…"')
    return {**BUILT_IN.get(name, {}), **found}


def _secret(
    name: str, values: Mapping[str, str], environment: Mapping[str, str], *, hosts: set[str | None]
) -> str | None:
    if environment.get("IVRCTL_CLIENT_SECRET"):
        return environment["IVRCTL_CLIENT_SECRET"]
    if "client_secret_file" in values:
        try:
            with open(os.path.expanduser(values["client_secret_file"]), encoding="utf-8") as opened:
                return opened.read().rstrip("\r\n") or None
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"client_secret_file: cannot be read ({error})") from None
    sample = name == "local" and values.get("client_id") == LOCAL["client_id"] and hosts <= LOOPBACK
    return LOCAL_SECRET if sample else None


def _check_url(key: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if not sound or parts.query or parts.fragment or parts.username is not None:
        raise UsageError(
            f"{key}: {url!r} is not the address of a server", remedy="write https://HOST or https://HOST/PATH"
        )
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise UsageError(
            f"{key}: {url!r} would carry tokens unencrypted", remedy="write https://…; http is for this machine alone"
        )


def _one_of(key: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise UsageError(f"{key}: {value!r} is unknown", remedy="name one of " + ", ".join(known))
    return value
