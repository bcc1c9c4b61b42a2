"""Handles a function's event: finds the caller, serves the request, maps every error to an answer.

The only place where errors become HTTP answers. Never decides what is listed or stopped. Called by `lambda_handler`.
"""

import time
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Final

from aws_lambda_powertools import Logger, Metrics

from ivr_runtimes.errors import ApiError, InternalError, StoreError
from ivr_runtimes.http import meter
from ivr_runtimes.http.caller import Caller, caller_of
from ivr_runtimes.http.event import Event, found_at, http_event
from ivr_runtimes.http.response import Response, problem_response
from ivr_runtimes.telling import told, trace_of
from ivr_runtimes.unreadable import Notices, Unreadable

Serve = Callable[[Event, Caller], Response]

MAX_CAUSE: Final = 300
"""The most characters of a cause in the log."""


def answer(event: object, serve: Serve, *, domain_claim: str, logger: Logger, metrics: Metrics) -> Response:
    """Identify the caller and serve the event. Every error, also a defect of ours, becomes a problem (RFC 9457).

    Any JSON is answered: what is not an HTTP request is refused like a wrong one. Counts each answer and each refusal;
    the outcome of a request that succeeds is counted by `serve`.
    """
    begun_s = time.monotonic()
    try:
        request = http_event(event)
        response = serve(request, caller_of(request, domain_claim=domain_claim))
    except ApiError as error:
        response = _refusal(error, event, logger=logger, metrics=metrics)
    except Exception as error:  # noqa: BLE001  # the last guard: the caller gets our error body, the log gets the traceback
        logger.error("unexpected", action="failed", extra=_explained(error))  # noqa: TRY400  # see there
        detail = "The request could not be served. Give its request_id to the operators of this service."
        response = _refusal(InternalError(detail), event, logger=logger, metrics=metrics)
    meter.answered(metrics, response, latency_ms=(time.monotonic() - begun_s) * 1000)
    return response


def _explained(error: Exception) -> dict[str, str]:
    """Return the fields of `logger.exception` without texts of libraries, which may quote a credential."""
    return {"exception_name": type(error).__name__, "error": told(error), "exception": trace_of(error)}


def _refusal(error: ApiError, event: object, *, logger: Logger, metrics: Metrics) -> Response:
    meter.outcome(metrics, error.code)
    level = logger.warning if error.status < InternalError.status else logger.error
    causes = list(_causes(error))
    extra = {**error.trail, **({"cause": causes} if causes else {})}
    level(error.title(), action="refused", code=error.code, status=error.status, detail=error.logged, extra=extra)
    return problem_response(error, request_id=str(found_at(event, "requestContext", "requestId") or ""))


def _causes(error: ApiError) -> Iterator[str]:
    """Yield the causes of a 5xx error, the nearest first: of a store's error with its text, of others only the class.

    The text of a store's error is made for the log; others may quote a request with its credentials.
    """
    cause = error.__cause__ if error.status >= InternalError.status else None
    while cause is not None:
        name = type(cause).__name__
        yield f"{name}: {cause}"[:MAX_CAUSE] if isinstance(cause, StoreError) else name
        cause = cause.__cause__


def unread_rows(logger: Logger, metrics: Metrics, sites: Collection[str]) -> Notices:
    """Return what reports unreadable rows of these sites: each once in the log, every reading in a metric."""

    def tell(table: str, row: Unreadable) -> None:
        logger.warning("a row cannot be read", action="table_row_unreadable", table=table, **row._asdict())

    return Notices(tell=tell, count=partial(meter.unreadable, metrics), sites=sites)
