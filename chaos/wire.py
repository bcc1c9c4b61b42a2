"""Requests and answers of AWS's JSON protocols, as far as they are forged on the way.

Owns what an operation is, which faults fit it, and the bodies of false answers. Pure: `proxy` sends them.
"""

import json
from random import Random
from typing import Any, Final

from chaos.schedule import Kind

READS: Final = frozenset({"GetItem", "BatchGetItem", "Query", "Scan", "ReceiveMessage"})
WRITES: Final = frozenset({
    "BatchWriteItem", "PutItem", "SendMessage", "DeleteMessageBatch", "ChangeMessageVisibilityBatch",
})  # fmt: skip
PARTIAL: Final = frozenset({"BatchGetItem", "BatchWriteItem", "DeleteMessageBatch", "ChangeMessageVisibilityBatch"})

CLEAR: Final = (Kind.THROTTLED, Kind.FAILED, Kind.HUNG, Kind.CUT, Kind.LOST)
LATE_WRITES: Final = (Kind.FAILED_AFTER, Kind.HELD)

Body = dict[str, Any]


def operation(target: str) -> tuple[str, str]:
    """Return service and operation of an `X-Amz-Target`: ("dynamodb" or "sqs", e.g. "GetItem")."""
    service, _, name = target.partition(".")
    return ("sqs" if service == "AmazonSQS" else "dynamodb"), name


def fitting(name: str) -> tuple[Kind, ...]:
    """Return the faults that can happen to an operation; none to those that only set the stack up."""
    if name not in READS | WRITES:
        return ()
    kinds = CLEAR + (LATE_WRITES if name in WRITES else ())
    kinds += (Kind.PARTIAL,) if name in PARTIAL else ()
    return kinds + ((Kind.TWICE, Kind.LATE) if name == "SendMessage" else ())


def throttling(service: str, chance: Random) -> Body:
    """Return the body of a 400 that says: slow down."""
    if service == "sqs":
        return {"__type": "com.amazonaws.sqs#RequestThrottled", "message": "Request is throttled."}
    name = chance.choice(("ProvisionedThroughputExceededException", "ThrottlingException"))
    return {"__type": f"com.amazonaws.dynamodb.v20120810#{name}", "message": "Rate exceeded."}


def failure(service: str) -> Body:
    """Return the body of a 500."""
    name = "com.amazonaws.dynamodb.v20120810#InternalServerError" if service == "dynamodb" else "InternalFailure"
    return {"__type": name, "message": "The request could not be completed."}


def split(name: str, request: Body, chance: Random) -> tuple[Body | None, Body]:
    """Take a part out of a batch; return the request that is left (None: nothing) and what its answer must add."""
    if name in {"BatchGetItem", "BatchWriteItem"}:
        return _split_items(name, request, chance)
    kept, taken = _divide(request["Entries"], chance)
    failed = [
        {"Id": entry["Id"], "SenderFault": False, "Code": "InternalError", "Message": "Not this one."}
        for entry in taken
    ]
    return ({**request, "Entries": kept} if kept else None), {"Failed": failed}


def _split_items(name: str, request: Body, chance: Random) -> tuple[Body | None, Body]:
    [(table, asked)] = request["RequestItems"].items()
    if name == "BatchWriteItem":
        kept, taken = _divide(asked, chance)
        left = {**request, "RequestItems": {table: kept}} if kept else None
        return left, {"UnprocessedItems": {table: taken}}
    kept, taken = _divide(asked["Keys"], chance)
    left = {**request, "RequestItems": {table: {**asked, "Keys": kept}}} if kept else None
    return left, {"UnprocessedKeys": {table: {**asked, "Keys": taken}}}


def _divide(entries: list[Body], chance: Random) -> tuple[list[Body], list[Body]]:
    """Divide entries into some that stay and at least one that does not."""
    taken = chance.sample(range(len(entries)), chance.randint(1, len(entries)))
    kept = [entry for number, entry in enumerate(entries) if number not in taken]
    return kept, [entries[number] for number in taken]


def empty(name: str) -> Body:
    """Return what a batch answers of which nothing was done."""
    return {"Responses": {}} if name == "BatchGetItem" else {} if name == "BatchWriteItem" else {"Successful": []}


def delayed(request: Body, delay_s: int) -> Body:
    """Return a SendMessage that becomes visible later."""
    return {**request, "DelaySeconds": delay_s}


def stop_ids(bodies: list[str]) -> list[str]:
    """Return the stop ids of messages."""
    return [json.loads(body)["stop_id"] for body in bodies]
