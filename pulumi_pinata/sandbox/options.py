"""The command line of the sandbox, read and checked; nothing is started here."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pulumi_pinata.sandbox.exports import suffix
from pulumi_pinata.sandbox.variants import Variants


class BadOption(Exception):
    """An option is wrong; the message is one line: what, where, what to do."""


@dataclass(frozen=True)
class Options:
    """What to run. `variants` per account name; `command` None = until Ctrl-C; ports 0 = free ones."""

    accounts: list[str]
    variants: dict[str, dict[str, object]]
    credits: float
    port: int
    vault: bool
    vault_port: int
    vault_storage: Path | None
    exports_file: Path | None
    command: list[str] | None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadOption(f"{message}; see --help")


def read(arguments: Sequence[str]) -> Options:
    """Read the arguments after the program's name. BadOption; --help exits."""
    before, command = _split(list(arguments))
    given = _parser().parse_args(before)
    accounts = [name.strip() for name in given.accounts.split(",") if name.strip()]
    if not accounts:
        raise BadOption("--accounts is empty; give at least one name, such as --accounts prod")
    if len({suffix(name) for name in accounts}) < len(accounts):
        raise BadOption(f"--accounts {given.accounts}: two names give one variable; use different names")
    return Options(
        accounts=accounts,
        variants=_variants(given.variant, accounts),
        credits=given.credits,
        port=given.port,
        vault=not given.no_vault,
        vault_port=given.vault_port,
        vault_storage=given.vault_storage,
        exports_file=given.exports_file,
        command=command,
    )


def _split(arguments: list[str]) -> tuple[list[str], list[str] | None]:
    if "--exec" not in arguments:
        return arguments, None
    at = arguments.index("--exec")
    command = arguments[at + 1 :]
    if not command:
        raise BadOption("--exec has no command; put one after it, such as --exec pytest -q")
    return arguments[:at], command


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m pulumi_pinata.sandbox",
        description="A stand-in for the Pinata API and a real OpenBao (Vault API), on loopback only.",
        epilog="--exec CMD ... (last): run CMD with the exports set, stop both servers, return its exit code.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--accounts", default="prod,staging", metavar="NAME[,NAME]", help="accounts (default: %(default)s)")
    add("--variant", action="append", default=[], metavar="NAME:KEY=VALUE", help="e.g. prod:reenable=no_key")
    add("--credits", type=_credits, default=100.0, metavar="N", help="credits each (default: %(default)g)")
    add("--port", type=_port, default=0, help="of the Pinata stand-in (default: a free one)")
    add("--vault-port", type=_port, default=0, help="of OpenBao (default: a free one)")
    add("--vault-storage", type=Path, metavar="DIR", help="keep OpenBao's store here; default: in memory")
    add("--no-vault", action="store_true", help="the Pinata stand-in alone")
    add("--exports-file", type=Path, metavar="PATH", help="write the exports here too, mode 0600")
    add("--host", type=_host, default="127.0.0.1", help="127.0.0.1 is the only one allowed")
    return parser


def _variants(given: Sequence[str], accounts: Sequence[str]) -> dict[str, dict[str, object]]:
    chosen: dict[str, dict[str, object]] = {name: {} for name in accounts}
    for text in given:
        name, colon, setting = text.partition(":")
        key, equals, value = setting.partition("=")
        if not colon or not equals:
            raise BadOption(f"--variant {text}: write it as NAME:KEY=VALUE, such as prod:reenable=no_key")
        if name not in chosen:
            raise BadOption(f"--variant {text}: no account {name!r}; accounts: {', '.join(accounts)}")
        try:
            Variants().changed({key: value})
        except ValueError as wrong:
            raise BadOption(f"--variant {text}: {wrong}") from None
        chosen[name][key] = value
    return chosen


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} must be a port from 1 to 65535, or 0 for a free one")
    return int(text)


def _credits(text: str) -> float:
    try:
        credits = float(text)
    except ValueError:
        credits = -1.0
    if not 0 <= credits < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number of at least 0")
    return credits


def _host(text: str) -> str:
    if text != "127.0.0.1":
        raise argparse.ArgumentTypeError(
            f"{text!r} refused: the sandbox hands credentials to whoever reaches it, so 127.0.0.1 only"
        )
    return text
