"""What stands in the way of a fleet, and what to do about it: asks everybody, changes nothing."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from threading import Event

from pulumi_pinata.core.errors import PinataError
from pulumi_pinata.core.model import Record, Status
from reconciler import wording
from reconciler.inventory import home_of
from reconciler.ledger import Ledger
from reconciler.manifest.declared import Declared, Manifest
from reconciler.pool import each
from reconciler.upstreams import Access

_SOON = 14 * 86400


class Level(str, Enum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """What was found about an account, a Vault or this machine, and what to do."""

    subject: str
    level: Level
    message: str
    todo: str = ""


def examine(
    manifest: Manifest, access: Access, environ: Mapping[str, str], *, workers: int, seen: Callable[[], None]
) -> list[Finding]:
    """Everything that a look can find."""
    findings = [Finding(str(p.place), Level.BAD, p.message, p.hint) for p in manifest.problems]
    ledger = Ledger.read(manifest, access)
    findings += _inventories(manifest, ledger)

    def look(declared: Declared) -> tuple[str | None, list[Finding]]:
        try:
            return _account(declared, ledger, access)
        except PinataError as raised:
            error = wording.renamed(raised)
            about = f"{error.about}: " if error.about else ""
            return None, [Finding(declared.name, Level.BAD, f"{about}{error.message}", error.hint or "")]

    accounts = [declared for declared in manifest.accounts if not declared.suspend]
    found = {}
    for declared, of_account in each(accounts, look, workers=workers, stop=Event()):
        found[declared.name] = of_account or (None, [])
        seen()
    for name in sorted(found):
        findings += found[name][1]
    findings += _rivals({name: of_account for name, (of_account, _) in found.items() if of_account})
    return [*findings, *_escrow(environ)]


def _inventories(manifest: Manifest, ledger: Ledger) -> Iterator[Finding]:
    for home, kept in ledger.inventories.items():
        yield Finding(str(home), Level.OK, f"login works; fleet {manifest.fleet} keeps {len(kept.entries)} account(s)")
    for home, error in ledger.failures.items():
        yield Finding(str(home), Level.BAD, error.message, error.hint or "")


def _rivals(accounts: Mapping[str, str]) -> Iterator[Finding]:
    """As a plan refuses them: two names for one account would fight over its one key."""
    names: dict[str, list[str]] = {}
    for name, found in sorted(accounts.items()):
        names.setdefault(found, []).append(name)
    for rivals in names.values():
        if len(rivals) > 1:
            said = f"{' and '.join(rivals)} are one account by their credentials."
            yield Finding(rivals[0], Level.BAD, said, "Declare each account once.")


def _account(declared: Declared, ledger: Ledger, access: Access) -> tuple[str | None, list[Finding]]:
    """Its fingerprint, unless it is not the account that its name was applied to; and what was found of it."""
    settings, home = declared.settings, home_of(declared.settings)
    entry = ledger.entry(declared.name, home) or ledger.elsewhere(declared.name, home)
    with access.account(settings, lambda line: None) as session:
        ports, found = session.ports, session.account
        status = ports.pinata.status()
        if entry and entry.account != found.fingerprint:
            marks = ledger.owners(found.fingerprint, declared.name)
            raise wording.of_another(declared.name, entry.account, found.fingerprint, marks)
        ports.store.preflight(settings.vault.location, found.fingerprint, seconds=2 * ports.lease)
        record = ports.store.record(found.fingerprint)
    return found.fingerprint, list(_of_account(declared, found.expires_at, status, record))


def _of_account(
    declared: Declared, expires_at: float | None, status: Status, record: Record | None
) -> Iterator[Finding]:
    yield Finding(
        declared.name,
        Level.OK,
        f"JWT accepted, inference {'on' if status.enabled else 'off'}, Vault would take a key at "
        f"{declared.settings.vault.location}",
    )
    if expires_at is not None and expires_at - time.time() < _SOON:
        days = max(0.0, (expires_at - time.time()) / 86400)
        yield Finding(
            declared.name,
            Level.WARNING,
            f"its JWT expires in {days:.1f} days",
            "Make a new API key in the Pinata dashboard and put it where the reference points.",
        )
    if record and record.open:
        yield Finding(
            declared.name,
            Level.WARNING,
            f"an intent is open: {record.purpose.value}, by {record.owner}, at {record.location}",
            "If no run is at work, apply finishes it; a key sealed in escrow has to be imported before.",
        )


def _escrow(environ: Mapping[str, str]) -> Iterator[Finding]:
    state = environ.get("XDG_STATE_HOME") or "~/.local/state"
    folder = Path(environ.get("PINATA_ESCROW_DIRECTORY") or f"{state}/pulumi-pinata/escrow").expanduser()
    for file in sorted(folder.glob("*.age")):
        yield Finding(
            str(file),
            Level.WARNING,
            f"a sealed key, of account {file.name.partition('-')[0]}",
            "escrow import it before the next apply, or delete it if that account was repaired since.",
        )
