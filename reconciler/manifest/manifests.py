"""Files to what they declare: finds, parses and checks manifests, and says everything that is wrong with them.

Nothing is asked of Pinata or Vault here, and nothing decided. What cannot be read cleanly is never taken for something
that was removed: its accounts are frozen.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pulumi_pinata import wiring
from pulumi_pinata.core.settings import Settings
from reconciler.manifest import files as manifest_files
from reconciler.manifest.account import Document, Found, account, defaults
from reconciler.manifest.claims import Claim, conflicts, of_account, of_names
from reconciler.manifest.declared import Declared, Manifest, Place, Problem
from reconciler.manifest.files import Source
from reconciler.manifest.models import API_VERSION, DEFAULT_FLEET
from reconciler.manifest.parser import documents
from reconciler.manifest.shape import kind_of

MOST_PROBLEMS = 1_000
_DEFAULTS = "InferenceDefaults"
_PLAIN = f"""
apiVersion: {API_VERSION}
kind: Inference
metadata: {{name: home}}
spec: {{credentials: env:PINATA_JWT, vault: {{path: pinata}}}}
""".encode()


@dataclass(frozen=True)
class Loaded(Manifest):
    """A manifest that remembers where the references of its accounts stand, by account and input."""

    places: Mapping[str, Mapping[str, Place]] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True)
class _Homes:
    """Places in the Vault that all accounts share, and in those where they were before."""

    now: Settings | None = None
    former: tuple[Settings, ...] = ()


@dataclass
class _Load:
    """What has been collected.

    `doubtful` holds the files of which accounts are frozen, `unread` those in which defaults may be that nobody saw.
    """

    problems: list[Problem]
    accounts: list[Document] = field(default_factory=list)
    defaults: list[Document] = field(default_factory=list)
    frozen: set[str] = field(default_factory=set)
    doubtful: set[str] = field(default_factory=set)
    unread: list[Place] = field(default_factory=list)


def load(paths: Sequence[Path], environ: Mapping[str, str], *, root: Path | None = None) -> Manifest:
    """Read manifests from files and folders; never raises for what is in them.

    With `root`, files are named as below it in messages, and links out of it are refused.
    """
    reading = manifest_files.read(paths, root)
    collected = _Load(list(reading.problems))
    for source in reading.sources:
        _collect(source, collected)
    fleet, below, homes = _shared(collected, environ)
    whole = [document.over(below) for document in collected.accounts]
    found = [account(document, fleet, environ) for document in whole]
    for each in found:
        collected.problems += each.problems
    collected.doubtful |= {problem.place.file for problem in collected.problems}
    _freeze(collected)
    if not (collected.accounts or collected.defaults or collected.frozen or collected.problems):
        # Without InferenceDefaults not even the fleet is known whose accounts would be missed.
        where = str(paths[0]) if paths else "."
        words = "there is no manifest: neither an Inference nor InferenceDefaults."
        collected.problems.append(Problem(Place(where), words, "A fleet without accounts keeps its InferenceDefaults."))
    rivalry, rivals = conflicts(_claims(whole, found))
    frozen = frozenset(collected.frozen | rivals)
    return Loaded(
        fleet=fleet,
        accounts=_usable(found, frozen),
        problems=_listed([*collected.problems, *rivalry]),
        frozen=frozen,
        files=sum(source.whole for source in reading.sources),
        digest=reading.digest(),
        home=homes.now,
        former=homes.former,
        places={each.declared.name: each.places for each in found if each.declared},
    )


def local_problems(manifest: Manifest, environ: Mapping[str, str]) -> tuple[Problem, ...]:
    """What is wrong with the references as far as this machine alone can tell: unset variables, files, JWTs."""
    places = manifest.places if isinstance(manifest, Loaded) else {}
    problems: dict[Problem, None] = {}
    machine: set[str] = set()
    for each in manifest.accounts:
        known = places.get(each.name, {})
        for about, reason in wiring.local_problems(each.settings, environ):
            if about.isupper():  # a variable of this machine: wrong once, not once an account
                if about in machine:
                    continue
                machine.add(about)
            words = _words(about)
            problems[Problem(known.get(about, each.place), f"{words}: {reason}" if words else reason)] = None
    return tuple(sorted(problems))


def _words(about: str) -> str:
    return f"spec.{about.replace('ca_cert', 'caCert')}" if about and not about.isupper() else about


def _collect(source: Source, collected: _Load) -> None:
    """Sort a file's documents by kind; what is left unread is searched for names."""
    roots, problems, whole = documents(source.file, source.data)
    if source.whole:  # else it is known to be cut off, and where it breaks off says nothing
        collected.problems += problems
    if not (whole and source.whole):
        collected.frozen |= source.names()
        if not source.whole or _DEFAULTS.encode() in source.data:
            collected.unread.append(Place(source.file))
        return
    for root in roots:
        kind, wrong = kind_of(root)
        collected.problems += wrong
        document = Document(kind or "", root)
        if kind == _DEFAULTS:
            collected.defaults.append(document)
        elif kind:
            collected.accounts.append(document)
        elif document.name:
            collected.frozen.add(document.name)


