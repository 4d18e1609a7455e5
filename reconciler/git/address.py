"""A repository's address, a ref and paths as an operator writes them, checked before git sees them; pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import SplitResult, urlsplit

from pulumi_pinata.core.address import is_loopback
from pulumi_pinata.core.errors import Refused

_FORMS = "Write https://HOST/PATH, ssh://USER@HOST/PATH, USER@HOST:PATH or the path of a repository on this machine."
_ELSEWHERE = "Leave it out of the URL: give a token by --git-token env:NAME, or use a credential helper of git."
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\]")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_SCP = re.compile(r"(?:(?P<user>[^@/:]*)@)?(?P<host>\[[^\]/]*\]|[^/:@\[]+):(?P<path>[^/:-].*|/.*)")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# As git check-ref-format has it, and nothing that git would read as an option, a revision or a pattern.
_REF = re.compile(r"(?![-/.])(?!.*(?:\.\.|//|/\.|@\{|\.lock(?:/|$)))[^\x00-\x20\x7f~^:?*\[\\]{1,250}(?<![/.])")


@dataclass(frozen=True)
class Address:
    """Where a repository is. `base` is scheme, host and port of an http(s) address, else None."""

    url: str
    name: str
    protocols: str
    base: str | None = None


def address(url: str, folder: str) -> Address:
    """Check `url`; a local path is taken from `folder`, as git will run elsewhere.

    Over a network: https and ssh. http and git:// prove nothing about the server, and go to this machine only.
    A local path and file:// are allowed: who names them may read the files anyhow.
    Raises Refused for all else, and for a password or token in the URL (about ``--git``), which is not quoted.
    """
    if not url or url.startswith("-") or not url.isprintable():
        raise Refused("not the address of a repository.", about="--git", hint=_FORMS)
    if "://" in url:
        return _by_url(url)
    scp = _SCP.fullmatch(url)
    if scp:
        if not _HOST.fullmatch(scp["host"]) or not (scp["user"] is None or _USER.fullmatch(scp["user"])):
            raise Refused("not the address of a repository.", about="--git", hint=_FORMS)
        return Address(url, f"{scp['host']}:{scp['path']}", "ssh:https")
    if ":" in url.partition("/")[0]:  # ext::, or another of git's transport helpers
        raise Refused("not the address of a repository.", about="--git", hint=_FORMS)
    path = str(PurePosixPath(folder, url))
    return Address(path, path, "file")


def _by_url(url: str) -> Address:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Refused("not a URL.", about="--git", hint=_FORMS) from None
    if parts.password is not None or (parts.scheme in ("http", "https", "git", "file") and parts.username is not None):
        raise Refused("the URL holds a user name, password or token.", about="--git", hint=_ELSEWHERE)
    if parts.query or parts.fragment or " " in url:
        raise Refused("the URL must hold no query, fragment or space.", about="--git", hint=_ELSEWHERE)
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost") or not parts.path:
            raise Refused("not the path of a repository on this machine.", about="--git", hint=_FORMS)
        return Address(f"file://{parts.path}", f"file://{parts.path}", "file")
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    if parts.scheme not in ("https", "http", "ssh", "git") or not _HOST.fullmatch(host):
        raise Refused("not the address of a repository that git could be trusted with.", about="--git", hint=_FORMS)
    if parts.username is not None and not _USER.fullmatch(parts.username):
        raise Refused("not a user name for ssh.", about="--git", hint=_FORMS)
    return _reached(parts, host if port is None else f"{host}:{port}")


def _reached(parts: SplitResult, place: str) -> Address:
    base = f"{parts.scheme}://{place}"
    if parts.scheme in ("http", "git"):
        if not is_loopback(base):
            raise Refused(
                f"plain {parts.scheme} does not prove that an answer is the server's.",
                about="--git",
                hint="Use https or ssh; http is accepted to this machine (127.0.0.1, localhost) only.",
            )
        protocols = parts.scheme
    else:
        protocols = "https:ssh"  # `url.….insteadOf` of the user's configuration turns one into the other
    user = f"{parts.username}@" if parts.username else ""
    url = f"{parts.scheme}://{user}{place}{parts.path}"
    return Address(url, base + parts.path, protocols, base if parts.scheme in ("http", "https") else None)


def checked_ref(ref: str) -> str:
    """`ref` as it is. Raises Refused (about ``--ref``) for what cannot name a branch, a tag or a commit."""
    if ref == "@" or not _REF.fullmatch(ref) or not ref.isprintable():
        raise Refused(
            f"{ref!r} cannot be the name of a ref.", about="--ref", hint="Name a branch or tag, such as main."
        )
    return ref


def is_commit(ref: str) -> bool:
    """Whether `ref` is a full commit id."""
    return _COMMIT.fullmatch(ref) is not None


def checked_paths(paths: Sequence[str | PurePosixPath]) -> tuple[PurePosixPath, ...]:
    """Paths below the repository's root, which stands for none. Raises Refused (about ``PATH``) for others."""
    found = tuple(PurePosixPath(path) for path in paths) or (PurePosixPath(),)
    for path in found:
        if path.is_absolute() or ".." in path.parts or not str(path).isprintable():
            raise Refused(
                f"{str(path)!r} is no path inside the repository.",
                about="PATH",
                hint="With --git, write it from the repository's root, such as fleets/prod.",
            )
    return found
