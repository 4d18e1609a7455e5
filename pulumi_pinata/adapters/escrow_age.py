"""Escrow as age files (age-encryption.org): sealed to a public key, so that this machine cannot open them again."""

import json
import os
from contextlib import suppress
from pathlib import Path

from pulumi_pinata.core.errors import Refused
from pulumi_pinata.core.model import Location, Sealed
from pulumi_pinata.core.secret import PrivateKey

try:
    import pyrage
except ImportError:  # the extra `escrow` is not installed
    pyrage = None


class AgeEscrow:
    """`core.ports.Escrow` in a folder, one file a key, mode 0600.

    Raises Refused when `recipient` is not an age public key (age1…).
    """

    def __init__(self, recipient: str, folder: Path) -> None:
        _require()
        try:
            self._recipient = pyrage.x25519.Recipient.from_str(recipient)
        except pyrage.RecipientError:
            raise Refused(
                "not an age public key.", about="PINATA_ESCROW_RECIPIENT", hint="It begins with age1 (age-keygen -y)."
            ) from None
        self._folder = folder

    def prepare(self) -> "AgeEscrow":
        """Make the folder, before there is a key. Raises Refused when it cannot be had."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(self._folder, error) from None
        if not os.access(self._folder, os.W_OK | os.X_OK):
            raise _unusable(self._folder, PermissionError())
        if self._folder.stat().st_mode & 0o022:
            # age does not say who sealed: a file that somebody else put there would be imported as ours.
            raise Refused(
                f"others can write to {str(self._folder)!r}.", about="PINATA_ESCROW_DIRECTORY", hint="chmod 700 it."
            )
        return self

    def seal(self, sealed: Sealed) -> str:
        """See `Escrow.seal`."""
        path = self._folder / f"{sealed.account}-{sealed.attempt}.age"
        try:
            _write_durably(path, pyrage.encrypt(_note(sealed), [self._recipient]))
        except OSError as error:
            raise _unusable(path, error) from None
        return str(path)


def _note(sealed: Sealed) -> bytes:
    place = {"mount": sealed.location.mount, "path": sealed.location.path, "field": sealed.field}
    note = {"schema": 1, "key": sealed.key.reveal(), "account": sealed.account, "attempt": sealed.attempt, **place}
    return json.dumps(note).encode()


def unseal(path: Path, identity: Path) -> Sealed:
    """Open a sealed file with the age identity in `identity`. Raises Refused when that cannot be."""
    _require()
    try:
        lines = identity.read_text().splitlines()
        sealed = path.read_bytes()
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"a file cannot be read ({type(error).__name__}).", hint="Check FILE and --identity.") from None
    keys = []
    for line in lines:
        with suppress(pyrage.IdentityError):
            keys.append(pyrage.x25519.Identity.from_str(line.strip()))
    if not keys:
        raise Refused("there is no age identity in the file.", about="--identity", hint="One line: AGE-SECRET-KEY-1…")
    try:
        note = json.loads(pyrage.decrypt(sealed, keys))
        key, account, attempt, mount, place, field = (
            _text(note[name]) for name in ("key", "account", "attempt", "mount", "path", "field")
        )
        return Sealed(PrivateKey(key), account, attempt, Location(mount, place), field)
    except (pyrage.DecryptError, ValueError, KeyError, TypeError, RecursionError):
        raise Refused(
            "the file is not sealed to this identity, or it is damaged.", about="FILE", hint="Check both."
        ) from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not text")
    return value


def _write_durably(path: Path, text: bytes) -> None:
    # A rename of a synced file into a synced folder: after a power cut there is all of it or nothing.
    new = path.with_suffix(".new")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.rename(path)
    except OSError:
        new.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _require() -> None:
    if pyrage is None:
        raise Refused(
            "escrow needs the age library.",
            about="PINATA_ESCROW_RECIPIENT",
            hint="pip install 'pulumi-pinata[escrow]', or unset it.",
        )


def _unusable(path: Path, error: OSError) -> Refused:
    return Refused(
        f"{str(path)!r} cannot be written ({type(error).__name__}).",
        about="PINATA_ESCROW_DIRECTORY",
        hint="Name a folder that this user can write to.",
    )
