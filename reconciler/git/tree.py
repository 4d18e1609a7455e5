"""Writes a commit's files into a folder, without git's checkout: no filter, attribute, hook or submodule plays a part.

What a repository says in .gitattributes can thus neither run anything nor hide a file (`export-ignore` does, in
`git archive`), and what the files come to is known before the first is written.
"""

import os
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from pulumi_pinata.core.errors import PinataError, Refused, Transient
from reconciler.git.commands import Git, too_large
from reconciler.manifest.files import LARGEST_FILE

MOST_FILES = 50_000
LARGEST_TREE = 512 * 1024 * 1024
_LINK, _SUBMODULE = "120000", "160000"
_LONGEST_LINK = 4096
_DEEPEST = 100  # what walks folders, here and in the loader, calls itself for each level
_CHUNK = 1024 * 1024
# What stands in a file's place where a filter would have brought it back.
_STAND_INS = {b"version https://git-lfs.github.com/spec/": "Git LFS", b"\0GITCRYPT\0": "git-crypt"}

Print = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class _Entry:
    mode: str
    name: str
    blob: str
    size: int


def write(git: Git, store: Path, commit: str, root: Path, paths: Sequence[PurePosixPath]) -> None:
    """Write the tree of `commit` below `root`, a new folder; `paths` are those that are followed.

    Of a file too large for a manifest only so much is written as shows that, at its full length.
    Raises Refused for a tree that cannot be followed as a whole, Transient if it cannot be written now.
    """
    entries = _entries(git, store, commit)
    for entry in entries:
        _check(entry, paths)
    try:
        root.mkdir()
        _write(git, store, entries, root, paths)
        for entry in entries:
            if entry.mode == _LINK:
                _check_link(entry, root)
        for path in paths:
            _check_path(path, root, commit)
    except (FileExistsError, NotADirectoryError):
        hint = "Rename one: names must differ by more than case, accents or kind."
        raise Refused("two names in the repository are one on this machine.", about="--git", hint=hint) from None


def fingerprint(top: Path) -> Print:
    """What stands below `top`, to tell later whether it still does: cleaners of temporary files delete one by one."""
    found: Print = {}
    for place, folders, names in os.walk(top):
        for name in (*folders, *names):
            info = Path(place, name).lstat()
            facts = () if stat.S_ISDIR(info.st_mode) else (info.st_size, info.st_mtime_ns)
            found[str(Path(place, name))] = (info.st_mode, info.st_ino, *facts)
    return found


def cannot_write(error: OSError) -> PinataError:
    """The error for a folder that cannot be written."""
    message = f"the commit cannot be written to this machine's disk ({error.strerror})."
    return Transient(message, about="--git", hint="Look after the place of temporary files (TMPDIR).")


def _entries(git: Git, store: Path, commit: str) -> list[_Entry]:
    listing = git.run("ls-tree", "-r", "-z", "-l", "--full-tree", commit, store=store, most=MOST_FILES * 512)
    found: list[_Entry] = []
    total = 0
    for line in listing.split(b"\0")[:-1]:
        facts, _, name = line.partition(b"\t")
        mode, _kind, blob, size = facts.decode().split()
        shown = name.decode(errors="backslashreplace")
        if shown.encode() != name or not shown.isprintable():
            hint = "Rename it: UTF-8, without control characters."
            raise Refused(f"the repository has a file name that cannot be shown: {shown!r}.", about="--git", hint=hint)
        found.append(_Entry(mode, shown, blob, int(size) if size.isdigit() else 0))
        total += found[-1].size
    if not found:
        hint = "Commit manifests to it; an empty fleet is not assumed."
        raise Refused(f"the commit {commit} has no files.", about="--ref", hint=hint)
    if len(found) > MOST_FILES or total > LARGEST_TREE:
        raise too_large(f"more than {MOST_FILES:,} files or {LARGEST_TREE >> 20} MiB in one commit.")
    return found


