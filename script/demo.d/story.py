"""The demo's steps in the order of the story; each one shows what it does and checks what must hold."""

from __future__ import annotations

import gzip
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from leaks import Scanner
from processes import wait_for
from stage import ACCOUNTS, EXAMPLE, NOW, STACK, Stage

Step = tuple[str, Callable[[Stage], None]]
QUESTION = "Are you there?"


class Unexpected(Exception):
    """A step saw something else than it had to; the message says both."""


def what_git_says(stage: Stage) -> None:
    """The declaration, as everybody on the team can read it."""
    lines = (EXAMPLE / "__main__.py").read_text().splitlines()
    first = lines.index("prod = pinata.Inference(")
    stage.screen.tell("examples/stack/__main__.py declares two accounts, prod and staging. The part about prod:")
    for line in lines[first : lines.index(")", first) + 1]:
        stage.screen.output(line)
    stage.screen.proven("references to credentials (env:NAME), and no credential")


def first_up(stage: Stage) -> None:
    """Inference goes on, and each one-time key into Vault."""
    succeed(stage, "stack", "init", STACK)
    succeed(stage, "up", *NOW)
    for name in ACCOUNTS:
        outputs = managed(stage, name)
        copy = stage.vault_copy(name)
        expect("the version of the key in Vault", outputs["vault_version"], copy and copy[0])
        expect(f"mints of {name}", 1, stage.mints(name))
        stage.screen.tell(
            "{vault_mount}/{vault_path}: version {vault_version:.0f}, fingerprint {fingerprint}".format(**outputs)
        )
    stage.screen.proven("Pinata shows a key once; each is in Vault now. Pulumi has a fingerprint (a one-way digest)")


def a_service_answers(stage: Stage) -> None:
    """Somebody else's service, with a Vault login that may only read, and the official openai client."""
    ask(stage, "prod")
    ask(stage, "staging", "--stream")
    stage.screen.proven("it knows Vault and the openai client; it has no JWT and has never heard of Pulumi")


def nothing_to_do(stage: Stage) -> None:
    """What is as declared is left alone."""
    calls, logins = len(stage.pinata.calls()), stage.vault_logins()
    text = succeed(stage, "up", *NOW)
    expect("what Pulumi says", True, "unchanged" in text and "updated" not in text)
    expect("new calls to Pinata", 0, len(stage.pinata.calls()) - calls)
    expect("new logins to Vault", 0, stage.vault_logins() - logins)
    stage.screen.proven("nothing to do: 0 calls to Pinata, 0 logins to Vault")


def switched_off_by_hand(stage: Stage) -> None:
    """Drift that stops the service."""
    stage.screen.tell("Somebody switches inference off for prod, in Pinata's dashboard.")
    stage.pinata.disable_out_of_band("prod")
    expect("the service fails", 1, stage.ask("prod", QUESTION).code)
    succeed(stage, "refresh", *NOW)
    expect("prod in Pulumi's state", None, stage.managed("prod"))
    succeed(stage, "up", *NOW)
    ask(stage, "prod")
    stage.screen.proven("refresh found it, up mended it: a new key, in the same place")


def minted_by_hand(stage: Stage) -> None:
    """Drift that the on/off flag does not show: on, but with somebody else's key."""
    stage.screen.tell("Somebody switches inference off and on again for prod: it is on, and Vault's key is dead.")
    stage.pinata.disable_out_of_band("prod")
    stage.pinata.enable_out_of_band("prod")
    succeed(stage, "refresh", *NOW)
    condition = managed(stage, "prod")["condition"]
    expect("the condition of prod", "KeyStale", condition)
    stage.screen.tell(f"Pulumi's state now says of prod: condition {condition}")
    succeed(stage, "up", *NOW)
    ask(stage, "prod")
    stage.screen.proven("on is not enough: the key in Vault must be the live one, and is again")


