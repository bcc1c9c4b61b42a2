"""Errors about parameters: the place, what is wrong, the remedy.

Owns the wording that all parameters share. Never decides what is wrong. Called by every parser of the query language.
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Final

from ivr_runtimes.echo import ECHO_LENGTH, show
from ivr_runtimes.errors import Fault, InvalidRequestError

MAX_FAULTS: Final = 20
"""The most faults that one answer names, so that a long wrong query cannot make a far longer answer."""

_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")


def invalid(place: str, message: str, *, remedy: str) -> InvalidRequestError:
    """Make the error for one wrong thing at `place`, e.g. `filter[2][1]`."""
    return InvalidRequestError(f"{place}: {message}", faults=(Fault(place=place, message=message, remedy=remedy),))


def unknown(place: str, what: str, *, name: str, known: Iterable[str]) -> InvalidRequestError:
    """Make the error for an unknown name; its remedy names similar names first, then all known ones."""
    names = tuple(known)
    near = nearest(name, names)
    guess = f"Did you mean {' or '.join(near)}? " if near else ""
    return invalid(place, f"unknown {what} {show(name)}", remedy=f"{guess}There are: {', '.join(names)}")


def merged(errors: Sequence[InvalidRequestError]) -> InvalidRequestError:
    """Join the errors of several parameters, with the first `MAX_FAULTS` faults; a single error stays as it is."""
    if len(errors) == 1:
        return errors[0]
    faults = tuple(fault for error in errors for fault in error.faults)
    rest = f"; errors names the first {MAX_FAULTS}" if len(faults) > MAX_FAULTS else ""
    return InvalidRequestError(f"{len(faults)} parameters are wrong{rest}", faults=faults[:MAX_FAULTS])


def nearest(name: str, known: Sequence[str]) -> list[str]:
    """Return up to three known names that look like `name`, whatever its case."""
    if len(name) > ECHO_LENGTH:
        return []
    return difflib.get_close_matches(name.strip().lower(), known)


def member(place: str, key: str) -> str:
    """Name the place of an object's member: `filter.code`, or `filter["ext.state"]` where a dot would mislead."""
    return f"{place}.{key}" if _PLAIN_KEY.fullmatch(key) else f"{place}[{show(key)}]"
