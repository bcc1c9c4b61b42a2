"""`python -m ivr_engine.conformance --engine ADDRESS`: checks an engine.

Owns arguments, output and exit codes. See docs/engine-protocol.md.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from enum import IntEnum
from typing import Final

from ivr_engine import address
from ivr_engine.address import Address, ListenError
from ivr_engine.conformance.door import GoneError
from ivr_engine.conformance.kit import Plan, Result, Verdict, catalogue, examine


class Exit(IntEnum):
    """How the kit ends."""

    PASSED = 0
    FAILED = 1
    WRONG_USE = 2
    NO_ENGINE = 3
    OPEN = 4
    NO_TOKEN = 5

    @property
    def meaning(self) -> str:
        """What happened, for people."""
        return MEANINGS[self]


MEANINGS: Final = {
    Exit.PASSED: "every check that was asked for has passed",
    Exit.FAILED: "a check has failed",
    Exit.WRONG_USE: "wrong use: an option, or an address to listen on that is taken",
    Exit.NO_ENGINE: "no engine takes connections at the address",
    Exit.OPEN: "none has failed, but a check that was asked for could not be made: no calls to stop, no events",
    Exit.NO_TOKEN: "an address is TCP, and the node's token was not given",
}

VISIBLE: Final = range(0x21, 0x7F)
"""Characters of a token: it is sent in a header."""

TOKEN_VARIABLE: Final = "IVR_AGENT_ENGINE_TOKEN"  # noqa: S105  # the name of a variable


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the kit; return the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    token = (options.token or os.environ.get(TOKEN_VARIABLE) or "").rstrip("\r\n")
    if any(ord(character) not in VISIBLE for character in token):
        parser.error("the token holds a character that is not visible ASCII")
    over_tcp = [where for where in (options.engine, options.listen) if where is not None and not where.path]
    if over_tcp and not token:
        return _end(Exit.NO_TOKEN, f"{over_tcp[0]} is TCP: put the node's token into {TOKEN_VARIABLE}")
    plan = Plan(
        engine=options.engine,
        token=token or None,
        destructive=options.destructive,
        branch=frozenset(options.branch),
        listen=options.listen,
    )
    try:
        verdicts = asyncio.run(examine(plan))
    except ListenError as error:
        return _end(Exit.WRONG_USE, str(error))
    except GoneError as error:
        return _end(Exit.NO_ENGINE, f"no engine at {plan.engine}: {error}")
    print(_as_json(verdicts) if options.json else _as_text(verdicts))  # noqa: T201  # a program for people
    return _exit(verdicts)


def _end(code: Exit, why: str) -> Exit:
    print(f"conformance: {why}", file=sys.stderr)  # noqa: T201  # a program for people
    return code


def _exit(verdicts: Sequence[Verdict]) -> Exit:
    if _count(verdicts, Result.FAIL):
        return Exit.FAILED
    return Exit.OPEN if _count(verdicts, Result.OPEN) else Exit.PASSED


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
        prog="python -m ivr_engine.conformance",
        description="Checks an IVR engine against the engine protocol, version 1 (docs/engine-protocol.md).",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="\n".join(
            [
                "Checks:",
                *(f"  {name}\n      {asks}" for name, asks in catalogue()),
                "\nExit codes:",
                *(f"  {code:d}  {code.meaning}" for code in Exit),
            ]
        ),
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
