"""Makes the SDK's clients, and turns the SDK's errors into ours.

Owns the clients' timeouts and retries, and what each failure means for the caller: nothing was done
(`StoreUnavailableError`), nobody knows (`AmbiguousWriteError`), or it will never work (`RefusedWriteError`).
Used by `dynamo` and `sqs`; the composition roots make the clients here.
"""

import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    MetadataRetrievalError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from ivr_runtimes.errors import (
    AmbiguousWriteError,
    ConditionFailedError,
    Denial,
    DeniedError,
    RefusedWriteError,
    StoreError,
    StoreUnavailableError,
)
from ivr_runtimes.stores import dates, descriptions, hooks, keys, parser
from ivr_runtimes.telling import told

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient
    from types_boto3_sqs import SQSClient

OnServerTime = Callable[[float], None]
"""Called with the epoch seconds of an answer's `Date` header (whole seconds; RFC 9110 section 6.6.1), if it has one."""

REFUSED_CODES: Final = frozenset(
    {"ValidationException", "ItemCollectionSizeLimitExceededException", "InvalidMessageContents"}
)
"""The service refuses the request itself and will never take it."""

DENIALS: Final[Mapping[str, Denial]] = {
    **dict.fromkeys(
        ("ResourceNotFoundException", "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"), Denial.NAME
    ),
    **dict.fromkeys(("InvalidSignatureException", "SignatureDoesNotMatch", "RequestExpired"), Denial.SIGNATURE),
    **dict.fromkeys(
        (
            "AccessDenied",
            "AccessDeniedException",
            "ExpiredToken",
            "ExpiredTokenException",
            "IncompleteSignature",
            "IncompleteSignatureException",
            "InvalidAccessKeyId",
            "InvalidClientTokenId",
            "InvalidSecurity",
            "MissingAuthenticationToken",
            "MissingAuthenticationTokenException",
            "NotAuthorized",
            "OptInRequired",
            "UnrecognizedClientException",
        ),
        Denial.RIGHTS,
    ),
}
"""The service denies us access, or what we ask for is not there (AWS: "Common errors" of DynamoDB and SQS)."""

CREDENTIAL_ERRORS: Final = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    MetadataRetrievalError,
    TokenRetrievalError,
    SSOError,
)
"""No credentials to sign a request with: it was not sent. Their texts may quote a source's output."""


QUOTING: Final = ("botocore", "urllib3")
"""Libraries whose logs quote headers, URLs and answers. Our log says what it may of their errors (`telling`)."""


def config(*, connect_timeout_s: float, read_timeout_s: float, attempts: int, connections: int = 10) -> Config:
    """Return a client's configuration. `attempts` counts the first one.

    With several attempts, an earlier one may take effect after the answer to a later one; writers whose order matters
    use one attempt and repeat by themselves.
    """
    return Config(
        connect_timeout=connect_timeout_s,
        read_timeout=read_timeout_s,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=connections,
        tcp_keepalive=True,
    )


def dynamodb_client(settings: Config, session: Any = None) -> "DynamoDBClient":
    """Return a DynamoDB client; region, endpoint and credentials come from AWS's own environment variables."""
    client: DynamoDBClient = (session or _session()).create_client("dynamodb", config=settings)
    return client


def listing_client(settings: Config) -> "DynamoDBClient":
    """Return a DynamoDB client for the list: `parser` decodes its Queries."""
    session = new_session()
    parser.install(session)
    client: DynamoDBClient = session.create_client("dynamodb", config=settings)
    return client


def sqs_client(settings: Config, session: Any = None) -> "SQSClient":
    """Return an SQS client; region, endpoint and credentials come from AWS's own environment variables."""
    client: SQSClient = (session or _session()).create_client("sqs", config=settings)
    return client


@cache
def _session() -> Any:
    """Return the shared session: a second one would read the SDK's data again, 50 ms of CPU."""
    return new_session()


def new_session(make: Callable[[], Any] = hooks.new_session) -> Any:
    """Make a botocore session: importing boto3 would also load its code for S3 transfers."""
    for name in QUOTING:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    session = make()
    session.get_component("data_loader").file_loader = descriptions.Files()
    keys.keep_whole(session)
    return session


def call(method: Callable[..., Any], on_server_time: OnServerTime | None = None, /, **request: Any) -> Any:
    """Call one operation of a client; return its answer or raise a `StoreError`."""
    try:
        response = method(**request)
    except ClientError as error:
        _tell_time(error.response, on_server_time)
        raise _from_answer(error) from error
    except ParamValidationError as error:
        raise RefusedWriteError(told(error)) from error
    except CREDENTIAL_ERRORS as error:
        raise DeniedError(f"no credentials of AWS: {told(error)}", code="NoCredentials") from None
    except (EndpointConnectionError, ConnectTimeoutError) as error:
        raise StoreUnavailableError(told(error)) from error
    except (BotoCoreError, ResponseParserError) as error:
        raise AmbiguousWriteError(told(error)) from error
    _tell_time(response, on_server_time)
    return response


def call_with_body(
    method: Callable[..., Any], body: bytes, on_server_time: OnServerTime | None = None, /, **request: Any
) -> Any:
    """Call one operation as `call` does, but send `body` instead of botocore's serialised `request`.

    botocore's generic serialiser takes most of the CPU of a large write. `request` must be a small valid one of the
    same kind: botocore checks it, and derives endpoint and headers from it. `sends_own_bodies` must prepare the client.
    """
    token = _own_body.set(body)
    try:
        return call(method, on_server_time, **request)
    finally:
        _own_body.reset(token)


def sends_own_bodies(client: Any, operation: str) -> None:
    """Let `call_with_body` set the body of that operation's requests, before they are signed."""
    service = client.meta.service_model.service_id.hyphenize()
    client.meta.events.register(f"before-call.{service}.{operation}", _set_own_body, unique_id="ivr-own-body")


_own_body: ContextVar[bytes | None] = ContextVar("own_body", default=None)


def _set_own_body(params: dict[str, Any], **_: Any) -> None:
    if (body := _own_body.get()) is not None:
        params["body"] = body


def _from_answer(error: ClientError) -> StoreError:
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "ConditionalCheckFailedException":
        return ConditionFailedError(told(error))
    if (denial := DENIALS.get(code)) is not None:
        return DeniedError(told(error), code=code, denial=denial)
    if code in REFUSED_CODES or status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return RefusedWriteError(told(error))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR and code not in {"ServiceUnavailable", "ThrottlingException"}:
        return AmbiguousWriteError(told(error))
    return StoreUnavailableError(told(error))


def _tell_time(response: Any, on_server_time: OnServerTime | None) -> None:
    date_s = dates.epoch_s(response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date"))
    if on_server_time is not None and date_s is not None:
        on_server_time(date_s)
