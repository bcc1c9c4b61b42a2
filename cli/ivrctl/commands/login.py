"""`ivrctl login`: gets the profile's token, with a person's help where that is needed."""

import argparse
import time

from ivrctl import durations
from ivrctl.access import Token, by_browser, by_device, by_secret, claims_of
from ivrctl.arguments import duration
from ivrctl.call import Call
from ivrctl.errors import EXIT_OK, UsageError

USAGE = "[options]"

DESCRIPTION = "Get a token for the profile and keep it; other commands renew it by themselves."

EXAMPLES = """\
How is the profile's `login`: `client` asks the issuer with the client's secret; `browser` opens the issuer's sign-in
page and waits for the answer on a port of this machine; `device` shows a code to be typed in elsewhere.

examples:
  ivrctl login --profile prod
  ivrctl login --profile prod --no-browser     show the page's address and open nothing
  ivrctl login --profile local-user            pick a sample user of `make run`
"""


def more() -> str:
    """Return the examples."""
    return EXAMPLES


def add(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("--no-browser", action="store_true", help="show the sign-in page's address and open nothing")
    parser.add_argument("--timeout", type=duration, default=300.0, metavar="5m", help="how long to wait for somebody")


def run(call: Call) -> int:
    """Log in."""
    profile = call.profile
    if profile.token:
        raise UsageError("IVRCTL_TOKEN is set, so no login is used", remedy="unset it")
    if not profile.client_id:
        raise UsageError(f"profile {profile.name}: has no client_id", remedy="set it there, or IVRCTL_CLIENT_ID")
    token = _token(call)
    call.tokens.keep(token)
    claims = claims_of(token.access) or {}
    named = ", ".join(f"{name} {claims[name]}" for name in ("sub", "domain", "scope") if name in claims)
    call.terminal.say(f"logged in: {named or 'a token that tells nothing'}")
    lasts = "it is renewed until the login ends" if token.refresh else "then log in anew"
    if profile.login == "client":
        lasts = "it is renewed by the secret"
    call.terminal.say(f"the token lasts {durations.brief(token.expires_at_s - time.time())}; {lasts}")
    return EXIT_OK


def _token(call: Call) -> Token:
    profile, options = call.profile, call.options

    def show(what: str) -> None:
        call.terminal.say("sign in here:")
        call.terminal.say(f"  {what}")
        if profile.login == "browser" and not options.no_browser:
            import webbrowser  # noqa: PLC0415  # only where a page is opened

            webbrowser.open(what)

    if profile.login == "client":
        return by_secret(profile)
    by_person = by_browser if profile.login == "browser" else by_device
    return by_person(profile, timeout_s=options.timeout, show=show)
