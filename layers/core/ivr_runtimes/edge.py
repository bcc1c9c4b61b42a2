"""Where HTTP meets the core: an HTTP API event in, an answer out, each error mapped once.

Called by the functions' `lambda_handler`. Never decides what is listed or stopped.
"""

from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from ivr_runtimes.caller import Caller, caller_of
from ivr_runtimes.errors import ApiError, InternalError
from ivr_runtimes.response import Response, problem_response

Event = Mapping[str, Any]
Serve = Callable[[Event, Caller], Response]


def answer(event: Event, serve: Serve, *, domain_claim: str, logger: Logger, metrics: Metrics) -> Response:
    """Identify the caller and serve the event; every error, also a defect of ours, becomes a problem.

    Counts each answer by its class in the metrics `Status2xx`, `Status4xx` and `Status5xx`.
    """
    response = _answer(event, serve, domain_claim=domain_claim, logger=logger)
    metrics.add_metric(name=f"Status{response['statusCode'] // 100}xx", unit=MetricUnit.Count, value=1)
    return response


def _answer(event: Event, serve: Serve, *, domain_claim: str, logger: Logger) -> Response:
    request_id = str(event.get("requestContext", {}).get("requestId", ""))
    try:
        caller = caller_of(event, domain_claim=domain_claim)
        return serve(event, caller)
    except ApiError as error:
        level = logger.warning if error.status < InternalError.status else logger.error
        level(error.title(), action="refused", code=error.code, status=error.status, detail=error.detail)
        return problem_response(error, request_id=request_id)
    except Exception:  # the last guard of the surface: the caller gets our error body, we get the trace
        logger.exception("unexpected", action="failed")
        detail = "The request could not be served. Give its request_id to the operators of this service."
        return problem_response(InternalError(detail), request_id=request_id)


def header(event: Event, name: str) -> str | None:
    """Return a request header's value, or None. HTTP APIs send names in lower case and join duplicates by commas."""
    value: str | None = (event.get("headers") or {}).get(name)
    return value
