"""Follows a branch, tag or commit of a Git repository, by the program git.

A poll costs one `git ls-remote`. Every new commit is fetched whole, without history, into a folder of its own beside
the one that is followed, which goes only when the new one is complete: nothing is ever half a commit, and no lock or
broken pack of a git that was killed stays behind. What has to be signed is the commit, also where a tag is followed.

A good signature says who made the commit. It does not say that the commit is new, nor that it was meant for this ref or
repository: whoever rules the server can serve any other commit of an allowed signer, such as last year's. Its time is
the one written in it, so a stolen key is to be taken out of the file; to let it expire there does not stop it.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from types import TracebackType

from pulumi_pinata.core.errors import PinataError, Refused
from pulumi_pinata.core.secret import Secret
from reconciler.git import signature as git_signature
from reconciler.git import tree as git_tree
from reconciler.git.address import address, checked_paths, checked_ref, is_commit
from reconciler.git.commands import Git
from reconciler.git.tree import cannot_write
from reconciler.loop.source import Checkout

_HEADS, _TAGS = "refs/heads/", "refs/tags/"
_FETCHED = "refs/pinata/fetched"


@dataclass(frozen=True)
class _Followed:
    """A commit on disk: its repository, what the loader gets, and what its files looked like when written."""

    folder: Path
    checkout: Checkout
    files: git_tree.Print

    @property
    def store(self) -> Path:
        return self.folder / "git"


class GitSource:
    """A `Source` that follows `ref` of the repository at `url`; for one thread, to be closed.

    `ref`: a branch or a tag by its short or full name, or a full commit id. `paths` are inside the repository (none:
    all of it). `folder`: where to make a temporary folder. `token` is asked at each fetch, for an https URL: a token,
    or user:password. With `allowed_signers` (an ssh allowed_signers file, read at each fetch) only commits that one
    of these signed are followed. A fetch takes at most about `timeout` seconds.
    """

    def __init__(
        self,
        url: str,
        ref: str,
        paths: Sequence[str | PurePosixPath] = (),
        *,
        folder: Path | None = None,
        token: Callable[[], Secret] | None = None,
        allowed_signers: Path | None = None,
        timeout: float = 60.0,
    ) -> None:
        """Raises Refused for what cannot be an address, a ref or a path; the server is not asked yet."""
        self._address = address(url, str(Path.cwd()))
        self._ref = checked_ref(ref)
        self._paths = checked_paths(paths)
        if token and not self._address.base:
            hint = "Leave it out; ssh has keys of its own."
            raise Refused("a token is for https addresses only.", about="--git-token", hint=hint)
        self._token = token
        self._signers = allowed_signers.absolute() if allowed_signers else None
        self._timeout = timeout
        try:
            self._home = Path(tempfile.mkdtemp(prefix="pinata-reconciler-git-", dir=folder)).resolve()
        except OSError as error:
            raise cannot_write(error) from None
        self._followed: _Followed | None = None

    def __enter__(self) -> "GitSource":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the files; again is harmless."""
        self._followed = None
        shutil.rmtree(self._home, ignore_errors=True)

    @property
    def name(self) -> str:
        """See `Source.name`: the URL without a user, `#`, and the ref."""
        return f"{self._address.name}#{self._ref}"

    def fetch(self) -> Checkout:
        """See `Source.fetch`; the same checkout as before, untouched, where the commit is the same.

        Raises Transient while the server is down or slow, or the disk full; Refused for what a person must fix.
        `about` is the option at fault: ``--git``, ``--ref``, ``--git-token``, ``--allowed-signers`` or ``PATH``.
        """
        token = self._token() if self._token else None
        if token and not (token.reveal().isascii() and token.reveal().isprintable()):
            hint = "Check that only the token is there, on one line."
            raise Refused("the token has characters that no token has.", about="--git-token", hint=hint)
        git = Git(self._address, self._home, time.monotonic() + self._timeout, token, os.environ)
        try:
            return self._fetch(git)
        except OSError as error:
            raise cannot_write(error) from None

    def _fetch(self, git: Git) -> Checkout:
        before = self._followed
        # A commit id means the same commit for ever: nobody need be asked what it is.
        full, tip = (self._ref, self._ref) if is_commit(self._ref) else self._found(git)
        if before and before.checkout.commit == tip and git_tree.fingerprint(before.folder) == before.files:
            self._verify(git, before.store, tip)
            return before.checkout
        self._followed = self._received(git, full, len(tip))
        if before:
            shutil.rmtree(before.folder, ignore_errors=True)
        return self._followed.checkout

    def _found(self, git: Git) -> tuple[str, str]:
        """The ref's full name and the id of its commit."""
        whole = self._ref.startswith("refs/") or self._ref == "HEAD"
        names = [self._ref] if whole else [_HEADS + self._ref, _TAGS + self._ref]
        asked = [pattern for name in names for pattern in (name, f"{name}^{{}}")]
        refs = _refs(git.run("ls-remote", "--quiet", "--", self._address.url, *asked))
        found = [name for name in names if name in refs]
        if not found:
            raise self._missing(git)
        if len(found) > 1:
            hint = f"Write {' or '.join(found)}."
            raise Refused(f"{self._ref!r} is both a branch and a tag.", about="--ref", hint=hint)
        return found[0], refs.get(f"{found[0]}^{{}}", refs[found[0]])

    def _missing(self, git: Git) -> PinataError:
        """The error for a ref that is not there; names close to it are told."""
        refs: dict[str, str] | None = None
        with suppress(PinataError):  # too many to be listed
            refs = _refs(git.run("ls-remote", "--quiet", "--refs", "--heads", "--tags", "--", self._address.url))
        if refs == {}:
            return Refused("the repository is empty.", about="--git", hint="Push a commit of manifests to it.")
        names = [_short(name) for name in refs or ()]
        close = [name for name in get_close_matches(self._ref, names[:10_000]) if name.isprintable() and len(name) < 80]
        hint = f"Did you mean {' or '.join(close)}?" if close else "Name a branch, a tag or a full commit id."
        return Refused(f"the repository has no branch or tag {self._ref!r}.", about="--ref", hint=hint)

    def _received(self, git: Git, full: str, digits: int) -> _Followed:
        folder = Path(tempfile.mkdtemp(prefix="commit-", dir=self._home))
        try:
            store, root = folder / "git", folder / "tree"
            kind = "sha256" if digits == 64 else "sha1"
            git.run("init", "--quiet", "--bare", "--template=", f"--object-format={kind}", "--", str(store))
            options = ("--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head")
            git.run("fetch", *options, "--", self._address.url, f"+{full}:{_FETCHED}", store=store)
            commit = self._commit(git, store)
            self._verify(git, store, commit)
            git_tree.write(git, store, commit, root, self._paths)
            paths = tuple(root / path for path in self._paths)
            return _Followed(folder, Checkout(paths, root, commit), git_tree.fingerprint(folder))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def _commit(self, git: Git, store: Path) -> str:
        kind = git.run("cat-file", "-t", f"{_FETCHED}^{{}}", store=store).decode().strip()
        commit = git.run("rev-parse", "--verify", f"{_FETCHED}^{{}}", store=store).decode().strip()
        if kind != "commit" or (is_commit(self._ref) and commit != self._ref):
            raise Refused(
                f"{self._ref!r} does not name a commit.", about="--ref", hint="Name a branch or a tag of one."
            )
        return commit

    def _verify(self, git: Git, store: Path, commit: str) -> None:
        if self._signers:
            git_signature.verify(git, store, commit, self._signers)


def _refs(listing: bytes) -> dict[str, str]:
    lines = (line.split("\t", 1) for line in listing.decode(errors="replace").splitlines())
    return {name: commit for commit, name in (line for line in lines if len(line) == 2)}


def _short(name: str) -> str:
    return name.removeprefix(_HEADS).removeprefix(_TAGS)
