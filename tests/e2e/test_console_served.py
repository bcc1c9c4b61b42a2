"""The console's files over HTTP: the cloud's headers, kept as long as they may be, and nothing beside them."""

import gzip
import json

import pytest

from ivr_local import console
from stack import Answer, Stack

pytestmark = pytest.mark.e2e


def get(stack: Stack, path: str, **headers: str) -> Answer:
    return stack.request("GET", path, {name.replace("_", "-"): value for name, value in headers.items()})


@pytest.fixture(scope="module")
def folder(stack: Stack) -> str:
    """The folder named by the hash of the content."""
    return get(stack, "/").body.decode().partition('src="')[2].partition("/app.js")[0]


def test_each_file_has_the_headers_of_the_cloud(stack: Stack, folder: str) -> None:
    wanted = {name.lower(): value for name, value in console.headers([f"http://127.0.0.1:{stack.port}"]).items()}
    for path in ("/", "/index.html", "/config.json", f"/{folder}/app.js", f"/{folder}/console.css"):
        answer = get(stack, path)
        assert answer.status == 200
        assert wanted.items() <= answer.headers.items(), path


def test_the_page_is_asked_for_anew_and_what_has_a_hash_is_kept(stack: Stack, folder: str) -> None:
    assert get(stack, "/").headers["cache-control"] == "no-cache"
    assert get(stack, "/config.json").headers["cache-control"] == "no-cache"
    assert "immutable" in get(stack, f"/{folder}/app.js").headers["cache-control"]


def test_what_has_not_changed_is_not_sent_again(stack: Stack) -> None:
    etag = get(stack, "/").headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = get(stack, "/", If_None_Match=known)
        assert (again.status, again.body) == (304, b"")
        assert (again.headers["etag"], again.headers["vary"]) == (etag, "Accept-Encoding")
    assert get(stack, "/", If_None_Match='"other"').status == 200
    packed = get(stack, "/", Accept_Encoding="gzip").headers["etag"]
    assert packed != etag, "other bytes"
    assert get(stack, "/", Accept_Encoding="gzip", If_None_Match=etag).status == 200


def test_it_is_compressed_for_who_takes_it(stack: Stack, folder: str) -> None:
    plain, packed = (get(stack, f"/{folder}/app.js", Accept_Encoding=name) for name in ("identity", "gzip"))
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert {one.headers["vary"] for one in (plain, packed)} == {"Accept-Encoding"}
    for refusal in ("gzip;q=0", "br, gzip; q=0.0", "br", "*;q=0"):
        assert "content-encoding" not in get(stack, f"/{folder}/app.js", Accept_Encoding=refusal).headers
    for wish in ("GZIP;q=0.5", "br, *"):
        assert get(stack, f"/{folder}/app.js", Accept_Encoding=wish).headers["content-encoding"] == "gzip"


def test_its_configuration_is_that_of_the_stack(stack: Stack) -> None:
    config = json.loads(get(stack, "/config.json").body)
    assert config["issuer"] == stack.state["issuer"]
    assert config["audience"] == stack.state["audience"]
    assert {"openid", config["scope_stop"], config["scope_numbers"]} <= set(config["scopes"])


@pytest.mark.parametrize(
    "path",
    ["/app.js", "/assets/app.js", "/{folder}/../../samplesconfig.toml", "/{folder}/%2e%2e/index.html", "/{folder}/"],
)
def test_nothing_else_is_served(stack: Stack, folder: str, path: str) -> None:
    answer = get(stack, path.format(folder=folder))
    assert (answer.status, json.loads(answer.body)) == (404, {"message": "Not Found"})


def test_other_methods_get_no_page(stack: Stack) -> None:
    assert stack.request("HEAD", "/").status == 200
    assert stack.request("POST", "/").status in {404, 405}
