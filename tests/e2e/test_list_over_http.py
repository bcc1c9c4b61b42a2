"""The list over real processes and HTTP."""

import json
import re
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urljoin

import jwt
import pytest

from stack import RESOURCE, Stack, eventually

pytestmark = pytest.mark.e2e

FICTION = r"\+1[2-9][0-9]{2}55501[0-9]{2}|\+447700900[0-9]{3}|\+448081570[0-9]{3}"
"""The sandbox's numbers: of the ranges that nobody has."""

FIELDS = ["id", "site", "node", "domain", "type", "code", "name", "starttime"]


def all_nodes(stack):
    return {node for site in stack.config["sites"] for node in site["nodes"]}


@pytest.fixture
def domain(stack):
    return stack.domains[0]


@pytest.fixture
def token(stack, domain):
    return stack.token(domain)


def test_every_domain_is_busy_on_all_nodes_of_both_sites_soon_after_the_start(stack):
    for domain in stack.domains:
        token = stack.token(domain, stop=False)

        def busy(token=token):
            rows = stack.rows(token)
            return len(rows) >= 10 and {row["node"] for row in rows} == all_nodes(stack)

        eventually(busy, within_s=30)


def test_each_row_has_exactly_the_eight_fields_in_the_documented_order(stack, token, domain):
    rows = eventually(lambda: stack.rows(token), within_s=20)
    assert all(list(row) == FIELDS for row in rows)
    assert {row["domain"] for row in rows} == {domain}
    assert [(r["starttime"], r["id"]) for r in rows] == sorted((r["starttime"], r["id"]) for r in rows)


def test_the_answer_is_json_of_the_contracts_media_type_and_tells_its_sites(stack, token):
    answer = stack.listing(token)
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["site-nodes"] == "SITE1=2/2, SITE2=2/2"


def test_a_call_is_found_by_its_number_by_whoever_may_see_it_and_by_nobody_else(stack, domain, token):
    """From the engine to the answer; on the way no process has logged it."""
    supervisor, mask = stack.token(domain, numbers=True), "id,ext.caller,ext.called,ext.call_id"

    def found():
        told = [row for row in stack.rows(supervisor, mask=mask) if row["ext"]["caller"]]
        row = told[-1]  # the youngest, which will not end at once
        return (
            row
            if stack.rows(supervisor, mask=mask, filter=json.dumps({"ext.call_id": row["ext"]["call_id"]})) == [row]
            else None
        )

    numbers = eventually(found, within_s=20)["ext"]
    assert re.fullmatch(FICTION, numbers["caller"])
    assert re.fullmatch(FICTION, numbers["called"])
    for parameters in ({"mask": mask}, {"order": "ext.caller"}, {"filter": json.dumps({"ext.caller": "+1"})}):
        refused = stack.listing(token, **parameters)
        assert (refused.status, refused.json()["code"]) == (403, "insufficient_scope")
        assert "ivrscript_runtimes:numbers" in refused.json()["detail"]
    assert "caller" not in stack.rows(token, mask="ext", limit="1")[0]["ext"]
    logs = [log.read_text("utf-8", "replace") for log in (stack.state_dir / "logs").iterdir()]
    assert any("listed" in log for log in logs)
    assert not [log for log in logs if numbers["call_id"] in log or numbers["caller"] in log]


class BasePath(BaseHTTPRequestHandler):
    """A custom domain with the base path /ivr: the API behind it sees paths without it."""

    stack: Stack

    def do_GET(self) -> None:
        found = self.path.startswith("/ivr/")
        authorization = {"Authorization": self.headers["Authorization"]}
        answer = self.stack.request("GET", self.path.removeprefix("/ivr"), authorization) if found else None
        self.send_response(answer.status if answer else 404)
        for name in ("link", "content-type"):
            if answer and name in answer.headers:
                self.send_header(name, answer.headers[name])
        self.end_headers()
        self.wfile.write(answer.body if answer else b"")

    def log_message(self, *_: object) -> None:
        pass


def test_pages_are_linked_behind_a_base_path(stack, token):
    """The link named a path without the base path, which was a 404; a client resolves it against what it asked."""
    served = ThreadingHTTPServer(("127.0.0.1", 0), type("Here", (BasePath,), {"stack": stack}))
    threading.Thread(target=served.serve_forever, daemon=True).start()
    eventually(lambda: len(stack.rows(token)) >= 4, within_s=30)
    url: str | None = f"http://127.0.0.1:{served.server_port}/ivr{RESOURCE}?limit=1&mask=id"
    seen = []
    while url and len(seen) < 4:
        asked = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(asked, timeout=30) as answer:  # noqa: S310  # loopback
            seen += [row["id"] for row in json.load(answer)]
            link = re.fullmatch(r'<([^>]+)>; rel="next"', answer.headers.get("link", ""))
        url = urljoin(url, link[1]) if link else None
    served.shutdown()
    served.server_close()
    assert len(set(seen)) == len(seen) == 4


def test_a_domain_never_sees_another_ones_scripts(stack):
    first, second = (stack.token(domain) for domain in stack.domains)
    mine = {row["id"] for row in stack.rows(first)}
    theirs = {row["id"] for row in stack.rows(second)}
    assert mine
    assert theirs
    assert not mine & theirs
    some = next(iter(theirs))
    assert stack.rows(first, filter=f'["==",["property","id"],"{some}"]') == []


