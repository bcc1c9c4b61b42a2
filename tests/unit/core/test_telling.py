"""What is said of an error quotes nothing that a library was given."""

import errno
import socket
import ssl
import urllib.error
from collections.abc import Callable

import aiohttp
import pytest
from aiohttp.client_reqrep import RequestInfo
from botocore.exceptions import (
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    NoRegionError,
    ParamValidationError,
    ProfileNotFound,
    ProxyConnectionError,
    ReadTimeoutError,
)
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from ivr_runtimes.errors import StoreUnavailableError
from ivr_runtimes.telling import told, trace_of

S = "PlantedSecret"


def answered(code: str = "InvalidSignatureException") -> ClientError:
    about = {"HTTPStatusCode": 400, "RequestId": "ABC-1"}
    return ClientError({"Error": {"Code": code, "Message": S}, "ResponseMetadata": about}, "UpdateItem")  # type: ignore[typeddict-item]


def of_aiohttp() -> aiohttp.ClientResponseError:
    headers = CIMultiDictProxy(CIMultiDict({"Authorization": f"Bearer {S}"}))
    url = URL(f"http://h/?{S}")
    return aiohttp.ClientResponseError(RequestInfo(url, "GET", headers, url), (), status=400, message=S)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError(f"Invalid header value {S}"), "ValueError"),
        (KeyError(S), "KeyError"),
        (answered(), "ClientError: UpdateItem: InvalidSignatureException (status 400, request ABC-1)"),
        (answered(f"{S} is no code"), "ClientError: UpdateItem: ? (status 400, request ABC-1)"),
        (
            HTTPClientError(error=ValueError(f"Invalid header value {S}")),
            "HTTPClientError: An HTTP Client raised an unhandled exception: ValueError",
        ),
        (
            EndpointConnectionError(endpoint_url=f"https://user:{S}@host:8000/path?{S}"),
            'EndpointConnectionError: Could not connect to the endpoint URL: "https://host:8000"',
        ),
        (
            ReadTimeoutError(endpoint_url=f"http://[bad{S}"),
            'ReadTimeoutError: Read timeout on endpoint URL: "…"',
        ),
        (
            ProxyConnectionError(proxy_url=f"http://user:{S}@proxy"),
            'ProxyConnectionError: Failed to connect to proxy URL: "…"',
        ),
        (
            CredentialRetrievalError(provider="custom-process", error_msg=S),
            "CredentialRetrievalError: Error when retrieving credentials from custom-process: …",
        ),
        (ParamValidationError(report=S), "ParamValidationError: Parameter validation failed:\n…"),
        (ProfileNotFound(profile="ops"), "ProfileNotFound: The config profile (ops) could not be found"),
        (NoRegionError(), "NoRegionError: You must specify a region."),
        (of_aiohttp(), "ClientResponseError"),
        (aiohttp.InvalidURL(f"http://{S}"), "InvalidUrlClientError"),
        (OSError(errno.ECONNREFUSED, S), "ConnectionRefusedError: Connection refused"),
        (OSError(S), "OSError"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "gaierror: Name or service not known"),
        (urllib.error.URLError(S), "URLError"),
        (ModuleNotFoundError(S, name="yaml"), "ModuleNotFoundError: yaml"),
        (StoreUnavailableError("our own words"), "our own words"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_told_by_its_kind_and_cause(error: Exception, text: str) -> None:
    if isinstance(error, aiohttp.InvalidURL):
        text = type(error).__name__
    assert told(error) == text
    assert S not in trace_of(error)


def test_a_certificate_that_is_not_trusted_is_told() -> None:
    error = ssl.SSLCertVerificationError(1, S)
    error.reason = "CERTIFICATE_VERIFY_FAILED"
    assert told(error) == "SSLCertVerificationError: CERTIFICATE_VERIFY_FAILED"


def raised(call: Callable[[], None]) -> Exception:
    try:
        call()
    except Exception as error:  # noqa: BLE001  # any will do
        return error
    raise AssertionError


def test_a_trace_names_the_places_of_an_error_and_of_its_causes() -> None:
    def inner() -> None:
        raise KeyError(S[:7] + S[7:])

    def outer() -> None:
        try:
            inner()
        except KeyError as error:
            raise ValueError(str(error)) from error

    trace = trace_of(raised(outer))
    assert trace.count("Traceback") == 2
    assert "in inner" in trace
    assert "in outer" in trace
    assert S not in trace


def test_a_chain_without_end_ends() -> None:
    one, two = ValueError(), ValueError()
    one.__cause__, two.__cause__ = two, one
    assert trace_of(one).count("Traceback") == 10
