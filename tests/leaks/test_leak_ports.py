"""Each call of each port against servers that echo: nothing of what was sent is in an error, a trace or output."""

import io
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, redirect_stderr, redirect_stdout
from functools import partial
from typing import Any

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


def failures(kind: str, timeout: float = 0.4) -> dict[str, Exception]:
    """Every call against one kind of echo, and the exceptions that came of it."""
    found: dict[str, Exception] = {}

    def note(name: str, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as error:
            found[name] = error

    with Middleman(twist=lambda asked: ECHOES[kind](asked.all)) as liar:
        with closing(PinataClient(liar.url, Secret(JWT), timeout)) as pinata:
            for name, ask in PINATA.items():
                note(name, partial(ask, pinata))
        with closing(CreditsClient(liar.url, Secret(JWT), timeout)) as top_up:
            for name, change in CREDITS.items():
                note(name, partial(change, top_up))
        with closing(VaultStore(liar.url, "secret", Credentials("token", Secret(TOKEN)), timeout=2)) as store:
            for name, call in VAULT.items():
                note(name, partial(call, store))
        for name in LOGINS:
            login = Credentials(name, Secret(PASSWORD), "canary-role", name)
            with closing(VaultStore(liar.url, "secret", login, timeout=2)) as store:
                note(f"login by {name}", partial(store.stat, HERE))
    return found


@pytest.fixture(scope="module")
def outcomes() -> tuple[dict[str, dict[str, Exception]], str]:
    """By kind of echo and call; and all that was printed meanwhile, with no logging set up."""
    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(printed), ThreadPoolExecutor(12) as pool:
        found = dict(zip(ECHOES, pool.map(failures, ECHOES), strict=True))
    return found, printed.getvalue()


@pytest.mark.parametrize("kind", ECHOES)
def test_no_error_and_no_trace_repeats_what_a_server_echoed(kind: str, outcomes: Any) -> None:
    found = outcomes[0][kind]
    texts = {name: "".join(traceback.format_exception(error)) + repr(error) for name, error in found.items()}

    assert [] == [name for name, text in texts.items() if SCANNER.is_in(text.encode())]


@pytest.mark.parametrize("kind", ECHOES)
def test_every_strange_answer_is_one_of_our_errors(kind: str, outcomes: Any) -> None:
    found = outcomes[0][kind]

    assert {} == {name: type(error).__name__ for name, error in found.items() if not isinstance(error, PinataError)}


def test_nothing_is_printed_whatever_a_server_answers(outcomes: Any) -> None:
    assert "" == outcomes[1]


def test_the_scan_is_not_blind() -> None:
    echoed = {kind: answer(f"{JWT} {TOKEN}") for kind, answer in ECHOES.items()}

    assert ["nested without end", "infinite numbers"] == [k for k, raw in echoed.items() if not SCANNER.is_in(raw)]