def deleted_in_vault(stage: Stage) -> None:
    """The live key, deleted in Vault: it can be had back, so nobody is cut off."""
    stage.screen.tell("Somebody deletes secret/pinata/prod in Vault. The key is still live at Pinata.")
    before, mints = managed(stage, "prod")["fingerprint"], stage.mints("prod")
    stage.bao.api.call("DELETE", "secret/data/pinata/prod")
    expect("the service fails", 1, stage.ask("prod", QUESTION).code)
    succeed(stage, "refresh", *NOW)
    succeed(stage, "up", *NOW)
    ask(stage, "prod")
    expect("the key's fingerprint", before, managed(stage, "prod")["fingerprint"])
    expect("mints of prod", mints, stage.mints("prod"))
    stage.screen.proven("restored: the same key as before, not minted anew")


def a_gateway_fails(stage: Stage) -> None:
    """An unclear answer is not "gone": a resource dropped from the state here would be minted anew later."""
    stage.screen.tell("A gateway in front of Pinata answers every status call with 502.")
    before = {name: managed(stage, name) for name in ACCOUNTS}
    stage.pinata.add_fault("html", method="GET", path="/v0/llm/status", status=502, times=None)
    expect("refresh fails", True, stage.pulumi("refresh", *NOW).code != 0)
    stage.pinata.clear_faults()
    expect("Pulumi's state is as before", True, before == {name: managed(stage, name) for name in ACCOUNTS})
    ask(stage, "prod")
    stage.screen.proven("refresh said so and failed; nothing was dropped from the state, and the service never noticed")


def rotation(stage: Stage) -> None:
    """A new key by a change in Git; the plan warns, since Pinata has one key an account."""
    old_key = live_key(stage)
    succeed(stage, "config", "set", "rotation", "2026-12")
    plan = succeed(stage, "preview")
    expect("the plan names the path", True, "whatever uses secret/pinata/prod fails until" in plan)
    expect("what the old key opens before", 200, stage.chat_status(old_key))
    succeed(stage, "up", *NOW)
    expect("what the old key opens after", 401, stage.chat_status(old_key))
    ask(stage, "prod")
    stage.screen.proven("the old key: 401. The new one is where the old one was, and works")


def killed_in_the_middle(stage: Stage) -> None:
    """The worst moment: Pinata has minted, and nobody is left to hear the reply."""
    stage.screen.tell("The next rotation. While Pinata mints, the CI runner dies: kill -9, Pulumi and all its plugins.")
    mints = stage.mints("prod")
    succeed(stage, "config", "set", "rotation", "2027-01")
    stage.pinata.clear_calls()
    stage.pinata.add_fault("latency", method="POST", path="/v0/llm/enable", seconds=1)
    killed = stage.kill_pulumi_when(
        lambda: any(call.path == "/v0/llm/enable" for call in stage.pinata.calls("prod")), "up", *NOW
    )
    wait_for(lambda: stage.mints("prod") == mints + 1)
    expect("the live key is nowhere", True, stage.is_lost("prod"))
    stage.screen.tell(f"{killed} processes killed. Pinata minted a key that nobody has; Vault has the old, dead one.")
    succeed(stage, "cancel", "--yes")
    succeed(stage, "up", *NOW)
    expect("mints of prod, one wanted and one the price of the crash", mints + 2, stage.mints("prod"))
    ask(stage, "prod")
    stage.screen.proven("the intent that it had left in Vault told the next run what to do; 1 extra mint, no human")


def destroyed(stage: Stage) -> None:
    """Nothing is left on, and nothing is left in clear."""
    last_keys = {name: live_key(stage, name) for name in ACCOUNTS}
    succeed(stage, "destroy", *NOW)
    for name, key in last_keys.items():
        expect(f"what the key of {name} opens", 401, stage.chat_status(key))
        expect(f"a readable secret of {name} in Vault", False, stage.vault_copy(name) is not None)
    stage.screen.proven("inference is off, the last keys answer 401, their Vault copies are soft-deleted")


