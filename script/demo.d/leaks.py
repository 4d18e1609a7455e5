"""Looks for secrets in files and texts: plain, in base64 at every offset, in hex, and inside gzip."""

from __future__ import annotations

import base64
import gzip
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# Whatever starts like a key of the sandbox, in case one is not on our list.
_LIKE_A_KEY = re.compile(rb"pnk_[A-Za-z0-9_-]{30,}")


@dataclass(frozen=True)
class Scan:
    """What was read, and the places where something was found (never what)."""

    files: int
    size: int
    found: tuple[str, ...]


class Scanner:
    """Knows the secrets, and every form in which they might be written."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(secret.encode())}
        self._pattern = re.compile(b"|".join(map(re.escape, sorted(forms))))

    def folder(self, folder: Path) -> Scan:
        """Scan every file below a folder."""
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
        contents = [path.read_bytes() for path in paths]
        found = tuple(
            str(path.relative_to(folder)) for path, content in zip(paths, contents, strict=True) if self.is_in(content)
        )
        return Scan(len(paths), sum(map(len, contents)), found)

    def is_in(self, content: bytes) -> bool:
        """Whether any secret is in these bytes."""
        if content[:2] == b"\x1f\x8b":
            try:
                content = gzip.decompress(content)
            except (OSError, EOFError, zlib.error):
                return True  # unreadable is not proven clean
        return bool(self._pattern.search(content) or _LIKE_A_KEY.search(content))


def _forms(secret: bytes) -> set[bytes]:
    forms = {secret, secret.hex().encode(), secret.hex().upper().encode()}
    for offset in range(3):
        # Only the characters that the secret alone decides, wherever it starts in a longer text.
        first, last = -(-offset * 8 // 6), (offset + len(secret)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            forms.add(encode(bytes(offset) + secret)[first:last])
    return forms
