import re
import socket
import stat
from pathlib import Path

import pytest

from ivr_engine.address import Address, ListenError, listening, parse


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/run/ivr/engine.sock", Address(path="/run/ivr/engine.sock")),
        ("http://127.0.0.1:7001", Address(host="127.0.0.1", port=7001)),
        ("http://[::1]:7001", Address(host="::1", port=7001)),
    ],
)
def test_both_forms_of_address_are_read_and_written_alike(text: str, address: Address) -> None:
    assert parse(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("unix:engine.sock", "write unix:/path"),
        ("unix:/" + "x" * 107, "use a shorter one"),
        ("http://192.168.0.12:7001", "write 127.0.0.1, or use a Unix socket"),
        ("http://localhost:7001", "write 127.0.0.1"),
        ("http://0.0.0.0:7001", "write 127.0.0.1"),
        ("http://127.0.0.1", "write unix:/path or http://127.0.0.1:PORT"),
        ("http://127.0.0.1:99999", "out of range"),
        ("https://127.0.0.1:7001", "write unix:/path or http://127.0.0.1:PORT"),
        ("http://127.0.0.1:7001/v1", "write unix:/path or http://127.0.0.1:PORT"),
        ("", "write unix:/path or http://127.0.0.1:PORT"),
        (7001, "write unix:/path or http://127.0.0.1:PORT"),
    ],
)
def test_anything_else_is_refused_with_the_remedy(text: object, remedy: str) -> None:
    with pytest.raises(ValueError, match=re.escape(remedy)):
        parse(text)


def test_only_the_owner_may_connect_and_the_file_goes_with_the_listener(tmp_path: Path) -> None:
    path = tmp_path / "e.sock"
    with listening(Address(path=str(path))):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


def test_a_socket_left_behind_by_a_killed_process_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "e.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with listening(Address(path=str(path))), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_socket_that_somebody_serves_is_left_alone(tmp_path: Path) -> None:
    address = Address(path=str(tmp_path / "e.sock"))
    with listening(address):
        with pytest.raises(ListenError, match="another process listens there"), listening(address):
            pass
        assert Path(address.path).is_socket()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "e.sock"
    path.write_text("precious")
    with pytest.raises(ListenError, match="free it or choose another"), listening(Address(path=str(path))):
        pass
    assert path.read_text() == "precious"


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ListenError, match="No such file"), listening(Address(path=str(tmp_path / "none" / "e.sock"))):
        pass
