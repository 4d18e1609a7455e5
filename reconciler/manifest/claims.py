"""What no two accounts may both claim; pure. Whether a claim holds against Vault or Pinata is not known here."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from pulumi_pinata.core.reference import VaultReference
from pulumi_pinata.core.settings import Settings
from reconciler.manifest.account import Document, Found
from reconciler.manifest.declared import Place, Problem

_SHOWN = 3


@dataclass(frozen=True)
class Claim:
    """Something that one account takes for itself alone: what it is, in words, and where it says so."""

    key: tuple[object, ...]
    words: str
    name: str
    place: Place


def conflicts(claims: Iterable[Claim]) -> tuple[list[Problem], frozenset[str]]:
    """A problem for each of those who claim the same, naming the others; and the names of all of them."""
    holders: dict[tuple[object, ...], list[Claim]] = defaultdict(list)
    for claim in claims:
        holders[claim.key].append(claim)
    problems, names = [], set()
    for (kind, *_), rivals in holders.items():
        # What two of one name have in common besides is not worth a word more.
        if len(rivals) < 2 or (kind != "name" and len({rival.name for rival in rivals}) < 2):
            continue
        for claim in rivals:
            names.add(claim.name)
            problems.append(Problem(claim.place, f"{claim.words} is claimed {_others(claim, rivals)}.", "Keep one."))
    return problems, frozenset(names)


def of_names(documents: Sequence[Document]) -> Iterator[Claim]:
    """The accounts' names, also of documents that are wrong in other ways."""
    for document in documents:
        if name := document.name:
            yield Claim(("name", name), f"the name {name!r}", name, document.place)


def of_account(document: Document, found: Found) -> Iterator[Claim]:
    """The account itself, as far as it shows without its JWT, and its place in Vault."""
    if found.declared is None:
        return
    name, settings = found.declared.name, found.declared.settings
    home = _home(settings)
    api = _address(settings.api_url)
    place = document.at("vault.path") or document.place
    yield Claim(("place", home, settings.vault.location), f"the secret {settings.vault.location}", name, place)
    # A `vault:` reference means another secret in another Vault.
    within = home[:2] if isinstance(settings.credentials, VaultReference) else ()
    place = document.at("credentials") or document.place
    # The words do not quote the reference: a path may tell more than a log should.
    yield Claim(("credentials", api, settings.credentials, within), "the account of these credentials", name, place)
    if settings.account:
        place = document.at("account") or document.place
        yield Claim(("account", api, settings.account), f"the account {settings.account!r}", name, place)


def _others(claim: Claim, rivals: list[Claim]) -> str:
    others = [rival for rival in rivals[: _SHOWN + 1] if rival is not claim][:_SHOWN]
    shown = [f"also {_holder(claim, rival)}" for rival in others]
    unseen = len(rivals) - 1 - len(others)
    more = f" and {unseen} more" if unseen else ""
    return f"{', '.join(shown)}{more}"


def _holder(claim: Claim, rival: Claim) -> str:
    return f"in {rival.place}" if rival.name == claim.name else f"by {rival.name!r} ({rival.place})"


def _home(settings: Settings) -> tuple[object, str, str]:
    """The same Vault, namespace and mount however they are written."""
    address, namespace, mount = settings.vault.home
    return _address(address), (namespace or "").strip("/"), mount


def _address(url: str) -> tuple[str, str | None, int | None, str]:
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, parts.hostname, port, parts.path.rstrip("/")
