"""The limit on an answer, at its edges: measured as Lambda's runtime serialises it."""

import base64
import gzip
import json
import random

import pytest

from ivr_runtimes.errors import ResultTooLargeError
from ivr_runtimes.http.response import GZIP_MIN_BYTES, MAX_RESPONSE_BYTES, json_response

HEADERS = {"site-nodes": "SITE1=2/2"}


def body(text):
    return json.dumps([text], ensure_ascii=False).encode()


def serialised(response):
    """How many bytes awslambdaric hands to Lambda on Python 3.12 and later."""
    return len(json.dumps(response, ensure_ascii=False, allow_nan=False).encode())


@pytest.mark.parametrize("text", ["a", "ж", "😀", '"', "\\", "\n", "\x01", "\x7f"])
def test_an_answer_up_to_the_limit_passes_and_none_beyond_it(text):
    none, one = (serialised(json_response(body(text * count), headers=HEADERS)) for count in (0, 1))
    most = (MAX_RESPONSE_BYTES - none) // (one - none)
    fits = json_response(body(text * most), headers=HEADERS)
    assert MAX_RESPONSE_BYTES - (one - none) < serialised(fits) <= MAX_RESPONSE_BYTES
    with pytest.raises(ResultTooLargeError, match=str(MAX_RESPONSE_BYTES)):
        json_response(body(text * (most + 1)), headers=HEADERS)


def test_an_answer_that_fits_only_when_zipped_passes_zipped():
    large = body("a" * MAX_RESPONSE_BYTES)
    with pytest.raises(ResultTooLargeError):
        json_response(large, headers=HEADERS)
    zipped = json_response(large, headers=HEADERS, accept_encoding="gzip")
    assert gzip.decompress(base64.b64decode(zipped["body"])) == large


def test_an_answer_that_does_not_fit_even_zipped_is_refused():
    noise = random.Random(1).randbytes(MAX_RESPONSE_BYTES).hex()  # noqa: S311  # no secret
    with pytest.raises(ResultTooLargeError):
        json_response(body(noise), headers=HEADERS, accept_encoding="gzip")


@pytest.mark.parametrize(
    ("accepted", "zipped"),
    [
        ("gzip", True),
        ("br,GZip ; Q=0.001", True),
        ("gzip,gzip", True),
        ("gzip;q=1,br;q=0", True),
        ("gzip;q=0", False),
        ("gzip,gzip;q=0", False),
        ("gzip;q=0.000, gzip", False),
        ("deflate, gzip \t; q = 0.", False),
        ("gzip;q=", False),
        ("*", False),
        ("gzipped, x-gzip", False),
        ("", False),
        (",;,", False),
    ],
)
def test_a_list_of_codings_allows_gzip_unless_any_of_it_refuses_it(accepted, zipped):
    """The header may come twice, joined by a comma: the first mention counted, a later refusal did not."""
    answer = json_response(b"[" + b" " * GZIP_MIN_BYTES + b"]", headers=HEADERS, accept_encoding=accepted)
    assert answer["isBase64Encoded"] is zipped


@pytest.mark.parametrize(("size", "zipped"), [(GZIP_MIN_BYTES - 1, False), (GZIP_MIN_BYTES, True)])
def test_answers_are_zipped_from_16_kib_on(size, zipped):
    answer = json_response(b"[" + b" " * (size - 2) + b"]", headers=HEADERS, accept_encoding="gzip")
    assert answer["isBase64Encoded"] is zipped
