"""One running stack for the tests that leave it as they found it; those that break nodes start their own."""

from collections.abc import Iterator

import pytest

from stack import Stack, running_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("stack")) as stack:
        yield stack
