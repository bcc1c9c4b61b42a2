"""The program `python -m ivr_local.attach`: settings with which an engine of your own joins a running stack.

Prints its agent's settings as lines for a shell; owns the errors in its arguments. Starts and changes nothing: all it
needs comes from stack.json. See docs/local.md.
"""

import argparse
import hashlib
import hmac
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from ivr_local import server, state
from ivr_local.emulator import StartError, free_ports
from ivr_local.fleet import LocalNode
from ivr_runtimes.errors import SettingsError
from ivr_runtimes.identifiers import NodeName, host_of

IN_THE_WAY: Final = (
    *("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"),
    *("HTTP_PROXY", "http_proxy"),
)
"""Variables of the user that would direct an AWS SDK away from the emulated AWS."""

EXIT_SETTINGS: Final = 2


def main() -> int:
    """Print the settings; return the exit code."""
    options = _parser().parse_args()
    try:
        stack = state.running((options.state_dir or state.default_path(options.port)).absolute())
        host = host_of_new(options.node, stack)
        (control_port,) = free_ports(1, host)
        told = environment(
            stack,
            site=options.site,
            node=options.node,
            control_port=control_port,
            engine=options.engine,
            listen=options.listen,
        )
    except (SettingsError, StartError) as error:
        print(f"ivr_local.attach: {error}", file=sys.stderr)  # noqa: T201  # for the person at the terminal
        return EXIT_SETTINGS
    print("\n".join(as_shell(told)))  # noqa: T201  # the program's own output
    return 0


def environment(
    stack: Mapping[str, Any],
    *,
    site: str,
    node: str,
    control_port: int,
    engine: str | None = None,
    listen: str | None = None,
) -> dict[str, str]:
    """Return the variables of the node's agent; raises `SettingsError`. `stack` is the content of stack.json."""
    if site not in stack["agents"]:
        raise SettingsError(f"--site {site}: the stack has no such site; name one of {', '.join(stack['agents'])}")
    name = hashlib.sha256(node.encode()).hexdigest()[:8]  # a node's own name may be too long for a socket's path
    engine = engine or f"unix:{stack['sockets']}/{name}e"
    listen = listen or f"unix:{stack['sockets']}/{name}a"
    told = {
        **stack["agents"][site],
        "IVR_AGENT_NODE": node,
        "IVR_AGENT_ENGINE": engine,
        "IVR_AGENT_LISTEN": listen,
        "IVR_AGENT_CONTROL_PORT": str(control_port),
    }
    if not (engine.startswith("unix:") and listen.startswith("unix:")):
        told["IVR_AGENT_ENGINE_TOKEN"] = _engine_token(told["IVR_AGENT_PEER_SECRET"], node)
    return told


def as_shell(told: Mapping[str, str]) -> Iterator[str]:
    """Yield lines for the `eval` of a POSIX shell."""
    yield f"unset {' '.join(IN_THE_WAY)}"
    for name, value in told.items():
        yield f"export {name}={shlex.quote(value)}"


def host_of_new(node: str, stack: Mapping[str, Any]) -> str:
    """Return the host of a node that is new to the stack; raises `SettingsError`."""
    try:
        TypeAdapter(LocalNode).validate_python(node)
    except ValidationError as error:
        wrong = error.errors()[0]
        why = "not of the form name@127.0.0.1" if wrong["type"] == "string_pattern_mismatch" else str(wrong["msg"])
        raise SettingsError(f"--node {node!r}: {why.removeprefix('Value error, ')}") from None
    if node in (one["node"] for one in stack["nodes"]):
        raise SettingsError(f"--node {node}: one of the stack's own nodes; choose another name")
    return host_of(NodeName(node))


def _engine_token(peer_secret: str, node: str) -> str:
    """Return the token that agent and engine share; it is the same each time the settings are printed."""
    return hmac.new(peer_secret.encode(), f"engine of {node}".encode(), hashlib.sha256).hexdigest()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ivr_local.attach",
        description="Print the settings of an agent, as lines for a shell, with which an engine of your own joins a "
        "running stack as a new node. They hold secrets, and hold until the stack ends.",
        epilog="Exit codes: 0 printed, 2 wrong use or no stack. See docs/local.md.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--port", type=server.port_number, default=3000, help="the port of the stack")
    add("--state-dir", type=Path, help="the directory of its stack.json (default: .local/<port>)")
    add("--site", required=True, help="the site to join, one of the stack's")
    add("--node", required=True, help="the new node's name, NAME@127.0.0.1 (or another address of loopback)")
    add("--engine", help="where your engine answers: unix:/path or http://127.0.0.1:PORT (default: a socket)")
    add("--listen", help="where its agent listens for it, the same forms (default: a socket)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
