"""A bridge and an Asterisk of the tests' own as the processes they are in the field.

Owns starting them and their settings, and a certificate for the manager interface.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from emulators import ROOT

DIALPLAN: Final = """
[ivr]
exten => survey,1,Answer()
 same => n,Set(IVR_DOMAIN=test.rootdomain.ru)
 same => n,Set(IVR_NAME=Survey)
 same => n,Wait(600)
exten => plain,1,Answer()
 same => n,Set(IVR_DOMAIN=test.rootdomain.ru)
 same => n,Set(IVR_NAME=Plain)
 same => n,Wait(600)
exten => nested,1,Answer()
 same => n,Set(IVR_DOMAIN=test.rootdomain.ru)
 same => n,Set(IVR_NAME=Caller)
 same => n,Gosub(ivr-player,inner,1)
 same => n,Wait(600)
[ivr-player]
exten => inner,1,Set(IVR_NAME=Inner)
 same => n,Wait(600)
 same => n,Return()
[ivr-external-stop]
exten => survey,1,Set(IVR_NAME=Goodbye)
 same => n,Wait(90)
 same => n,Hangup()
"""

SCRIPTS: Final = [{"context": "ivr(-player)?"}]


class Program:
    """The tests' Asterisk as a process. `port` is that of its manager interface."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self._process, self.port = process, port

    def command(self, line: str) -> None:
        """Carry a command of the console out."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()


@contextmanager
def asterisk(
    folder: Path, *arguments: str, calls: Sequence[str] = ("survey@ivr", "plain@ivr"), dialplan: str = DIALPLAN
) -> Iterator[Program]:
    """Run the tests' Asterisk with calls that come in by turns."""
    file = folder / "extensions.conf"
    file.write_text(dialplan)
    command = [sys.executable, "-m", "ami", "--dialplan", str(file), *arguments, "--calls", *calls]
    path = os.pathsep.join([str(ROOT / "tests" / "support"), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": path}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield Program(process, int(process.stdout.readline()))
        finally:
            process.kill()


@contextmanager
def bridge(
    log: Path, *, ami: str, listen: str, agent: str, token: str, **settings: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the bridge; `log` is where it writes."""
    chosen = {
        "NODE": "site1_p@127.0.0.1",
        "AMI": ami,
        "LISTEN": listen,
        "AGENT": agent,
        "TOKEN": token,
        "USERNAME": "least",
        "SECRET": "secret",
        "SCRIPTS": json.dumps(SCRIPTS),
        **settings,
    }
    environment = {**os.environ, **{f"IVR_ASTERISK_{name}": str(value) for name, value in chosen.items()}}
    with ExitStack() as stack:
        output = stack.enter_context(log.open("wb"))
        process = subprocess.Popen([sys.executable, "-m", "ivr_asterisk"], env=environment, stderr=output)
        stack.callback(process.wait, 10)
        stack.callback(process.terminate)
        yield process


def certificate(file: Path, host: str = "127.0.0.1") -> Path:
    """Write a key and a certificate for itself; return the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False)
        .sign(key, SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(secret + made.public_bytes(Encoding.PEM))
    return file
