"""One running stack for the tests that leave it as they found it; those that break nodes start their own."""

from collections.abc import Iterator

import pytest

from stack import Stack, eventually, running_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack once scripts run for every domain: a healthy one's lists are empty until its first calls come in."""
    with running_stack(tmp_path_factory.mktemp("stack")) as stack:
        for domain in stack.domains:
            token = stack.token(domain, stop=False)
            eventually(lambda token=token: stack.rows(token), within_s=20)
        yield stack
