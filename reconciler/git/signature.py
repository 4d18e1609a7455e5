"""Whether a commit was signed by somebody who may."""

import re
import shutil
from pathlib import Path

from pulumi_pinata.core.errors import Refused
from reconciler.git.commands import Git

# Only ssh signatures count: by OpenPGP or X.509, any key of the user's keyring would be as good as an allowed one.
_SETTINGS = (
    "gpg.format=ssh",
    "gpg.ssh.program=ssh-keygen",
    "gpg.openpgp.program=false",
    "gpg.x509.program=false",
)
_KEY = re.compile(r"SHA256:[A-Za-z0-9+/]{20,64}")


def verify(git: Git, store: Path, commit: str, signers: Path) -> None:
    """Raise Refused (about ``--allowed-signers``) unless `commit` is signed, well, by a key that is in `signers`.

    The key must be valid there at the commit's own time.
    """
    try:
        signers.read_bytes()
    except OSError as error:
        hint = "Write lines as `git config gpg.ssh.allowedSignersFile` wants them: NAME KEY-TYPE KEY."
        message = f"{str(signers)!r} cannot be read ({error.strerror})."
        raise Refused(message, about="--allowed-signers", hint=hint) from None
    if not shutil.which("ssh-keygen"):
        hint = "Install OpenSSH's client programs."
        raise Refused("the program ssh-keygen is not on PATH.", about="--allowed-signers", hint=hint)
    settings = (*_SETTINGS, f"gpg.ssh.allowedSignersFile={signers}")
    arguments = ("log", "-1", "--no-show-signature", "--no-color", "--format=%G?%n%GF", commit)
    grade, _, key = git.run(*arguments, settings=settings, store=store).decode(errors="replace").partition("\n")
    if grade == "G":
        return
    found = _KEY.search(key)
    by = f" ({found.group()})" if found else ""
    reason = {
        "N": "is not signed, or not by an ssh key",
        "B": "has a bad signature: it was changed after it was signed",
        "U": f"is signed by a key{by} that is not in the file, or not valid there at the commit's time",
    }.get(grade, "has a signature that cannot be checked; only those by ssh keys count")
    hint = "Sign it (git commit -S with gpg.format=ssh), or add the signer's key if it is trusted."
    raise Refused(f"the commit {commit} {reason}.", about="--allowed-signers", hint=hint)
