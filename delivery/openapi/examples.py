"""Examples: of rows, the public contract's; of problems, what the code itself says."""

import json
from collections.abc import Iterator
from typing import Final

from delivery.openapi.schema import Json
from ivr_runtimes import errors
from ivr_runtimes.errors import ApiError
from ivr_runtimes.fields import DOCUMENTED
from ivr_runtimes.http.caller import caller_of
from ivr_runtimes.http.response import problem_response
from ivr_runtimes.listing.permission import permit
from ivr_runtimes.query import parse_list_query

SAMPLE: Final = {
    "id": "244f84aa-0624-e639-8061-a80000000006",
    "site": "SITE1",
    "node": "site1_h6@192.168.0.12",
    "domain": "test.rootdomain.ru",
    "type": "ivr",
    "code": "player",
    "name": "TEST PLAY",
    "starttime": "2019-11-05T08:36:40Z",
    "ext.state": "post_processing",
    "ext.stoptype": "stop",
    "ext.rootcode": "welcome",
    "ext.rootname": "Main scenario",
    "ext.session": "5dc1344a-8f2c",
    "ext.lwt": "2019-11-05T08:37:02Z",
    "ext.stop_id": "8d1b2f0c-6f0e-4a7e-9a51-3c8f3f6f0a11",
    "ext.caller": "+44 1632 960001",
    "ext.called": "+44 1632 960960",
    "ext.call_id": "1572943000.42",
}
"""A value of each field. The numbers are of a range that is kept for fiction."""

NUMBERS_SCOPE: Final = "ivrscript_runtimes:numbers"
"""The scope of numbers where the installation has no name of its own for it."""

REQUEST_ID: Final = "JKJaXmPLvHcESHA="

DETAILS: Final[dict[type[ApiError], str]] = {
    errors.ResultTooLargeError: "The answer would take 7340032 bytes; one response holds 6291456. Ask for pages: …",
    errors.NodeUnreachableError: "The node that runs this script has not been heard of lately. Repeat later.",
    errors.OutcomeUnknownError: "Whether the stop was accepted is not known. Repeat the request with the same key.",
    errors.ListUnavailableError: "The list cannot be read now. Nothing is wrong with the request: repeat it.",
    errors.InternalError: "The request could not be served.",
}


def rows() -> Json:
    """Return lists of rows: as without a mask, and with the composite."""
    documented = {field.name: SAMPLE[field.name] for field in DOCUMENTED}
    ext = {"state": SAMPLE["ext.state"], "stoptype": SAMPLE["ext.stoptype"]}
    return {
        "without a mask": {"value": [documented]},
        "mask=id,ext.state,ext.stoptype": {"value": [{"id": SAMPLE["id"], "ext": ext}]},
        "mask=id,ext.state&flat=true": {"value": [{"id": SAMPLE["id"], "ext.state": SAMPLE["ext.state"]}]},
    }


def problem(error: type[ApiError]) -> Json:
    """Return the body that tells of such an error."""
    body: Json = json.loads(problem_response(_raised(error), request_id=REQUEST_ID)["body"])
    return body


def _raised(error: type[ApiError]) -> ApiError:
    return next(each for each in _refused() if type(each) is error) if error not in DETAILS else error(DETAILS[error])


def _refused() -> Iterator[ApiError]:
    """Yield what the code raises for wrong requests, with the places that it names."""
    yield errors.RuntimeNotFoundError()
    try:
        parse_list_query('limit=-1&filter=["AND",["isnull",["property","site"]]]')
    except ApiError as error:
        yield error
    try:
        caller_of({}, domain_claim="domain")
    except ApiError as error:
        yield error
    try:
        permit(parse_list_query("mask=id,ext.caller"), (), scope=NUMBERS_SCOPE)
    except ApiError as error:
        yield error
