"""`python -m ivr_agent.conformance --engine ADDRESS`: checks an engine; exit code 1 when it fails one.

Owns arguments and output. See docs/engine-protocol.md.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from typing import Final

from ivr_agent import address
from ivr_agent.address import Address
from ivr_agent.conformance.kit import Plan, Result, Verdict, catalogue, examine
from ivr_agent.exits import ListenError

FAILED, WRONG_USE = 1, 2

TOKEN_VARIABLE: Final = "IVR_AGENT_ENGINE_TOKEN"  # noqa: S105  # the name of a variable


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the kit; return the exit code."""
    options = _parser().parse_args(arguments)
    plan = Plan(
        engine=options.engine,
        token=options.token or os.environ.get(TOKEN_VARIABLE),
        destructive=options.destructive,
        branch=frozenset(options.branch),
        listen=options.listen,
    )
    try:
        verdicts = asyncio.run(examine(plan))
    except ListenError as error:
        print(f"conformance: {error}", file=sys.stderr)  # noqa: T201  # a program for people
        return WRONG_USE
    print(_as_json(verdicts) if options.json else _as_text(verdicts))  # noqa: T201  # a program for people
    return FAILED if any(verdict.result is Result.FAIL for verdict in verdicts) else 0


def _as_json(verdicts: Sequence[Verdict]) -> str:
    counts = {result.value: _count(verdicts, result) for result in Result}
    return json.dumps({"protocol": 1, **counts, "checks": [verdict.as_json() for verdict in verdicts]}, indent=2)


def _as_text(verdicts: Sequence[Verdict]) -> str:
    lines = []
    for verdict in verdicts:
        lines.append(f"{verdict.result:4}  {verdict.check}")
        if verdict.detail:
            lines.append(f"      {verdict.detail}")
        if verdict.result is Result.FAIL:
            lines.append(f"      the protocol asks: {verdict.asks}")
    return "\n".join([*lines, ", ".join(f"{_count(verdicts, result)} {result}" for result in Result)])


def _count(verdicts: Sequence[Verdict], result: Result) -> int:
    return sum(verdict.result is result for verdict in verdicts)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ivr_agent.conformance",
        description="Checks an IVR engine against the engine protocol, version 1 (docs/engine-protocol.md).",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(["Checks:", *(f"  {name}\n      {asks}" for name, asks in catalogue())]),
    )
    parser.add_argument(
        "--engine", required=True, type=_address, metavar="ADDRESS", help="unix:/path or http://127.0.0.1:PORT"
    )
    parser.add_argument(
        "--token", help=f"the node's token; better in {TOKEN_VARIABLE}, where other users do not see it"
    )
    parser.add_argument("--destructive", action="store_true", help="also run the checks that stop runtimes")
    parser.add_argument(
        "--branch",
        action="append",
        default=[],
        metavar="CODE",
        help="code of a script with an External Stop branch; may be repeated. Default: found by stopping some",
    )
    parser.add_argument(
        "--listen",
        type=_address,
        metavar="ADDRESS",
        help="listen for the engine's events where its agent would, to check them too; the agent must not run",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _address(text: str) -> Address:
    try:
        return address.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
