"""The accounts that failed, as they were found, and for how long each is left alone."""

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from pulumi_pinata.core.settings import Settings
from reconciler.findings import declaration
from reconciler.fleetplan import Condition, Kind, Row
from reconciler.loop.cycle import Passed
from reconciler.loop.schedule import Waiting, after_failure
from reconciler.loop.viewing import failed
from reconciler.manifest.declared import Declared


@dataclass(frozen=True)
class _Failure:
    """An account that failed: its row as it was found, and how long it is left alone."""

    row: Row
    waiting: Waiting


class Failing:
    """See the module. `content` is a digest of what an account's reference to credentials holds now; `clock` monotonic.

    Belongs to the loop's thread.
    """

    def __init__(
        self, content: Callable[[Settings], str | None], clock: Callable[[], float], dice: Callable[[], float]
    ) -> None:
        self._content = content
        self._clock = clock
        self._dice = dice
        self._failures: dict[str, _Failure] = {}

    @property
    def names(self) -> set[str]:
        """All of them."""
        return set(self._failures)

    @property
    def next_at(self) -> float:
        """When the first of them is due; inf where there is none."""
        return min((each.waiting.at for each in self._failures.values()), default=math.inf)

    def due_at(self, name: str) -> float | None:
        """When it is looked at again; None where it does not fail."""
        failure = self._failures.get(name)
        return failure.waiting.at if failure else None

    def rows(self, but: Collection[str] = ()) -> dict[str, Row]:
        """As they were found."""
        return {name: each.row for name, each in self._failures.items() if name not in but}

    def over(self, accounts: Iterable[Declared]) -> set[str]:
        """Those that are to be looked at again now."""
        now = self._clock()
        return {
            each.name
            for each in accounts
            if (failure := self._failures.get(each.name))
            and failure.waiting.is_over(now, declaration(each), self._content(each.settings))
        }

    def contents(self, accounts: Iterable[Declared]) -> dict[str, str | None]:
        """What their credentials hold before they are looked at: what is put there meanwhile has not been tried."""
        return {each.name: self._content(each.settings) for each in accounts}

    def keep(self, names: Collection[str]) -> None:
        """Forget the others: of what was never applied, nothing else tells that it is gone.

        A time long past would keep the loop awake.
        """
        self._failures = {name: each for name, each in self._failures.items() if name in names}

    def forgive(self, *, refused: bool) -> None:
        """Leave nobody alone any longer; those whose JWT was refused only if `refused`."""
        self._failures = {
            name: each
            for name, each in self._failures.items()
            if each.row.condition is Condition.CREDENTIALS_INVALID and not refused
        }

    def note(self, passed: Passed, held: Mapping[str, str | None], longest: float) -> None:
        """Remember what failed in a pass that began with these `contents`; nobody is left alone for over `longest`."""
        ended = {result.row.name: result for result in passed.results}
        for row in passed.plan.rows:
            result, declared, before = ended.get(row.name), row.declared, self._failures.get(row.name)
            if before and row is before.row:
                continue
            if declared is None or not failed(row, result):
                self._failures.pop(row.name, None)
                continue
            if result:
                error = result.error
                row = replace(row, kind=Kind.ERROR, condition=result.condition, reason=str(error), error=error)
            waiting = after_failure(
                before.waiting if before else None,
                declared.settings,
                row.condition,
                row.error,
                declared=declaration(declared),
                content=held.get(row.name),
                now=self._clock(),
                longest=longest,
                dice=self._dice,
            )
            self._failures[row.name] = _Failure(row, waiting)