def _shared(collected: _Load, environ: Mapping[str, str]) -> tuple[str, Document | None, _Homes]:
    """The fleet's name, what its accounts share, and the homes that this gives to an account."""
    if not collected.defaults:
        return DEFAULT_FLEET, None, _Homes()
    first, *more = collected.defaults
    if more:
        places = [document.root.place for document in collected.defaults]
        for place in places:
            other = places[1] if place == places[0] else places[0]
            message = f"more than one InferenceDefaults in one load; another is at {other}."
            collected.problems.append(Problem(place, message, "Keep one."))
    fleet, problems = defaults(first, environ)
    collected.problems += problems
    if more or problems:
        return fleet, first, _Homes()
    former = [_kept(document, fleet, environ) for document in first.formerly()]
    collected.problems += [
        replace(problem, message=problem.message.replace("spec.vault", "spec.formerVaults"))
        for each in former
        for problem in each.problems
    ]
    now = _kept(first, fleet, environ).declared  # None where accounts have to say it themselves
    homes = _Homes(now.settings if now else None, tuple(each.declared.settings for each in former if each.declared))
    return fleet, first, homes


def _kept(shared: Document, fleet: str, environ: Mapping[str, str]) -> Found:
    """An account that adds nothing of its own: it shows where such are kept."""
    (root, *_), _, _ = documents(shared.root.file, _PLAIN)
    return account(Document("Inference", root).over(shared), fleet, environ)


def _freeze(collected: _Load) -> None:
    """Name the accounts of doubtful files; where what they share is in doubt, that is all of them."""
    doubtful = [each.root.place for each in collected.defaults if each.root.file in collected.doubtful]
    unseen = [] if collected.defaults else collected.unread
    for document in collected.accounts:
        if document.name and (doubtful or unseen or document.root.file in collected.doubtful):
            collected.frozen.add(document.name)
    words = (
        "what all accounts share stands in a file with problems" if doubtful else "what all accounts share may be here"
    )
    for place in [*doubtful, *unseen][:1]:
        collected.problems.append(Problem(place, f"{words}: all of them are left as they are."))


def _claims(whole: list[Document], found: list[Found]) -> Iterator[Claim]:
    yield from of_names(whole)
    for document, each in zip(whole, found, strict=True):
        yield from of_account(document, each)


def _usable(found: list[Found], frozen: frozenset[str]) -> tuple[Declared, ...]:
    return tuple(each.declared for each in found if each.declared and each.declared.name not in frozen)


def _listed(problems: list[Problem]) -> tuple[Problem, ...]:
    """All problems once, in the order of files and lines."""
    ordered = sorted(set(problems))
    if len(ordered) <= MOST_PROBLEMS:
        return tuple(ordered)
    last = Problem(ordered[MOST_PROBLEMS].place, f"{len(ordered) - MOST_PROBLEMS:,} more problems from here on.")
    return (*ordered[:MOST_PROBLEMS], last)
