"""What holds for every test: AWS is never reached by accident, and CI skips nothing."""

import os
from collections.abc import Iterator

import botocore.session
import pytest

from emulators import CREDENTIALS, DYNALITE, MINISTACK, NODE, dynalite, ministack
from stack import Stack, eventually, running_stack


@pytest.fixture(autouse=True)
def _no_real_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every test dummy credentials, so that a client made by mistake cannot reach an account."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session", autouse=True)
def _services_are_read_once() -> Iterator[None]:
    """Let all sessions share botocore's descriptions of the services: reading them was half the time of most tests."""
    loader = botocore.session.create_loader()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", lambda *_: loader)
        yield


@pytest.fixture(scope="session")
def ministack_endpoint() -> Iterator[str]:
    if not MINISTACK.exists():
        pytest.skip("ministack is not installed: run `make setup`")
    with ministack() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def dynalite_endpoint() -> Iterator[str]:
    if NODE is None or not DYNALITE.exists():
        pytest.skip("dynalite is not installed: run `make dynalite` (needs Node.js 20)")
    with dynalite() as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One running stack for the tests that leave it as they found it; those that break nodes start their own.

    It is there once scripts run for every domain: a healthy one's lists are empty until its first calls come in.
    """
    with running_stack(tmp_path_factory.mktemp("stack")) as stack:
        for domain in stack.domains:
            token = stack.token(domain, stop=False)
            eventually(lambda token=token: stack.rows(token), within_s=40)
        yield stack


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a run that skipped a test where NO_SKIPS is set: a skipped test proves nothing."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if skipped and os.environ.get("NO_SKIPS") and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
