"""The program `python -m ivr_local`: the whole system on one machine, until Ctrl-C. See docs/local.md.

Owns arguments, signals, exit codes and the output on the terminal. `stack` does everything else.
"""

import argparse
import asyncio
import ipaddress
import os
import shlex
import signal
import socket
import sys
from pathlib import Path
from typing import Final

from ivr_local import fleet, server, state, template
from ivr_local.authorization import OPENID
from ivr_local.emulator import ACCOUNT_ID, HOST, REGION, StartError
from ivr_local.fleet import MAX_DELAY_MS, ClientConfig
from ivr_local.intrinsics import TemplateError
from ivr_local.stack import AUDIENCE, STACK_NAME, LocalStack, Plan
from ivr_runtimes.errors import SettingsError
from ivr_runtimes.telling import trace_of

DELAY_VARIABLE: Final = "IVR_SANDBOX_EXTERNAL_STOP_DELAY_MS"

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_SETTINGS: Final = 2


def main() -> int:
    """Run the stack; return the exit code."""
    options = _parser().parse_args()
    try:
        plan = _plan(options)
        with server.listen(plan.port) as bound, state.opened(_state_dir(options)) as opened:
            return asyncio.run(_run(plan, bound=bound, opened=opened))
    except (SettingsError, TemplateError) as error:
        print(f"ivr_local: {error}", file=sys.stderr)  # noqa: T201  # for the person at the terminal
        return EXIT_SETTINGS
    except StartError as error:
        print(f"ivr_local: {error}", file=sys.stderr)  # noqa: T201  # for the person at the terminal
        return EXIT_FAILED
    except Exception as error:  # noqa: BLE001  # the program's last guard: the interpreter would print library texts, which may hold secrets
        print(f"ivr_local: {trace_of(error)}", file=sys.stderr)  # noqa: T201  # for the person at the terminal
        return EXIT_FAILED


def say(line: str) -> None:
    """Print a line for the person at the terminal, unbuffered, so that it comes through a pipe at once, too."""
    print(line, flush=True)  # noqa: T201  # the program's own output