def test_a_running_script_that_hands_over_to_a_nested_one_shows_it_and_its_own_again_on_return(stack, token):
    """Follow runtimes of `welcome` until one has been seen before, within and after `news`."""
    seen: dict[str, list[str]] = {}

    def returned():
        for row in stack.rows(token, mask="id,code,name,ext.rootcode"):
            names = seen.setdefault(row["id"], [])
            shown = f"{row['code']}|{row['name']}|{row['ext']['rootcode']}"
            if not names or names[-1] != shown:
                names.append(shown)
        before, within = "welcome|Main scenario|None", "news|"
        return any(
            n[0] == before and n[1].startswith(within) and n[1].endswith("|welcome") and n[2] == before
            for n in seen.values()
            if len(n) >= 3
        )

    assert eventually(returned, within_s=90, every_s=0.3)


def test_filter_order_mask_flat_and_window_work_together(stack, token):
    def second():
        return stack.rows(
            token,
            filter='["and",["==",["property","site"],"SITE1"],["like",["property","node"],"site1%"]]',
            order="-starttime",
            mask="id,site,starttime,ext.state",
            flat="true",
            offset="1",
            limit="1",
        )

    rows = eventually(second, within_s=20)
    assert len(rows) == 1
    assert list(rows[0]) == ["id", "site", "starttime", "ext.state"]
    assert rows[0]["site"] == "SITE1"


# Tokens


def test_without_a_token_nothing_is_answered(stack):
    for method, path in (("GET", RESOURCE), ("DELETE", f"{RESOURCE}/244f84aa-0624-e639-8061-a80000000006")):
        assert stack.request(method, path).status == 401


def test_forged_unsigned_and_expired_tokens_are_401(stack, token):
    stranger = jwt.encode({"sub": "x"}, "k" * 32, algorithm="HS256")
    unsigned = jwt.encode(jwt.decode(token, options={"verify_signature": False}), None, algorithm="none")
    tampered = token[:-8] + ("AAAAAAAA" if not token.endswith("AAAAAAAA") else "BBBBBBBB")
    expired = stack.forge(token, exp=int(time.time()) - 120)
    elsewhere = stack.forge(token, aud="another-api", client_id=None)
    for wrong in (stranger, unsigned, tampered, expired, elsewhere, "garbage", ""):
        assert stack.listing(wrong).status == 401, wrong


def test_a_token_without_the_routes_scope_is_403(stack, domain, token):
    reader = stack.token(domain, stop=False)
    some = stack.rows(reader, order="-starttime")[0]["id"]  # the youngest: it will not end by itself meanwhile
    assert stack.stop(reader, some).status == 403
    assert stack.listing(stack.forge(token, scope="ivrscript_runtimes:stop")).status == 403
    assert some in {row["id"] for row in stack.rows(reader)}


@pytest.mark.parametrize("claim", [None, ["a.ru", "b.ru"], "", "a.ru b.ru"])
def test_a_token_without_exactly_one_domain_is_403(stack, token, claim):
    odd = stack.forge(token, domain=claim)
    answer = stack.listing(odd)
    assert answer.status == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "no_domain"
    assert stack.stop(odd, stack.rows(token)[0]["id"]).status == 403


# Parameters


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("colour=red", "colour"),
        ("limit=1&limit=2", "limit"),
        ("limit=", "limit"),
        ("limit", "limit"),
        ("limit=-1", "limit"),
        ("limit=1000001", "limit"),
        ("limit=1.0", "limit"),
        ("offset=x", "offset"),
        ("offset=1000001", "offset"),
        ("flat=1", "flat"),
        ("mask=id,nme", "mask[1]"),
        ("mask=id,,code", "mask[1]"),
        ("order=strttime", "order[0]"),
        ("order=%5B%22code%22%2C%7B%22name%22%3A%22up%22%7D%5D", "order[1]"),
        ("filter=site", "filter"),
        ("filter=%22SITE1%22", "filter"),
        ("filter=null", "filter"),
        ("filter=%5B%5D", "filter"),
        ("filter=%7B%22site%22%3A1%7D", "filter.site"),
        ("filter=%7B%22site%22%3Anull%7D", "filter.site"),
        ("filter=%7B%22sight%22%3A%22SITE1%22%7D", "filter"),
        ("filter=%5B%22~%22%2C%5B%22property%22%2C%22site%22%5D%2C%22x%22%5D", "filter[0]"),
        ("filter=%5B%22%3D%3D%22%2C%5B%22property%22%2C%22site%22%5D%2CNaN%5D", "filter"),
        ("filter=%7B%22site%22%3A%22%5Cud800%22%7D", "filter"),
        ("filter=%7B%22starttime%22%3A%22yesterday%22%7D", "filter.starttime"),
        ("filter=" + "%5B%22not%22%2C" * 17 + "%7B%7D" + "%5D" * 17, "filter"),
        ("filter=%7B%22code%22%3A%22" + "x" * 4096 + "%22%7D", "filter"),
        ("limit=%FF", "limit"),
        ("after=abc", "after"),
    ],
)
def test_every_malformed_parameter_is_a_400_that_names_the_place_and_the_remedy(stack, token, query, place):
    answer = stack.request("GET", f"{RESOURCE}?{query}", {"Authorization": f"Bearer {token}"})
    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (400, "invalid_request")
    assert problem["request_id"]
    (fault,) = problem["errors"]
    assert fault["place"].startswith(place)
    assert fault["message"]
    assert fault["remedy"]
