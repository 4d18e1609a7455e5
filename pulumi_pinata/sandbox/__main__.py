"""python -m pulumi_pinata.sandbox: both servers, until Ctrl-C or for the time of one command."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType

from pulumi_pinata.sandbox import exports, options
from pulumi_pinata.sandbox.options import BadOption, Options

_BANNER = "sandbox: a stand-in, no real Pinata account and no real Vault is touched; everything is on 127.0.0.1\n"
_GRACE = 10.0


class _Stop(BaseException):
    """A signal asks us to end; not an Exception, so that nothing on the way swallows it."""

    def __init__(self, number: int) -> None:
        self.number = number


class _Signals:
    """Lets SIGINT and SIGTERM raise _Stop, but only while `may_stop` runs.

    Between the fork of a child and the line that remembers it, an exception would leave the child behind;
    and a second signal must not interrupt the stopping.
    """

    def __init__(self) -> None:
        self._armed = False
        self._pending: int | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._arrived)

    @contextlib.contextmanager
    def may_stop(self) -> Iterator[None]:
        self._armed = True
        try:
            if self._pending is not None:
                raise _Stop(self._pending)
            yield
        finally:
            self._armed = False

    def _arrived(self, number: int, _frame: FrameType | None) -> None:
        if self._armed:
            self._armed = False
            raise _Stop(number)
        self._pending = number


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sandbox and return the exit code: the command's, 0 after a stop, 2 for a bad option."""
    try:
        chosen = options.read(sys.argv[1:] if arguments is None else arguments)
        return _run(chosen, _Signals())
    except BadOption as wrong:
        return _complain(str(wrong))
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in {"cryptography", "starlette", "uvicorn"}:
            raise
        return _complain(f"{missing.name} is not installed: pip install 'pulumi-pinata[sandbox]'")
    except FileNotFoundError as missing:
        return _complain(str(missing))


def _run(chosen: Options, signals: _Signals) -> int:
    with contextlib.ExitStack() as stack:
        found = _start(chosen, stack)
        sys.stderr.write(_BANNER)
        if chosen.exports_file is not None:
            try:
                exports.write_file(chosen.exports_file, found)
            except OSError as error:
                raise BadOption(f"--exports-file {chosen.exports_file}: {error.strerror}") from None
            # Its tokens die with the servers.
            stack.callback(chosen.exports_file.unlink, missing_ok=True)
        if chosen.command is not None:
            return _execute(chosen.command, exports.child_environment(os.environ, found), signals)
        sys.stdout.write(exports.shell_lines(found))
        sys.stdout.flush()
        sys.stderr.write("sandbox: paste these lines into another shell; Ctrl-C here stops everything\n")
        with contextlib.suppress(_Stop), signals.may_stop():
            threading.Event().wait()
    return 0


def _start(chosen: Options, stack: contextlib.ExitStack) -> dict[str, str]:
    from pulumi_pinata.sandbox.openbao import BaoNotStarted, OpenBao
    from pulumi_pinata.sandbox.pinata_server import PinataServer
    from pulumi_pinata.sandbox.policies import PROVIDER_POLICY

    try:
        pinata = stack.enter_context(PinataServer(port=chosen.port))
    except OSError as error:
        raise BadOption(f"--port {chosen.port}: {error.strerror}; choose another or leave it out") from None
    found = {"PINATA_API_URL": pinata.url}
    for name in chosen.accounts:
        try:
            account = pinata.add_account(name, variants=chosen.variants[name], credits=chosen.credits)
        except ValueError as wrong:
            raise BadOption(f"--accounts {','.join(chosen.accounts)}: {wrong}") from None
        found.setdefault("PINATA_JWT", account.jwt)
        found[f"PINATA_JWT_{exports.suffix(name)}"] = account.jwt
    found["PINATA_SANDBOX_TOKEN"] = pinata.control_token
    if not chosen.vault:
        return found
    try:
        bao = stack.enter_context(OpenBao(storage=chosen.vault_storage, port=chosen.vault_port))
    except BaoNotStarted as failed:
        raise BadOption(f"OpenBao did not start: {failed}") from None
    except OSError as error:
        if error.filename is None:
            raise
        raise BadOption(f"--vault-storage {chosen.vault_storage}: {error.strerror}") from None
    logins = bao.provision()
    return {
        **found,
        "VAULT_ADDR": bao.addr,
        "VAULT_TOKEN": bao.make_token([PROVIDER_POLICY], ttl=24 * 3600),
        "PINATA_VAULT_ROLE_ID": logins.provider.role_id,
        "PINATA_VAULT_SECRET_ID": logins.provider.secret_id,
        "READER_ROLE_ID": logins.reader.role_id,
        "READER_SECRET_ID": logins.reader.secret_id,
    }


def _execute(command: Sequence[str], environment: Mapping[str, str], signals: _Signals) -> int:
    try:
        child = subprocess.Popen(command, env=environment)  # noqa: S603  # the user's own command line
    except OSError as error:
        raise BadOption(f"--exec {command[0]}: {error.strerror}; is it installed and on PATH?") from None
    try:
        with signals.may_stop():
            code = child.wait()
    except _Stop as stop:
        # A terminal sends Ctrl-C to the command as well, and some take a second one as "at once".
        if stop.number == signal.SIGTERM or not (sys.stdin and sys.stdin.isatty()):  # None: it is closed
            child.send_signal(stop.number)
        code = _ended(child)
    return code if code >= 0 else 128 - code


def _ended(child: "subprocess.Popen[bytes]") -> int:
    try:
        return child.wait(_GRACE)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


def _complain(message: str) -> int:
    sys.stderr.write(f"sandbox: {message}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
