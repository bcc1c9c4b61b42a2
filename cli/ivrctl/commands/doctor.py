"""`ivrctl doctor`: what is wrong, on one page: profile, issuer, token, API, sites, clock."""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from ivrctl import durations
from ivrctl.access import claims_of, discovered
from ivrctl.api import Query
from ivrctl.call import Call
from ivrctl.errors import EXIT_OK, CliError
from ivrctl.neutral import neutral
from ivrctl.show import JSON_INDENT, as_json

USAGE = "[options]"

DESCRIPTION = "Look step by step at what a command needs, and say what is wrong."

EXAMPLES = """\
It looks at the profile, the issuer, the token (issuer, audience, scopes, domain, expiry), the API, the sites and their
nodes, and the clock. The exit code is that of the first thing that is wrong.

examples:
  ivrctl doctor
  ivrctl doctor --profile prod -o json
"""

SKEW_S: Final = 5.0
"""A clock that is off by more makes tokens look expired, or not yet valid."""

COLOURS: Final = {"ok": "green", "note": "yellow", "wrong": "red"}


class Finding(NamedTuple):
    """What one look found: `ok`, `note` or `wrong`, in words, with the remedy and the exit code of what is wrong."""

    about: str
    state: str
    detail: str
    remedy: str = ""
    exit_code: int = EXIT_OK


def more() -> str:
    """Return the examples."""
    return EXAMPLES


def add(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument(
        "-o", "--output", choices=("table", "json"), default="table", metavar="FORMAT", help="table or json"
    )


def run(call: Call) -> int:
    """Look."""
    findings = [finding for look in LOOKS for finding in _looked(look, call)]
    if call.options.output == "json":
        call.terminal.print(as_json([each._asdict() for each in findings], indent=JSON_INDENT))
    else:
        wide = max(len(each.about) for each in findings)
        for each in findings:
            state = call.terminal.coloured(f"{each.state:<5}", COLOURS[each.state])
            call.terminal.print(f"{state}  {each.about:<{wide}}  {neutral(each.detail)}")
            if each.remedy:
                call.terminal.print(f"{'':<7}{'':<{wide}}  {neutral(each.remedy)}")
    return next((each.exit_code for each in findings if each.state == "wrong"), EXIT_OK)


def _looked(look: Callable[[Call], Iterator[Finding]], call: Call) -> Iterator[Finding]:
    about = (look.__doc__ or "").partition(":")[0]
    try:
        yield from look(call)
    except CliError as error:
        yield Finding(about, "wrong", " ".join(error.lines()[:1]), error.remedy, error.exit_code)


def _profile(call: Call) -> Iterator[Finding]:
    """profile: which one, and what it says."""
    profile = call.profile
    yield Finding(
        "profile", "ok", f"{profile.name}: {profile.url} as {profile.client_id or 'nobody'} ({profile.login})"
    )
    odd = sorted(name for name in os.environ if name.startswith("IVRCTL_"))
    if odd:
        yield Finding("environment", "note", f"these variables win over the profile: {', '.join(odd)}")


def _issuer(call: Call) -> Iterator[Finding]:
    """issuer: whether it answers."""
    if call.profile.token:
        yield Finding("issuer", "note", "not asked: IVRCTL_TOKEN is used as it is")
        return
    document = discovered(call.profile)
    grants = document.get("grant_types_supported")
    told = f", grants: {', '.join(map(str, grants))}" if isinstance(grants, list) else ""
    yield Finding("issuer", "ok", f"{call.profile.issuer}{told}")


def _token(call: Call) -> Iterator[Finding]:
    """token: whether there is one, and what it says."""
    claims = claims_of(call.tokens.get())
    if claims is None:
        yield Finding("token", "note", "it is no JWT, so nothing can be said of it")
        return
    told = {name: claims.get(name) for name in ("iss", "aud", "client_id", "sub")}
    yield Finding("token", "ok", ", ".join(f"{name} {value}" for name, value in told.items() if value is not None))
    if str(claims.get("iss", "")).rstrip("/") != call.profile.issuer:
        yield Finding("token issuer", "note", f"the token is of {claims.get('iss')}, the profile's issuer another")
    yield Finding("scopes", "ok" if claims.get("scope") or claims.get("scp") else "note", _scopes(claims))
    domains = {name: value for name, value in claims.items() if "domain" in name.lower()}
    if domains:
        yield Finding("domain", "ok", ", ".join(f"{name} {value}" for name, value in domains.items()))
    else:
        yield Finding("domain", "note", "no claim is named domain", "the API may read it from a claim of another name")
    yield from _expiry(claims.get("exp"))


def _scopes(claims: dict[str, Any]) -> str:
    held = claims.get("scope", claims.get("scp", ""))
    return " ".join(map(str, held)) if isinstance(held, list) else str(held) or "the token has none"


def _expiry(expires_at_s: object) -> Iterator[Finding]:
    if not isinstance(expires_at_s, int | float):
        return
    left_s = expires_at_s - time.time()
    if left_s > 0:
        yield Finding("expiry", "ok", f"in {durations.brief(left_s)}")
    else:
        yield Finding("expiry", "wrong", f"{durations.brief(-left_s)} ago", "run `ivrctl login`", 3)


def _api(call: Call) -> Iterator[Finding]:
    """API: whether it answers and lists, which sites and nodes there are, and how far the clocks are apart."""
    begun_s = time.monotonic()
    page = call.api.rows(Query(limit=1, mask="id"))
    yield Finding("API", "ok", f"it lists, in {durations.brief(time.monotonic() - begun_s)}")
    for site, (live, known) in sorted(page.coverage.sites.items()):
        state = "ok" if live >= known else "note"
        yield Finding(f"site {site}", state, f"{live} of {known} nodes answer")
    if not page.coverage.known:
        yield Finding("sites", "note", "the answer does not say which sites it covers")
    skew_s = abs((datetime.now(UTC) - page.at).total_seconds())
    if skew_s > SKEW_S:
        yield Finding("clock", "note", f"it is {durations.brief(skew_s)} off the API's", "set this machine's clock")
    else:
        yield Finding("clock", "ok", "as the API's")


LOOKS: Final = (_profile, _issuer, _token, _api)
