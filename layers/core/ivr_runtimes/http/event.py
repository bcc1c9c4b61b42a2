"""The event of an HTTP API, payload format 2.0: checked once, then read.

Owns which of its members are read, and their types ("Create AWS Lambda proxy integrations for HTTP APIs",
http-api-develop-integrations-lambda). A function can be invoked with any JSON: by a schedule that keeps it warm, by a
test in the console, by an event source connected by mistake. Called by `edge`, `request` and the functions.
"""

from collections.abc import Mapping
from typing import Any, Final

from ivr_runtimes.echo import show
from ivr_runtimes.errors import Fault, InvalidRequestError

Event = Mapping[str, Any]

VERSION: Final = "2.0"
"""Events of REST APIs, load balancers and format 1.0 have another version or none, and another form of query."""

MAX_KEYS_SHOWN: Final = 5
"""How many keys a message shows of an event that is no HTTP request."""

_REMEDY: Final = "invoke the function through a route of its HTTP API, or with an event like those in the folder events"
_OBJECTS: Final = ("headers", "pathParameters")
_KINDS: Final = {"NoneType": "null", "bool": "a truth value", "int": "a number", "float": "a number", "list": "a list"}


def http_event(event: object) -> Event:
    """Return the event if it is an HTTP request; else raises `InvalidRequestError`, which says what came instead."""
    if not isinstance(event, Mapping) or event.get("version") != VERSION:
        raise _invalid("event", f"{_described(event)} is no HTTP request of payload format {VERSION}")
    if not isinstance(event.get("requestContext"), Mapping):
        raise _wrong("requestContext", event.get("requestContext"), "an object")
    for name in _OBJECTS:
        if not isinstance(event.get(name, {}), Mapping | None):
            raise _wrong(name, event[name], "an object")
    raw_query(event)
    return event


def raw_query(event: Event) -> str:
    """Return the query string as it was sent; raises `InvalidRequestError` if the event has only a parsed one."""
    raw = event.get("rawQueryString")
    if raw is None and not event.get("queryStringParameters"):
        return ""
    if not isinstance(raw, str):
        raise _wrong("rawQueryString", raw, "a string")
    return raw


def header(event: Event, name: str) -> str | None:
    """Return a request header's value, or None. HTTP APIs send names in lower case and join duplicates by commas."""
    value = (event.get("headers") or {}).get(name)
    if value is None or isinstance(value, str):
        return value
    raise _wrong(f"headers.{name}", value, "a string")


def path_parameter(event: Event, name: str) -> str:
    """Return a path parameter; empty if there is none."""
    value = (event.get("pathParameters") or {}).get(name)
    return value if isinstance(value, str) else ""


def found_at(event: object, *keys: str) -> Any:
    """Return the value under nested keys of an event; None if there is none."""
    found = event
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def kind_of(value: object) -> str:
    """Name the type of a JSON value, for people."""
    return _KINDS.get(type(value).__name__, "an object")


def _wrong(name: str, value: object, wanted: str) -> InvalidRequestError:
    return _invalid(f"event.{name}", f"{_described(value)} is not {wanted}")


def _invalid(place: str, message: str) -> InvalidRequestError:
    fault = Fault(place=place, message=message, remedy=_REMEDY)
    return InvalidRequestError(f"{place}: {message}", faults=(fault,))


def _described(value: object) -> str:
    """Describe a value by its type; an object also by some keys, which show whether a schedule or a queue sent it."""
    if isinstance(value, str):
        return f"the string {show(value)}"
    if not isinstance(value, Mapping):
        return kind_of(value)
    keys = ", ".join(show(str(key)) for key in list(value)[:MAX_KEYS_SHOWN])
    return f"an object of {keys}" if keys else "an empty object"
