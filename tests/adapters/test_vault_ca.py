"""A CA file that is rewritten while a store lives: the next connection trusts what it holds by then."""

import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pulumi_pinata.adapters.vault_kv import VaultStore
from pulumi_pinata.adapters.vault_login import Credentials
from pulumi_pinata.core.errors import Refused
from pulumi_pinata.core.model import Location, Stored
from pulumi_pinata.core.secret import Secret
from pulumi_pinata.sandbox.openbao_files import free_port

PLACE = Location("secret", "pinata/ca")


def certificate(folder: Path, name: str) -> Path:
    """A self-signed certificate of loopback with its key, as one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / f"{name}.pem"
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


class Empty(BaseHTTPRequestHandler):
    """A Vault with nothing in it."""

    def do_GET(self) -> None:
        self.send_response(404)
        self.send_header("Content-Length", "13")
        self.end_headers()
        self.wfile.write(b'{"errors":[]}')

    def log_message(self, *args: object) -> None:
        return


@contextmanager
def serving(pem: Path, port: int) -> Iterator[int]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with ThreadingHTTPServer(("127.0.0.1", port), Empty) as server:
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def test_a_rotated_ca_is_trusted_without_a_restart(tmp_path: Path) -> None:
    old, new, trusted = certificate(tmp_path, "old"), certificate(tmp_path, "new"), tmp_path / "ca.pem"
    trusted.write_bytes(old.read_bytes())
    with serving(old, free_port()) as port:
        token = Credentials("token", Secret("canary"))
        store = VaultStore(f"https://127.0.0.1:{port}", "secret", token, timeout=4, ca_cert=str(trusted))
        assert Stored() == store.stat(PLACE)
    with closing(store), serving(new, port):
        with pytest.raises(Refused, match="not trusted"):
            store.stat(PLACE)
        trusted.write_bytes(new.read_bytes())

        assert Stored() == store.stat(PLACE)
