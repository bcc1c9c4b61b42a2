"""One running stack for the pages whose lines are pasted."""

from collections.abc import Iterator

import pytest

from stack import Stack, running_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("pages")) as stack:
        yield stack