def no_secret_anywhere(stage: Stage) -> None:
    """Everything that Pulumi wrote and all that was printed, against every key and JWT that ever existed."""
    mints = sum(map(stage.mints, ACCOUNTS))
    expect("keys on the list of what to look for", mints, len(stage.keys))
    jwts = [account.jwt for account in stage.accounts.values()]
    parts = [part for jwt in jwts for part in jwt.split(".")[1:]]
    scanner = Scanner([*stage.keys, *jwts, *parts, *stage.secret_ids])
    (stage.folder / "printed" / "demo.txt").write_text("\n".join(stage.screen.printed))
    scan = scanner.folder(stage.folder)
    expect("files with a secret", (), scan.found)
    expect("a scan that finds a planted key", ("planted.gz",), planted(stage, scanner))
    logins = len(stage.secret_ids)
    stage.screen.tell(
        f"Looked for {len(stage.keys)} keys, {len(jwts)} JWTs and {logins} Vault logins, plain and encoded,"
    )
    stage.screen.tell("in state, history, backups, PULUMI_HOME, the project, temporary files and all that was printed.")
    stage.screen.proven(f"0 secrets found in {scan.files} files, {scan.size / 1e6:.1f} MB (a planted one was found)")


STEPS: tuple[Step, ...] = (
    ("What Git says", what_git_says),
    ("pulumi up: the keys go to Vault", first_up),
    ("A service gets an answer", a_service_answers),
    ("Again: nothing to do", nothing_to_do),
    ("Switched off by hand", switched_off_by_hand),
    ("Re-minted by hand", minted_by_hand),
    ("Deleted in Vault by hand", deleted_in_vault),
    ("502 from a gateway", a_gateway_fails),
    ("Rotation by config", rotation),
    ("kill -9 in mid-rotation", killed_in_the_middle),
    ("pulumi destroy", destroyed),
    ("Is there a secret anywhere?", no_secret_anywhere),
)


def expect(what: str, expected: object, seen: object) -> None:
    """Raise Unexpected unless both are the same."""
    if expected != seen:
        raise Unexpected(f"{what}: expected {expected!r}, saw {seen!r}")


def succeed(stage: Stage, *arguments: str) -> str:
    """Run Pulumi and return its output; Unexpected with its end when it fails."""
    ran = stage.pulumi(*arguments)
    if ran.code != 0:
        raise Unexpected(f"pulumi {arguments[0]}: expected exit code 0, saw {ran.code}\n{ran.text[-3000:]}")
    return ran.text


def ask(stage: Stage, name: str, *options: str) -> None:
    """Have the service answered; Unexpected when it is not."""
    ran = stage.ask(name, QUESTION, *options)
    if ran.code != 0:
        raise Unexpected(f"the service: expected an answer, saw exit code {ran.code}\n{ran.text[-3000:]}")


def managed(stage: Stage, name: str) -> dict[str, Any]:
    """The Inference in Pulumi's state; Unexpected when there is none."""
    outputs = stage.managed(name)
    if outputs is None:
        raise Unexpected(f"{name} in Pulumi's state: expected it to be there, saw nothing")
    return outputs


def live_key(stage: Stage, name: str = "prod") -> str:
    """The key in Vault; Unexpected when there is none."""
    copy = stage.vault_copy(name)
    if copy is None:
        raise Unexpected(f"the secret of {name} in Vault: expected a key, saw none")
    return copy[1]


def planted(stage: Stage, scanner: Scanner) -> tuple[str, ...]:
    """What the scanner finds when there is something: a scan that finds nothing could also be blind."""
    folder = stage.folder / "control"
    folder.mkdir()
    text = b"{" + b64encode(b"x" + stage.keys[0].encode()) + b"}"
    (folder / "planted.gz").write_bytes(gzip.compress(text))
    return scanner.folder(Path(folder)).found
