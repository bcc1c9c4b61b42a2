"""docs/hosts.md: its lines install the agent, and its check tells a node that serves from one that does not."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from emulators import ROOT
from ivr_agent.metrics import Metrics
from ivr_runtimes import __version__
from releases import bare, installed, released, scratch
from runtime import machine

pytestmark = pytest.mark.build

PAGE = (ROOT / "docs" / "hosts.md").read_text(encoding="utf-8")


def blocks(kind: str = "") -> list[str]:
    """The commands of a kind: "" and "health" run here, "host" needs root and systemd, "container" an engine."""
    return re.findall(rf"^```sh{' ' + kind if kind else ''}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.e2e
def test_its_lines_install_the_agent() -> None:
    (install,) = blocks()
    opt = scratch("opt")
    install = install.replace("/opt/ivr-agent", str(opt)).replace("x86_64", machine())
    done = bare(
        "/bin/sh",
        "-eu",
        "-c",
        f"cd {released()}\n{install}",
        PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == __version__
    assert f"VERSION={__version__} ARCHIVE=ivr-agent-{__version__}-linux-x86_64" in PAGE


@pytest.mark.parametrize("block", [*blocks("host"), *blocks("health"), *blocks("container")])
def test_every_block_is_a_shells(block: str) -> None:
    done = subprocess.run(["/bin/sh", "-n", "-c", block], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.e2e
def test_what_it_copies_from_the_installed_agent_lies_there() -> None:
    copied = re.findall(r"/opt/ivr-agent/current/(share/\S+)", "".join(blocks("host")))
    assert len(copied) == 5
    assert [name for name in copied if not (installed("ivr-agent") / name).is_file()] == []


@contextmanager
def node(*, well: bool, lease_s: float) -> Iterator[str]:
    """A node's control port that says so; yields its address."""
    metrics = Metrics()
    metrics.lease.set(lease_s)

    class Control(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = metrics.text() if self.path == "/metrics" else b"{}"
            self.send_response(200 if well or self.path == "/metrics" else 503)
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002  # the base class's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Control)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("well", "lease_s", "passes"), [(True, 14.7, True), (True, 0.0, False), (True, -3.0, False), (False, 14.7, False)]
)
def test_its_check_passes_only_a_node_that_is_well_and_serves(well: bool, lease_s: float, passes: bool) -> None:
    (check,) = blocks("health")
    with node(well=well, lease_s=lease_s) as address:
        done = bare("/bin/sh", "-c", check.replace("timeout 60", "timeout 2"), NODE_ADDRESS=address)
    assert (done.returncode == 0) is passes
