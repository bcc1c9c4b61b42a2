"""Decodes the list's reads: DynamoDB's bytes to rows, without botocore's generic parser, which takes most of the time
of a large list.

`install` replaces a botocore session's component `response_parser_factory`. Its parsers leave the body of a successful
Query or Scan as it came: `decode` reads it into typed structs, `parsed` into what botocore would return. botocore's own
parser does the rest. Signing, retries and checksums stay botocore's.
If an SDK moves that component, answers arrive parsed as usual, `body_of` finds no body, and `dynamo` reads them slowly
(tests/unit/core/test_parser.py checks the component).

Called by `boto`, which makes the clients, and by `dynamo`.
"""

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from http import HTTPStatus
from operator import attrgetter
from typing import Any, Final, NamedTuple

import msgspec

from ivr_runtimes.errors import StoreUnavailableError
from ivr_runtimes.model import NumberedRow, Row, State
from ivr_runtimes.stores import soundness
from ivr_runtimes.unreadable import Unreadable, unread

COMPONENT: Final = "response_parser_factory"
"""The component's name in a botocore session."""

READS: Final = frozenset({"QueryOutput", "ScanOutput"})
"""The shapes of answers whose bodies stay undecoded: thousands of rows or nodes."""

BODY: Final = "ivr_runtimes.body"
"""The key of the undecoded body in a parsed answer."""


def _properties(kind: type) -> frozenset[str]:
    return frozenset(name for name, of in vars(kind).items() if isinstance(of, property))


NUMBERS: Final = _properties(NumberedRow)
"""The attributes that the list reads only for a query that names one of them."""

ROW_ATTRIBUTES: Final = _properties(Row) | {"start_key"}
"""Every other attribute of a row that the list reads."""

REQUIRED: Final = ROW_ATTRIBUTES - {"stoptype", "stop_id", "rootcode", "rootname"}
"""Those that every row has. A row that lacks one is not listed, whatever the query asks for, so that the fields shown
never decide which rows are."""

logger = logging.getLogger(__name__)


class RawQueries:
    """A factory of response parsers that leave the body of a successful Query or Scan alone."""

    def __init__(self, botocores: Any) -> None:
        self._botocores = botocores

    def create_parser(self, *args: Any, **kwargs: Any) -> "_Parser":
        """Make a parser around botocore's own for the protocol."""
        return _Parser(self._botocores.create_parser(*args, **kwargs))

    def __getattr__(self, name: str) -> Any:
        """Pass all else to botocore's factory."""
        return getattr(self._botocores, name)


class _Parser:
    def __init__(self, botocores: Any) -> None:
        self._botocores = botocores

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        """Parse a response of a shape: the body of a read stays as it is, and botocore reads the rest."""
        try:
            response, shape = args
            raw = shape.name in READS and response["status_code"] == HTTPStatus.OK
        except (AttributeError, KeyError, TypeError, ValueError):  # called in another way than botocore does today
            raw = False
        if not raw:
            return self._botocores.parse(*args, **kwargs)
        return {**self._botocores.parse({**response, "body": b"{}"}, shape, **kwargs), BODY: response["body"]}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._botocores, name)


def install(session: Any) -> None:
    """Install in a botocore session, before its clients are made."""
    try:
        session.register_component(COMPONENT, RawQueries(session.get_component(COMPONENT)))
    except Exception:  # a later SDK may raise anything: the list must work, if slower
        logger.warning("botocore has no component %s any more: lists are read slowly", COMPONENT, exc_info=True)


def body_of(answer: dict[str, Any]) -> bytes | None:
    """Return the undecoded body of a Query's answer; None if botocore parsed it."""
    body: bytes | None = answer.get(BODY)
    if body is None:
        _tell_moved()
    return body