def _check(entry: _Entry, paths: Sequence[PurePosixPath]) -> None:
    parts = entry.name.split("/")
    if any(part in ("", ".", "..") or part.lower() == ".git" for part in parts):
        raise Refused("the repository has a file name that git itself forbids.", about="--git", hint="Rename it.")
    if len(parts) > _DEEPEST:
        raise too_large(f"the repository has folders more than {_DEEPEST} levels deep.")
    if entry.mode == _SUBMODULE and _followed(entry, paths):
        # Its manifests would be missing, as if they had been deleted.
        hint = "Submodules are not followed: put the manifests into the repository itself, or name other paths."
        raise Refused(f"{entry.name!r} is a submodule.", about="PATH", hint=hint)
    if entry.mode == _LINK and entry.size > _LONGEST_LINK:
        raise Refused(f"{entry.name!r} is no symbolic link of this world.", about="--git", hint="Remove it.")


def _followed(entry: _Entry, paths: Sequence[PurePosixPath]) -> bool:
    name = PurePosixPath(entry.name)
    return any(name.is_relative_to(path) or path.is_relative_to(name) for path in paths)


def _write(git: Git, store: Path, entries: Sequence[_Entry], root: Path, paths: Sequence[PurePosixPath]) -> None:
    # Links last, so that no file is written through one.
    wanted = [entry for entry in entries if entry.mode != _SUBMODULE]
    wanted.sort(key=lambda entry: entry.mode == _LINK)
    most = sum(entry.size + 128 for entry in wanted)
    with tempfile.TemporaryFile(dir=root.parent) as given, tempfile.TemporaryFile(dir=root.parent) as blobs:
        given.write("".join(f"{entry.blob}\n" for entry in wanted).encode())
        given.seek(0)
        git.run("cat-file", "--batch", "--buffer", store=store, given=given, into=blobs, most=most)
        blobs.seek(0)
        for entry in wanted:
            if blobs.readline(200).decode() != f"{entry.blob} blob {entry.size}\n":
                raise Transient("the commit was not received as a whole.", about="--git", hint="It is fetched again.")
            end = blobs.tell() + entry.size
            path = root / entry.name
            path.parent.mkdir(parents=True, exist_ok=True)
            if entry.mode == _LINK:
                path.symlink_to(_target(entry, blobs.read(entry.size)))
            else:
                _file(entry, blobs, path, _followed(entry, paths))
            blobs.seek(end + 1)


def _target(entry: _Entry, data: bytes) -> str:
    if not data or b"\0" in data:
        raise Refused(f"{entry.name!r} is no symbolic link of this world.", about="--git", hint="Remove it.")
    return os.fsdecode(data)


def _file(entry: _Entry, blobs: IO[bytes], path: Path, followed: bool) -> None:
    left = min(entry.size, LARGEST_FILE + 1)
    with path.open("xb") as file:
        while left:
            data = blobs.read(min(left, _CHUNK))
            if followed and file.tell() == 0:
                _check_stand_in(entry, data)
            file.write(data)
            left -= len(data)
        file.truncate(entry.size)


def _check_stand_in(entry: _Entry, data: bytes) -> None:
    for start, what in _STAND_INS.items():
        if data.startswith(start) and entry.name.endswith((".yaml", ".yml")):
            # As for a submodule: what it stands for would be missing.
            hint = f"{what} is not followed: commit manifests as plain files."
            raise Refused(f"{entry.name!r} is not a file but what {what} left in its place.", about="PATH", hint=hint)


def _check_link(entry: _Entry, root: Path) -> None:
    """A link to a single file outside is for the loader to refuse; through one to a folder it would read on there."""
    path = root / entry.name
    if not _is_inside(path, root) and not path.is_file():
        hint = "Remove it, or put the folder itself there."
        raise Refused(f"{entry.name!r} is a link that leads out of the repository.", about="--git", hint=hint)


def _check_path(path: PurePosixPath, root: Path, commit: str) -> None:
    whole = root / path
    if not _is_inside(whole, root) or not whole.exists():
        hint = "Check the paths, which count from the repository's root; an empty fleet is not assumed."
        raise Refused(f"the commit {commit} has no {str(path)!r}.", about="PATH", hint=hint)


def _is_inside(path: Path, root: Path) -> bool:
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # links in a circle lead nowhere
        return True
