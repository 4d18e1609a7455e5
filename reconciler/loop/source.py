"""Where the loop's manifests come from: a folder as it is, or a commit of a repository (`reconciler.git`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pulumi_pinata.core.errors import Refused
from reconciler.manifest import files as manifest_files


@dataclass(frozen=True)
class Checkout:
    """Manifests to load, as `manifest.load` takes them; `commit` is the full id, None where there is no history.

    Checkouts that are equal hold the same manifests; without a commit, `digest` tells.
    """

    paths: tuple[Path, ...]
    root: Path | None = None
    commit: str | None = None
    digest: str = ""


class Source(Protocol):
    """Gives the manifests of now."""

    @property
    def name(self) -> str:
        """The source in a few words, without credentials: for the log and the status page."""
        ...

    def fetch(self) -> Checkout:
        """The newest manifests; what was given before may be gone afterwards.

        Raises PinataError, and then what was given before is still there.
        """
        ...


class Folder:
    """Files and folders of this machine, kept up to date by somebody else."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)

    @property
    def name(self) -> str:
        """See `Source.name`."""
        return ", ".join(str(path) for path in self._paths)

    def fetch(self) -> Checkout:
        """See `Source.fetch`."""
        for path in self._paths:
            if not path.exists():
                # An empty folder is judged by the guards; a missing one is a mount that has not come up.
                raise Refused(f"there is no {str(path)!r}.", about="PATH", hint="Name a file or folder of manifests.")
        return Checkout(self._paths, digest=manifest_files.read(self._paths).digest())