def parsed(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer as botocore would parse it, for items that need no struct: strings and numbers.

    Raises `StoreUnavailableError` for an invalid body, such as half of one.
    """
    body: bytes | None = answer.get(BODY)
    if body is None:
        return answer
    try:
        return {**answer, **msgspec.json.decode(body, type=dict[str, Any])}
    except msgspec.DecodeError as error:
        raise StoreUnavailableError(f"the answer to a read cannot be read: {error}") from error


@cache
def _tell_moved() -> None:
    """Log once, not for every page."""
    logger.warning("botocore parsed a Query by itself: the codec's seam has moved, lists are read slowly")


class _Text(msgspec.Struct, frozen=True, gc=False):
    """An attribute's value: `{"S": "…"}`."""

    S: str


class _State(msgspec.Struct, frozen=True, gc=False):
    """The value of `state`: a known one."""

    S: State


class _Unset(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """The value of an optional attribute: a text, or nothing."""

    S: str | None = None
    NULL: bool = True


class _Number(msgspec.Struct, frozen=True, gc=False):
    """The value of a number: a text, else nothing. It never makes its row unreadable, so that all queries show it."""

    S: str | None = None


class Capacity(msgspec.Struct, gc=False):
    """What a call consumed."""

    CapacityUnits: float = 0.0


class _Envelope(msgspec.Struct, gc=False):
    """The answer to a Query without its items (DynamoDB API reference, "Query", response syntax)."""

    ScannedCount: int = 0
    LastEvaluatedKey: dict[str, dict[str, str]] | None = None
    ConsumedCapacity: Capacity | None = None


class _LoosePage(_Envelope, gc=False, kw_only=True):
    Items: list[msgspec.Raw]


_loose_page: Final = msgspec.json.Decoder(_LoosePage)


class _Decoders(NamedTuple):
    """One kind of row, and the decoders of a page of such rows and of one of them."""

    kind: type[msgspec.Struct]
    page: msgspec.json.Decoder[Any]
    row: msgspec.json.Decoder[Any]


@cache
def _decoders(numbers: bool) -> _Decoders:
    attributes = ROW_ATTRIBUTES | NUMBERS if numbers else ROW_ATTRIBUTES
    kind = msgspec.defstruct(
        "DecodedRow",
        [
            *((f"{name}_", _State if name == "state" else _Text) for name in sorted(REQUIRED)),
            *((f"{name}_", _Unset, _Unset()) for name in sorted(ROW_ATTRIBUTES - REQUIRED)),
            *((f"{name}_", _Number, _Number()) for name in sorted(attributes - ROW_ATTRIBUTES)),
        ],
        # A property with a getter in C costs almost nothing, and rows read like `model.Runtime`.
        namespace={"PATH": "{}_.S", **{name: property(attrgetter(f"{name}_.S")) for name in attributes}},
        rename=lambda name: name[:-1],
        # Rows have no cycles; tracking them would make Python's garbage collector run again and again.
        gc=False,
    )
    page = msgspec.defstruct("Page", [("Items", list[kind])], bases=(_Envelope,), kw_only=True, gc=False)  # type: ignore[valid-type]  # made just now
    return _Decoders(kind, msgspec.json.Decoder(page), msgspec.json.Decoder(kind))


_decoders(False)  # at the cold start; those of rows with numbers when they are first asked for


class QueryPage(NamedTuple):
    """A Query's answer: rows (`model.Row`), unreadable rows, where the next page begins, the cost."""

    rows: list[Row]
    unreadable: list[Unreadable]
    resume: dict[str, dict[str, str]] | None
    scanned: int
    read_units: float


def decode(body: bytes, *, numbers: bool = False) -> QueryPage:
    """Decode a body into rows, with `numbers` into `model.NumberedRow`s; skips all else in it.

    Raises `StoreUnavailableError` for what is no Query's answer, such as half of one.
    """
    try:
        page, rows, unreadable = _decode(body, _decoders(numbers))
    except msgspec.DecodeError as error:
        raise StoreUnavailableError(f"the answer to a Query cannot be read: {error}") from error
    units = page.ConsumedCapacity.CapacityUnits if page.ConsumedCapacity else 0.0
    return QueryPage(rows, unreadable, page.LastEvaluatedKey or None, page.ScannedCount, units)


def read_page(answer: Mapping[str, Any], *, numbers: bool = False) -> QueryPage:
    """Read a Query's answer that botocore has parsed."""
    rows, unreadable = read_rows(answer["Items"], numbers=numbers)
    units = float((answer.get("ConsumedCapacity") or {}).get("CapacityUnits", 0.0))
    return QueryPage(rows, unreadable, answer.get("LastEvaluatedKey") or None, answer.get("ScannedCount", 0), units)


def _decode(body: bytes, decoders: _Decoders) -> tuple[Any, list[Row], list[Unreadable]]:
    """Decode the page as a whole if all its rows are valid, else row by row."""
    try:
        page: Any = decoders.page.decode(body)
        if soundness.all_sound(page.Items):
            return page, page.Items, []
    except msgspec.ValidationError:
        pass
    loose = _loose_page.decode(body)
    return loose, *_sorted_out(loose.Items, decoders.row.decode, msgspec.json.decode)


def read_rows(items: Iterable[Mapping[str, Any]], *, numbers: bool = False) -> tuple[list[Row], list[Unreadable]]:
    """Read items that botocore has parsed; return the rows, and the unreadable items."""
    return _sorted_out(items, partial(msgspec.convert, type=_decoders(numbers).kind), lambda item: item)


def _sorted_out(
    items: Iterable[Any], read: Callable[[Any], Any], whole: Callable[[Any], Any]
) -> tuple[list[Row], list[Unreadable]]:
    """Read items one by one; `whole` makes a mapping of an unreadable one."""
    rows: list[Row] = []
    unreadable: list[Unreadable] = []
    for item in items:
        try:
            row = read(item)
            fault = soundness.fault_of(row)
        except msgspec.ValidationError as error:
            fault = re.sub("(?s)^Invalid enum value .* - at", "Invalid enum value - at", str(error))  # never its value
        if fault is None:
            rows.append(row)
        else:
            unreadable.append(unread(whole(item), "id", fault))
    return rows, unreadable
