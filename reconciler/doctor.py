"""What stands in the way of a fleet, and what to do about it: asks everybody, changes nothing."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from threading import Event

from pulumi_pinata.core.errors import PinataError
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
    findings += _inventories(manifest, access)

    def look(declared: Declared) -> list[Finding]:
        try:
            return list(_account(declared, access))
        except PinataError as error:
            about = f"{error.about}: " if error.about else ""
            return [Finding(declared.name, Level.BAD, f"{about}{error.message}", error.hint or "")]

    accounts = [declared for declared in manifest.accounts if not declared.suspend]
    found = []
    for declared, of_account in each(accounts, look, workers=workers, stop=Event()):
        found.append((declared.name, of_account or []))
        seen()
    findings += [finding for _, of_account in sorted(found, key=lambda pair: pair[0]) for finding in of_account]
    return [*findings, *_escrow(environ)]


def _inventories(manifest: Manifest, access: Access) -> Iterator[Finding]:
    ledger = Ledger.read(manifest.fleet, (each.settings for each in manifest.accounts), access, manifest.home)
    for home, kept in ledger.inventories.items():
        yield Finding(str(home), Level.OK, f"login works; fleet {manifest.fleet} keeps {len(kept.entries)} account(s)")
    for home, error in ledger.failures.items():
        yield Finding(str(home), Level.BAD, error.message, error.hint or "")


def _account(declared: Declared, access: Access) -> Iterator[Finding]:
    settings = declared.settings
    with access.account(settings, lambda line: None) as found:
        ports, account = found.ports, found.account
        status = ports.pinata.status()
        ports.store.preflight(settings.vault.location, account.fingerprint, seconds=2 * ports.lease)
        record = ports.store.record(account.fingerprint)
    yield Finding(
        declared.name,
        Level.OK,
        f"JWT accepted, inference {'on' if status.enabled else 'off'}, Vault would take a key at "
        f"{settings.vault.location}",
    )
    if account.expires_at is not None and account.expires_at - time.time() < _SOON:
        days = max(0.0, (account.expires_at - time.time()) / 86400)
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
