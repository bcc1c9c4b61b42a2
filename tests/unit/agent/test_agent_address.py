import socket
import stat
from pathlib import Path

import pytest

from ivr_agent.address import listen
from ivr_agent.process.exits import Exit, ListenError
from ivr_engine.address import Address, parse


@pytest.mark.parametrize("text", ["unix:/run/agent", "http://127.0.0.1:8080", "http://[::1]:8080"])
def test_an_address_is_written_as_it_was_read(text: str) -> None:
    assert str(parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unix:",
        "unix:run/agent",
        "/run/agent",
        "https://127.0.0.1:1",
        "http://127.0.0.1",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:1/path",
        "http://0.0.0.0:1",
        "http://localhost:1",
    ],
)
def test_an_address_that_is_none_or_leaves_the_machine_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text)


def test_a_unix_socket_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "agent"
    with listen(Address(path=str(path))):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_socket_left_behind_by_a_killed_agent_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "agent"
    listen(Address(path=str(path))).close()
    assert path.is_socket()
    listen(Address(path=str(path))).close()


def test_a_socket_in_use_is_a_clear_error(tmp_path: Path) -> None:
    address = Address(path=str(tmp_path / "agent"))
    with listen(address):
        with pytest.raises(ListenError, match="another process listens there") as caught:
            listen(address)
        assert caught.value.exit_code is Exit.LISTEN
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(address.path)


def test_a_file_in_the_way_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "agent"
    path.write_text("precious")
    with pytest.raises(ListenError, match="in the way"):
        listen(Address(path=str(path)))
    assert path.read_text() == "precious"


def test_a_folder_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ListenError, match="No such file"):
        listen(Address(path=str(tmp_path / "missing" / "agent")))
