"""Prints docs/cli.md: what `ivrctl` takes and answers, out of the tables that the program itself reads.

Owns the order of the page and the prose between the tables; never an option, a variable or an exit code.
`make cli-docs` writes the page, a test tells when it is out of date.
"""

import sys
from collections.abc import Iterable, Mapping
from typing import Final

from ivrctl.errors import EXITS
from ivrctl.grammar import COMMANDS, parser, parser_of
from ivrctl.profiles import KEYS, VARIABLES
from ivrctl.show import FORMATS
from ivrctl.stopping import OUTCOMES

HEAD: Final = """\
# The command line: ivrctl

<!-- Made by `make cli-docs` out of the program; a test compares them. -->

`ivrctl` lists and stops running scripts from a terminal. It speaks the REST API ([api.md](api.md)). In the project's
folder `make setup` installs it as `.venv/bin/ivrctl`; elsewhere install the distribution `ivrctl` from its wheel
(`make wheel`).

    make run                       # in one terminal
    .venv/bin/ivrctl list          # in another: what runs, without any set-up
"""

PROFILES: Final = """\
A profile says whom to speak to and as whom. The profile `local` is built in: the stack of `make run`
([local.md](local.md)) and its sample client `operator`, whose published secret goes to this machine alone. So is
`local-user`, for its sample users, who sign in with a browser. Others stand in
`~/.config/ivrctl/config.toml`:

```toml
default = "prod"

[profiles.prod]
url = "https://api.example.com"
issuer = "https://issuer.example.com"
client_id = "night-shift"
client_secret_file = "~/.config/ivrctl/prod.secret"
```

The command line wins over the environment, the environment over the profile. Where a URL is not https, it must be of
this machine: a token in the clear is anybody's."""

TOKENS: Final = """\
With login `client` a token is fetched when one is needed; with `browser` and `device` somebody signs in with
`ivrctl login` first. `browser` is the authorization code with PKCE (S256): the issuer's page sends the browser back to
`http://127.0.0.1:<port>/callback`, on a free port; register that address for the client, without a port where the
issuer takes any (RFC 8252). `device` works where the issuer announces a `device_authorization_endpoint` (RFC 8628).

Access tokens are kept in the cache folder, in files that their owner alone may read (mode 0600), and renewed half a
minute before they expire, or when the API does not accept one."""

OUTPUT: Final = """\
Data goes to stdout, all else to stderr. On a terminal a table is cut to its width, the id excepted, and the state is
coloured; what is piped is neither cut nor coloured. `NO_COLOR`, `TERM=dumb` and `--no-color` forbid colours. Characters
that a terminal obeys (escape sequences, marks that turn the direction of text around, invisible ones) are shown as
`\\x1b` or `\\u202e`; in JSON as `\\u` escapes, which mean the same.

Where the nodes of a site do not all answer, stderr names the site, and `coverage` in the JSON does; with
`--fail-on-partial` that is an error. An empty list with full coverage means that no script runs."""

ERRORS: Final = """\
An error is told on stderr, with its remedy. With `--json-errors` it is one JSON object on the last line of stderr: the
API's own problem ([api.md](api.md#errors)) as it came, with `status` and `title` added where a gateway answered for
itself; else one of `ivrctl`'s, with `type` `urn:ivrctl:problem:…`, `title`, `detail`, `code` and `remedy`."""


STOPS: Final = """\
`ivrctl stop` reads what meets the conditions, shows it and asks. What is stopped afterwards are the ids that were
shown, whatever the conditions would find by then. Where stdin or stderr is no terminal it does not ask: there `--yes`
is needed.

By default each stop is proven. Where the API tells what came of it (`Prefer: wait`), that is the proof; else the list
is read by id until the script is gone or its External Stop branch runs. A site whose nodes do not all answer proves
nothing. A refusal for now (429, 503) or an answer that was lost leads to the same request with the same key, after
the pause that the API names. The key makes all of them one stop: a goodbye is not cut off by a repeat. `--completely`
and `--grace` send a second stop, with a second key, once the branch runs or has had its time.

Each id ends in one outcome:"""

JOURNAL: Final = """\
A run writes a journal before its first stop: the ids, their keys, and each outcome as it comes. When the run is
interrupted, or not all of it is done, the journal stays, and the last line of stderr says how to go on: `ivrctl stop
--resume FILE`. That sends what is not done yet, with the same keys, and stops nothing a second time. A journal
belongs to one API; a second run cannot open it meanwhile. The first Ctrl-C lets the requests under way end, which
takes some seconds; the second ends the program without."""


def main() -> None:
    """Print the page."""
    sys.stdout.write("\n".join(_page()) + "\n")


def _page() -> Iterable[str]:
    yield HEAD
    yield _text(parser().format_help())
    for name in (name for name, command in COMMANDS.items() if command.summary):
        yield from ("", f"## ivrctl {name}", "", _text(parser_of(name).format_help()))
    yield from ("", "## Stops", "", STOPS, "", *_outcomes(), "", JOURNAL)
    yield from ("", "## Output", "", OUTPUT, "", *_table(("format", "what"), FORMATS))
    yield from ("", "## Errors and exit codes", "", ERRORS, "")
    yield from _table(("exit code", "meaning"), {str(code): meaning for code, meaning in EXITS.items()})
    yield from ("", "## Profiles", "", PROFILES, "", *_table(("setting", "meaning"), KEYS))
    yield from ("", *_table(("variable", "meaning"), VARIABLES))
    yield from ("", "## Tokens", "", TOKENS)


def _outcomes() -> Iterable[str]:
    yield from ("| outcome | counts as | meaning |", "|---|---|---|")
    for name, one in OUTCOMES.items():
        yield f"| `{name}` | {'done' if one.done else 'not done'} | {one.meaning} |"


def _text(block: str) -> str:
    return f"```text\n{block.rstrip()}\n```"


def _table(heads: tuple[str, str], rows: Mapping[str, str]) -> Iterable[str]:
    yield f"| {heads[0]} | {heads[1]} |"
    yield "|---|---|"
    for name, meaning in rows.items():
        yield f"| `{name}` | {meaning} |"


if __name__ == "__main__":
    main()
