"""Finds and reads manifest files, within bounds; what is in them is not looked at here, except for names to freeze."""

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.manifest.declared import Place, Problem

LARGEST_FILE = 1024 * 1024
LARGEST_LOAD = 16 * 1024 * 1024
MOST_FILES = 20_000
SUFFIXES = (".yaml", ".yml")

# Over-inclusive on purpose: a name too many is frozen needlessly for a moment, a name too few could be pruned.
_NAMED = re.compile(rb"\bname[\"']?[ \t]*:[ \t]*[\"']?([a-z0-9][-a-z0-9]{0,62})")


@dataclass(frozen=True)
class Source:
    """A file's bytes, and the name it goes by in messages. `whole` is False where not all of it could be read."""

    file: str
    data: bytes
    whole: bool = True

    def names(self) -> frozenset[str]:
        """All that may be an account's name, found without parsing."""
        return frozenset(found.decode() for found in _NAMED.findall(self.data))


@dataclass
class Reading:
    """What was found: in the order of the paths given, each folder sorted."""

    sources: list[Source] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def digest(self) -> str:
        """One of all the bytes that were read."""
        whole = hashlib.sha256()
        for source in self.sources:
            whole.update(len(source.data).to_bytes(8, "big") + source.data)
        return whole.hexdigest()


def read(paths: Sequence[Path], root: Path | None = None) -> Reading:
    """Read all files named, and all *.yaml and *.yml in folders named.

    With `root`, files go by their names below it, and none is read that a symbolic link leads out of it to.
    """
    reading = Reading()
    shown = _Shown(root)
    seen: set[tuple[int, int]] = set()
    total = 0
    for path in _found(paths, reading, shown):
        try:
            info = path.stat()
            if (info.st_dev, info.st_ino) in seen:
                continue  # named twice, or reached by a second link: no claim against itself
            seen.add((info.st_dev, info.st_ino))
            source = _source(path, info, shown, reading)
        except OSError as error:
            reading.problems.append(Problem(Place(shown(path)), f"cannot be read ({error.strerror}).", "Check it."))
            source = Source(shown(path), b"", whole=False)
        total += len(source.data)
        if total > LARGEST_LOAD or len(reading.sources) >= MOST_FILES:
            limit = f"{LARGEST_LOAD >> 20} MiB or {MOST_FILES:,} files"
            reading.problems.append(
                Problem(Place(source.file), f"more than {limit} in one load; read up to here.", "Split the fleet.")
            )
            reading.sources.append(Source(source.file, b"", whole=False))
            break
        reading.sources.append(source)
    return reading


def _source(path: Path, info: os.stat_result, shown: "_Shown", reading: Reading) -> Source:
    name = shown(path)
    reason = ""
    if not stat.S_ISREG(info.st_mode):
        reason = "not a regular file."
    elif shown.outside(path):
        reason = "a link that leads out of the manifests' root."
    if reason:
        reading.problems.append(Problem(Place(name), reason, "Put the manifest itself there."))
        return Source(name, b"", whole=False)
    with path.open("rb") as file:
        data = file.read(LARGEST_FILE + 1)
    if len(data) <= LARGEST_FILE:
        return Source(name, data)
    size = f"{max(info.st_size, len(data)):,} bytes; a manifest file has at most {LARGEST_FILE:,}."
    reading.problems.append(Problem(Place(name), size, "Split it."))
    return Source(name, data[:LARGEST_FILE], whole=False)


@dataclass(frozen=True)
class _Shown:
    """How paths are shown, and whether they may be read."""

    root: Path | None

    def __call__(self, path: Path) -> str:
        if self.root is not None and path.is_relative_to(self.root):
            return path.relative_to(self.root).as_posix()
        return str(path)

    def outside(self, path: Path) -> bool:
        """Whether a link leads out of the root; what is named by a path that is outside anyhow is meant so."""
        if self.root is None or not path.is_relative_to(self.root):
            return False
        return not path.resolve().is_relative_to(self.root.resolve())


def _found(paths: Sequence[Path], reading: Reading, shown: _Shown) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from _below(path, reading, shown)
        elif path.exists():
            yield path
        else:
            reading.problems.append(Problem(Place(shown(path)), "no such file or folder.", "Check the path."))
            reading.sources.append(Source(shown(path), b"", whole=False))


def _below(top: Path, reading: Reading, shown: _Shown) -> Iterator[Path]:
    """Manifest files below a folder; hidden entries are left out, and every real folder is entered once."""
    entered: set[tuple[int, int]] = set()
    # A mounted ConfigMap's files are links into a hidden folder: links are followed.
    for folder, subfolders, names in os.walk(top, followlinks=True, onerror=lambda e: _unread(e, reading, shown)):
        info = Path(folder).stat()
        if (info.st_dev, info.st_ino) in entered:
            subfolders.clear()
            continue
        entered.add((info.st_dev, info.st_ino))
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            if name.endswith(SUFFIXES) and not name.startswith("."):
                yield Path(folder, name)


def _unread(error: OSError, reading: Reading, shown: _Shown) -> None:
    folder = shown(Path(str(error.filename)))
    reading.problems.append(Problem(Place(folder), f"the folder cannot be read ({error.strerror}).", "Check it."))
    reading.sources.append(Source(folder, b"", whole=False))
