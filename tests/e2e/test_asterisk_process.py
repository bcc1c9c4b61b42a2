"""The bridge as a program, beside an Asterisk of the tests' own: the conformance kit, TLS, and its end and return."""

import http.client
import json
from pathlib import Path
from typing import Any

import pytest

from asterisks import asterisk, bridge, certificate
from emulators import free_port
from ivr_engine.conformance.kit import catalogue
from judged import TOKEN, kit, results
from stack import eventually

pytestmark = pytest.mark.e2e


def ask(url: str, path: str) -> Any:
    """Ask the engine side; None while it does not answer 200."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
        answer = connection.getresponse()
        return json.loads(answer.read()) if answer.status == 200 else None
    except OSError:
        return None
    finally:
        connection.close()


def listed(url: str, least: int) -> Any:
    """Wait until so many runtimes are listed; return the snapshot."""

    def enough() -> Any:
        told = ask(url, "/v1/runtimes")
        return told if told and len(told["runtimes"]) >= least else None

    return eventually(enough, within_s=30)


def test_the_bridge_passes_every_check_with_the_least_privilege(tmp_path: Path) -> None:
    engine, agent = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    with (
        asterisk(tmp_path) as program,
        bridge(tmp_path / "log", ami=f"tcp://127.0.0.1:{program.port}", listen=engine, agent=agent, token=TOKEN),
    ):
        listed(engine, 30)
        code, told = kit("--engine", engine, "--listen", agent, "--destructive", "--branch", "survey")
        assert {name: result for name, result in results(told).items() if result != "pass"} == {}, told
        assert (code, told["pass"]) == (0, len(list(catalogue())))


def test_over_tls_the_certificate_must_prove_asterisk(tmp_path: Path) -> None:
    pem, log = certificate(tmp_path / "ami.pem"), tmp_path / "log"
    engine, agent = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    with asterisk(tmp_path, "--certificate", str(pem)) as program:
        at = {"ami": f"tls://127.0.0.1:{program.port}", "listen": engine, "agent": agent, "token": TOKEN}
        with bridge(log, **at, AMI_CA=pem) as known:
            session = listed(engine, 3)["session"]
            assert known.poll() is None
        with bridge(log, **at):
            eventually(lambda: "engine_lost" in log.read_text(), within_s=20)
            assert "SSLCertVerificationError: CERTIFICATE_VERIFY_FAILED" in log.read_text()
            assert ask(engine, "/v1/status") is None
        with bridge(log, **at, AMI_CA=pem):
            assert listed(engine, 3)["session"] == session


def test_a_bridge_that_was_killed_comes_back_to_the_same_runtimes_and_repeats_no_stop(tmp_path: Path) -> None:
    engine, agent = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    with asterisk(tmp_path, calls=["survey@ivr"]) as program:
        at = {"ami": f"tcp://127.0.0.1:{program.port}", "listen": engine, "agent": agent, "token": TOKEN}
        with bridge(tmp_path / "log", **at) as first:
            before = listed(engine, 5)
            stopped = before["runtimes"][0]["id"]
            assert stop(engine, before["session"], stopped)["result"] == "acted"
            first.kill()
        with bridge(tmp_path / "log", **at):
            after = listed(engine, 5)
            assert after["session"] == before["session"]
            assert after["seq"] > before["seq"]
            assert {row["id"] for row in before["runtimes"]} <= {row["id"] for row in after["runtimes"]}
            told = stop(engine, before["session"], stopped)
            assert (told["state"], told["result"]) == ("post_processing", "already_stopping")


def stop(url: str, session: str, runtime_id: str) -> Any:
    """Send an external stop; return the answer's body."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    body = json.dumps({"session": session, "stop_id": "s1"})
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    connection.request("POST", f"/v1/runtimes/{runtime_id}/external_stop", body, headers)
    answer = connection.getresponse()
    told = json.loads(answer.read())
    connection.close()
    assert answer.status == 200, told
    return told