async def _run(plan: Plan, *, bound: socket.socket, opened: state.StateDir) -> int:
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    say(f"starting on {plan.url} (logs: {opened.logs})")
    stack = LocalStack(plan, state=opened, bound=bound, tell=say)
    starting = asyncio.create_task(stack.start(), name="start")
    signalled = asyncio.create_task(stopping.wait(), name="stopping")
    try:
        await asyncio.wait({starting, signalled}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            say(_welcome(plan, opened))
            await signalled
    finally:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        say("stopping")
        await stack.stop()
        say("stopped")
        signalled.cancel()
    return EXIT_OK


def _plan(options: argparse.Namespace) -> Plan:
    if not options.template.is_file():
        raise SettingsError(
            f"{options.template}: no such file; run in the project's folder, or name it with --template"
        )
    project = options.template.resolve().parent
    loaded = fleet.load(options.config)
    expanded = template.expand(
        options.template,
        parameters={
            "JwtIssuer": f"http://{HOST}:{options.port}",
            "JwtAudience": AUDIENCE,
            "Sites": ",".join(site.code for site in loaded.sites),
            "ConsoleScopes": ",".join(_all_scopes(loaded)),
        },
        stack_name=STACK_NAME,
        region=REGION,
        account_id=ACCOUNT_ID,
    )
    return Plan(
        port=options.port,
        fleet=loaded,
        template=expanded,
        project=project,
        ministack=_ministack(options.ministack or project / ".venv-ministack" / "bin" / "ministack"),
        iam=options.iam,
        aws_host=options.aws_host,
        external_stop_delay_ms=_delay_ms(os.environ.get(DELAY_VARIABLE), loaded.sandbox.external_stop_delay_ms),
    )


def _all_scopes(loaded: fleet.Fleet) -> list[str]:
    """Return what the console may ask for: the local issuer grants each user what is theirs of it."""
    return [OPENID, *sorted({scope for user in loaded.users for scope in user.scopes})]


def _ministack(program: Path) -> Path:
    if not os.access(program, os.X_OK):
        remedy = "install it there with `make setup`, or name another with --ministack"
        raise SettingsError(f"{program}: the emulator of AWS is not there or not executable; {remedy}")
    return program.absolute()


def _delay_ms(text: str | None, configured: int) -> int:
    """Return the delay of External Stop branches: from the environment, else from the file."""
    if not text:
        return configured
    if not text.isascii() or not text.isdigit() or int(text) > MAX_DELAY_MS:
        raise SettingsError(f"{DELAY_VARIABLE}: not a whole number from 0 to {MAX_DELAY_MS} (milliseconds); correct it")
    return int(text)


def _state_dir(options: argparse.Namespace) -> Path:
    return (options.state_dir or state.default_path(options.port)).absolute()


def _welcome(plan: Plan, opened: state.StateDir) -> str:
    """Return the text of what to do next: commands of one line each, to be copied as they are."""
    client = max(plan.fleet.clients, key=lambda one: len(one.scopes))
    runtimes = f"{plan.url}/rest/v1/uc/ivrscript_runtimes"
    ask = 'curl -s -H "Authorization: Bearer $TOKEN"'
    some = """--data-urlencode 'mask=id,site,code,ext.state' --data-urlencode 'filter={"site":"SITE"}'"""
    ivrctl = shlex.quote(str(Path(sys.executable).with_name("ivrctl")))
    return f"""
Ready. In a browser: {plan.url}/

In another terminal (as client {client.id} of domain {client.domain}; samplesconfig.toml has more):

  export TOKEN=$({_token_command(plan, client)})

  {ask} {runtimes}

  {ask} -G {runtimes} {some.replace("SITE", plan.fleet.sites[0].code)}

  export ID=$({ask} '{runtimes}?limit=1&order=-starttime' | sed -E 's/.*"id": ?"([^"]*)".*/\\1/')
  curl -i -X DELETE -H "Authorization: Bearer $TOKEN" -H 'Prefer: wait=5' {runtimes}/$ID

Or with the command line (docs/cli.md):

  export IVRCTL_URL={plan.url} IVRCTL_CLIENT_ID={client.id} IVRCTL_CLIENT_SECRET={client.secret}
  {ivrctl} list
  {ivrctl} watch

Logs: {opened.logs}
What runs where: {opened.path / "stack.json"}
Ctrl-C ends it all.
"""


def _token_command(plan: Plan, client: ClientConfig) -> str:
    credentials = shlex.quote(f"{client.id}:{client.secret}")
    ask = f"curl -s -u {credentials} -d grant_type=client_credentials {plan.url}/oauth2/token"
    return ask + """ | sed -E 's/.*"access_token": ?"([^"]*)".*/\\1/'"""


def _own_address(text: str) -> str:
    """Accept only an address of this machine that others cannot reach: the emulated AWS lets everybody in."""
    try:
        address = ipaddress.IPv4Address(text)
        with socket.socket() as trial:
            trial.bind((text, 0))
    except (ValueError, OSError):
        raise argparse.ArgumentTypeError(f"{text!r} is no IPv4 address of this machine") from None
    if not address.is_private or address.is_unspecified:
        raise argparse.ArgumentTypeError(f"{text} can be reached from elsewhere: give loopback's or a bridge's address")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ivr_local",
        description="The whole system on this machine: emulated AWS, API gateway, token endpoint, sample fleet.",
        epilog=f"{DELAY_VARIABLE} (milliseconds) delays External Stop branches and wins over the file. "
        "Exit codes: 0 stopped by a signal, 1 did not start, 2 wrong settings or a taken port. See docs/local.md.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--port",
        type=server.port_number,
        default=3000,
        help="where the gateway and the token endpoint listen, on 127.0.0.1",
    )
    add("--config", type=Path, default="samplesconfig.toml", help="the sample fleet")
    add("--template", type=Path, default="template.yaml", help="the cloud's template; its folder is the project's")
    add("--state-dir", type=Path, help="logs, key and stack.json, fresh at every start (default: .local/<port>)")
    add("--ministack", type=Path, help="the emulator (default: .venv-ministack/bin/ministack of the project)")
    add(
        "--aws-host", type=_own_address, default=HOST, help="where the emulated AWS listens, for containers to reach it"
    )
    add("--iam", action="store_true", help="enforce the template's roles and policies on the emulated AWS")
    return parser


if __name__ == "__main__":
    sys.exit(main())
