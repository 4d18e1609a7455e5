"""What an apply makes of an inventory's entries, on whatever is there by then; pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from reconciler.inventory import Entry, Home, home_in


def is_overtaken(planned: Entry | None, now: Entry | None, wanted: str | None) -> bool:
    """Whether another run has let go of the account since, or applied another declaration than `wanted`, a digest."""
    if now is None:
        return planned is not None
    return now.declared not in (planned.declared if planned else "", wanted)


@dataclass
class Begun:
    """What an apply begins: `new` entries, with digests of what is `wanted` for them; `planned` are those of its plan.

    Names that are `leaving` count as applied no more. `overtaken` are those of which another run has applied another
    declaration since, or that it has let go of; of those that are leaving, all that another run has changed.
    """

    new: Mapping[str, Entry]
    wanted: Mapping[str, str]
    leaving: Collection[str]
    planned: Mapping[str, Entry]
    overtaken: frozenset[str] = frozenset()

    def __call__(self, known: Mapping[str, Entry]) -> dict[str, Entry]:
        """The entries to be; sets `overtaken`."""
        leaving = {name: known[name] for name in self.leaving if name in known and name in self.planned}
        changed = {name for name, now in leaving.items() if not self._is_as_planned(now)}
        self.overtaken = frozenset(
            changed | {n for n in self.new if is_overtaken(self.planned.get(n), known.get(n), self.wanted.get(n))}
        )
        new = {name: entry for name, entry in self.new.items() if name not in self.overtaken}
        marked = {name: replace(now, declared="") for name, now in leaving.items() if name not in changed}
        return {**known, **new, **marked}

    def _is_as_planned(self, now: Entry) -> bool:
        """But for a mark that it is leaving, which may be another run's."""
        planned = self.planned[now.name]
        return now in (planned, replace(planned, declared=""))


@dataclass(frozen=True)
class Done:
    """What an apply has come to: digests of what was applied in `whole`, names that are `gone` and where they are now,
    entries to put `back`, mints that were not made after all (`fewer`).

    What is gone is let go of as it was `left` by what was begun: an entry that another run has changed since stays, for
    that run may have switched the account on again.
    """

    whole: Mapping[str, str]
    gone: Mapping[str, Home | None]
    back: Mapping[str, Entry]
    fewer: Collection[str]
    left: Mapping[str, Entry]
    today: str

    def __call__(self, known: Mapping[str, Entry]) -> dict[str, Entry]:
        """The entries to be."""
        # What names its declared home by now was written over by this very apply: one Vault, named in two ways.
        gone = {
            name
            for name, home in self.gone.items()
            if name in known and home_in(known[name].inputs) != home and known[name] == self.left.get(name)
        }
        kept = {name: entry for name, entry in {**self.back, **known}.items() if name not in gone}
        for name in self.fewer:
            if name in kept and kept[name].day == self.today:
                kept[name] = replace(kept[name], mints=max(0, kept[name].mints - 1))
        return {name: replace(entry, declared=self.whole.get(name, entry.declared)) for name, entry in kept.items()}
