"""What an account's credentials reference leads to, as a name that says nothing: has it changed since?"""

import subprocess
import sys
from pathlib import Path

import pytest

from pulumi_pinata import properties
from pulumi_pinata.core.settings import Settings
from pulumi_pinata.credentials import content_digest


def settings(credentials: str) -> Settings:
    inputs = {"owner": "o", "credentials": credentials, "vault": {"address": "https://v.example", "path": "pinata/a"}}
    checked, failures = properties.check(inputs, {})
    assert [] == failures
    return properties.settings(checked)


def test_the_same_content_has_the_same_name_and_other_content_another(tmp_path: Path) -> None:
    (tmp_path / "jwt").write_text("one")
    wanted = settings(f"file:{tmp_path}/jwt")
    first = content_digest(wanted, {})

    assert first
    assert first == content_digest(wanted, {})
    assert first == content_digest(settings("env:J"), {"J": "one\n"})
    (tmp_path / "jwt").write_text("two")
    assert first != content_digest(wanted, {})


@pytest.mark.parametrize("reference", ["env:UNSET", "file:/nowhere/jwt", "vault:secret/jwts#a"])
def test_what_this_machine_cannot_read_alone_has_no_name(reference: str) -> None:
    assert content_digest(settings(reference), {}) is None


def test_bytes_that_are_no_text_have_a_name_too() -> None:
    assert content_digest(settings("env:J"), {"J": "\udcff"})


def test_another_process_gives_the_same_content_another_name() -> None:
    code = (
        "from pulumi_pinata import credentials, properties; "
        "i, _ = properties.check({'owner': 'o', 'credentials': 'env:J',"
        " 'vault': {'address': 'https://v.example', 'path': 'p'}}, {}); "
        "print(credentials.content_digest(properties.settings(i), {'J': 'one'}))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert 64 == len(ran.stdout.strip())
    assert ran.stdout.strip() != content_digest(settings("env:J"), {"J": "one"})
