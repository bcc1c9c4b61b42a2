"""The life of one stack: each fixture takes it one step further, so a test needs only the step that it is about."""

from collections.abc import Iterator

import pytest

from deployment import OPERATOR, PYTHON, WATCHER, Deployment, Ran, cloud
from emulators import free_port
from issuing import issuer_at, serving
from ivr_local.issuer import Issuer
from runtime import machine


def issuer() -> Issuer:
    return issuer_at(free_port(), OPERATOR, WATCHER, audience="ivr-runtimes")


def succeeded(ran: Ran) -> None:
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    if not PYTHON.exists():
        pytest.skip("the emulated CloudFormation is not installed: run `make deploy-check` (needs Python 3.13)")
    folder = tmp_path_factory.mktemp("deployment")
    with cloud(folder / "cloud.log") as endpoint:
        yield Deployment(endpoint, folder)


@pytest.fixture(scope="session")
def first_issuer() -> Iterator[Issuer]:
    first = issuer()
    with serving(first):
        yield first


@pytest.fixture(scope="session")
def second_issuer() -> Issuer:
    """One that does not answer yet."""
    return issuer()


@pytest.fixture(scope="session")
def created(deployment: Deployment, first_issuer: Issuer) -> Deployment:
    origins = "https://desk.example,https://wall.example"
    deployment.settle(JwtIssuer=first_issuer.url, Architecture=machine(), CorsOrigins=origins)
    succeeded(deployment.deploy())
    return deployment


@pytest.fixture(scope="session")
def extended(created: Deployment) -> Deployment:
    """An update: another parameter, and one site more."""
    created.settle(Sites="SITE1,SITE2,SITE3", LogLevel="WARNING")
    succeeded(created.deploy())
    return created


@pytest.fixture(scope="session")
def reduced(extended: Deployment) -> Deployment:
    """A site less."""
    extended.settle(Sites="SITE1,SITE3")
    succeeded(extended.deploy())
    return extended


@pytest.fixture(scope="session")
def failed(reduced: Deployment, second_issuer: Issuer) -> Ran:
    """An update to an issuer that does not answer."""
    reduced.settle(JwtIssuer=second_issuer.url)
    return reduced.deploy()


@pytest.fixture(scope="session")
def repeated(reduced: Deployment, failed: Ran, second_issuer: Issuer) -> Iterator[Deployment]:
    """The very same update, its release included, now that the issuer answers."""
    tried = reduced.last_version(reduced.outputs["ListFunctionName"])["Description"].split()[-1]
    with serving(second_issuer):
        reduced.update(JwtIssuer=second_issuer.url, Release=tried)
        yield reduced


@pytest.fixture(scope="session")
def retried(repeated: Deployment) -> Deployment:
    """The update as `make deploy` repeats it."""
    succeeded(repeated.deploy())
    return repeated
