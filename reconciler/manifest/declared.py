"""What manifests declare, after parsing: frozen data, shared by all stages; nothing here reads or acts."""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from pulumi_pinata.core.model import Mode
from pulumi_pinata.core.settings import Settings


@dataclass(frozen=True, order=True)
class Place:
    """Where something stands in a manifest; line and column from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, order=True)
class Problem:
    """Something wrong in a manifest: where, what, and what to do."""

    place: Place
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.message}{f' {self.hint}' if self.hint else ''}"


class Drift(str, Enum):
    """What to do about a difference that no commit has caused."""

    HEAL = "heal"
    REPORT = "report"


@dataclass(frozen=True)
class Window:
    """When a rotation by age may happen: weekdays (0 Monday … 6 Sunday), from a minute of the day to another, in an
    IANA time zone; `end` before `start` reaches past midnight.
    """

    days: frozenset[int]
    start: int
    end: int
    zone: str


@dataclass(frozen=True)
class Rotation:
    """When the key is replaced, besides a changed trigger (which is in the settings)."""

    max_age: timedelta | None = None
    window: Window | None = None


@dataclass(frozen=True)
class Credits:
    """Auto top-up (threshold, amount; None: not managed) and the balance below which to warn, in credits."""

    top_up: tuple[float, int] | None = None
    alert_below: float | None = None


@dataclass(frozen=True)
class Declared:
    """One account: `settings` as the core takes them, `mode` what is wanted, the rest how to treat it."""

    name: str
    place: Place
    mode: Mode
    settings: Settings
    drift: Drift = Drift.HEAL
    prune: bool = False
    protect: bool = False
    suspend: bool = False
    rotation: Rotation = Rotation()
    credits: Credits = Credits()


@dataclass(frozen=True)
class Manifest:
    """All that was read. `frozen` names the accounts of files with problems: they are neither changed nor pruned.

    `files` counts the files read; `digest` is one of all their bytes. `home` is a place in the Vault that all accounts
    share, where one is declared: with no account left, the inventory is looked for there. `former` are places in the
    Vaults where keys of the fleet were kept before.
    """

    fleet: str
    accounts: tuple[Declared, ...]
    problems: tuple[Problem, ...] = ()
    frozen: frozenset[str] = frozenset()
    files: int = 0
    digest: str = ""
    home: Settings | None = None
    former: tuple[Settings, ...] = ()
