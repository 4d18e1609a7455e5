"""Each call of each port against servers that echo: nothing of what was sent is in an error, a trace, a log or output."""

import logging
import traceback
from collections.abc import Callable
from contextlib import closing

import pytest
from hostile import ECHOES, Middleman
from leaks import Scanner

from pulumi_pinata.adapters.pinata_http import CreditsClient, PinataClient
from pulumi_pinata.adapters.vault_kv import VaultStore
from pulumi_pinata.adapters.vault_login import Credentials
from pulumi_pinata.core.errors import PinataError
from pulumi_pinata.core.model import Content, Label, Location, Purpose, Record, Stored
from pulumi_pinata.core.secret import PrivateKey, Secret

JWT = "eyJjYW5hcnkiOiJoZWFkZXIifQ.eyJjYW5hcnkiOiJwYXlsb2FkIn0.c2lnbmF0dXJlLWNhbmFyeQ"
TOKEN = "hvs.CAESI-canary-token-0123456789"
PASSWORD = "canary-password-0123456789"
KEY = "pnk_canary_key_0123456789"
SCANNER = Scanner([JWT, TOKEN, PASSWORD, KEY, *JWT.split(".")])
HERE = Location("secret", "pinata/prod")
RECORD = Record(1, True, "owner", Purpose.MINT, ("run.1",), HERE)

PINATA: dict[str, Callable[[PinataClient], object]] = {
    "status": lambda c: c.status(),
    "marker": lambda c: c.marker(),
    "enable": lambda c: c.enable(),
    "disable": lambda c: c.disable(),
    "probe": lambda c: c.probe(PrivateKey(KEY)),
}
CREDITS: dict[str, Callable[[CreditsClient], object]] = {
    "credits get": lambda c: c.get(),
    "credits put": lambda c: c.put((5, 5)),
}
VAULT: dict[str, Callable[[VaultStore], object]] = {
    "preflight": lambda s: s.preflight(HERE, "account", 60),
    "stat": lambda s: s.stat(HERE),
    "read": lambda s: s.read(HERE),
    "write": lambda s: s.write(HERE, Content(PrivateKey(KEY), "run.1", "FIELD"), base_url="https://x", cas=0),
    "label": lambda s: s.label(HERE, Stored(label=Label("owner", "account", None))),
    "undelete": lambda s: s.undelete(HERE, 1),
    "soft delete": lambda s: s.soft_delete(HERE, 1),
    "destroy": lambda s: s.destroy(HERE, (1,)),
    "record": lambda s: s.record("account"),
    "put record": lambda s: s.put_record("account", RECORD, cas=1),
    "field": lambda s: s.field(HERE, "FIELD"),
}
LOGINS = ["approle", "kubernetes", "jwt", "userpass"]


def failures(kind: str, timeout: float = 0.4) -> dict[str, BaseException]:
    """Every call against one kind of echo, and the exceptions that came of it."""
    found: dict[str, BaseException] = {}

    def note(name: str, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as error:
            found[name] = error

    def one_way(name: str, url: str) -> None:
        if name in PINATA:
            with closing(PinataClient(url, Secret(JWT), timeout)) as pinata:
                note(name, lambda: PINATA[name](pinata))
        elif name in CREDITS:
            with closing(CreditsClient(url, Secret(JWT), timeout)) as credits_:
                note(name, lambda: CREDITS[name](credits_))
        else:
            login = (
                Credentials(name, Secret(PASSWORD), "canary-role", name)
                if name in LOGINS
                else Credentials("token", Secret(TOKEN))
            )
            with closing(VaultStore(url, "secret", login, timeout=2)) as store:
                note(name, lambda: VAULT.get(name, VAULT["stat"])(store))

    with Middleman(twist=lambda asked: ECHOES[kind](asked.all)) as liar:
        for name in (*PINATA, *CREDITS, *VAULT, *LOGINS):
            one_way(name, liar.url)
    return found


@pytest.mark.parametrize("kind", ECHOES)
def test_no_error_no_trace_and_no_output_repeats_what_a_server_echoed(
    kind: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    found = failures(kind)
    texts = {name: "".join(traceback.format_exception(error)) + repr(error) for name, error in found.items()}
    texts |= {"printed": "".join(capfd.readouterr()), "logged": caplog.text}

    assert [] == [name for name, text in texts.items() if SCANNER.is_in(text.encode())]


@pytest.mark.parametrize("kind", ECHOES)
def test_every_strange_answer_is_one_of_our_errors(kind: str) -> None:
    found = failures(kind)

    assert {} == {name: type(error).__name__ for name, error in found.items() if not isinstance(error, PinataError)}
