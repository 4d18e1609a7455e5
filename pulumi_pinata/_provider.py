"""The dynamic providers: dicts in, dicts out, thin methods over the core.

The paths of these classes are a stored format: Pulumi keeps them, pickled by name, in every state. They hold nothing,
since one instance serves several threads and whatever it held would be stored too.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)

from pulumi_pinata import announcements, properties, wiring
from pulumi_pinata._errors import clean
from pulumi_pinata.core import judgment, observe, plan
from pulumi_pinata.core.account import Account
from pulumi_pinata.core.actions import Outcome
from pulumi_pinata.core.converge import converge
from pulumi_pinata.core.errors import Refused
from pulumi_pinata.core.model import Condition, Desired, Minted, Mode
from pulumi_pinata.core.ports import Ports
from pulumi_pinata.core.relocate import relocate
from pulumi_pinata.core.settings import Settings
from pulumi_pinata.property_reader import all_known

_PROVIDER = "__provider"


class InferenceProvider(ResourceProvider):
    """`pulumi_pinata.Inference` in the engine's terms."""

    serialize_as_secret_always = False  # a class name: no secret, and diffs stay readable

    @clean
    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Defaults and validation; runs before anything is changed, in preview too."""
        inputs, failures = properties.check(news, os.environ)
        if not failures and all_known(inputs):
            failures = wiring.local_problems(properties.settings(inputs))
        return CheckResult(inputs, [CheckFailure(name, reason) for name, reason in failures])

    @clean
    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Update in place, except when account or API are others."""
        changed = properties.changed(olds, news)
        replaces = ["api_url"] if "api_url" in changed else []
        known = all_known({k: v for k, v in news.items() if k != _PROVIDER})
        if (
            known
            and not replaces
            and {"credentials", "account"} & set(changed)
            and wiring.fingerprint(properties.settings(news)) != olds.get("account_fingerprint")
        ):
            replaces = ["credentials"]
        drifted = olds.get("condition") not in (Condition.READY.value, Condition.OBSERVED.value)
        outdated = olds.get(_PROVIDER) != news.get(_PROVIDER) or olds.get("schema_version") != properties.SCHEMA_VERSION
        if known:
            for line in announcements.of(olds, news, changed, replaces=bool(replaces)):
                _say(str(news.get("owner")), line)
        return DiffResult(changes=bool(changed or drifted or outdated), replaces=replaces, delete_before_replace=True)

    @clean
    def create(self, props: dict[str, Any]) -> CreateResult:
        """Enable, or go on from where a killed run stopped: the engine calls this again and knows of neither."""
        settings = properties.settings(props)
        with _session(settings) as (account, ports):
            want = wiring.desired(settings, account, Mode.ENABLED, None)
            return CreateResult(want.account, _outs(props, want, converge(want, ports)))

    @clean
    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Rotate, move, relabel or repair: whatever brings the account to what is declared now."""
        settings = properties.settings(news)
        with _session(settings) as (account, ports):
            wiring.same_account(account.fingerprint, olds.get("account_fingerprint"))
            held = properties.held(olds)
            want = wiring.desired(settings, account, Mode.ENABLED, held, olds.get("owner") or "")
            before = properties.settings(olds)
            if held and before.vault.home != settings.vault.home:
                return UpdateResult(_outs(news, want, _relocated(before, want, held, ports)))
            return UpdateResult(_outs(news, want, converge(want, ports)))

    @clean
    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """How the account stands. Blank only where it is proven to be off; an unclear answer raises."""
        if "schema_version" not in props:
            return self._get(id_, props)
        settings = properties.settings(props)
        with _session(settings) as (account, ports):
            wiring.same_account(account.fingerprint, props.get("account_fingerprint"))
            want = wiring.desired(settings, account, Mode.ENABLED, properties.held(props))
            outs = _observed(props, want, ports)
        if outs is None:
            _say(settings.owner, announcements.OFF)
            return ReadResult("", {})
        return ReadResult(id_, outs)

    def _get(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """`Inference.get`: there are no outputs yet, and the SDK would take an empty answer for a found resource."""
        inputs, failures = properties.check({k: v for k, v in props.items() if k != _PROVIDER}, os.environ)
        if failures:
            raise Refused("; ".join(f"{name}: {reason}" for name, reason in failures))
        settings = properties.settings(inputs)
        with _session(settings) as (account, ports):
            if id_ != account.fingerprint:
                raise Refused(
                    f"the credentials speak for account {account.fingerprint}, not {id_}.",
                    about="id",
                    hint="The id of an Inference is its account's fingerprint.",
                )
            found = ports.store.stat(settings.vault.location)
            owner = found.label.owner if found.label else settings.owner
            want = wiring.desired(settings, account, Mode.ENABLED, None, owner)
            outs = _observed(inputs, want, ports)
        if outs is None or outs["condition"] not in (Condition.READY.value, Condition.DRIFTED.value):
            raise Refused(
                f"there is no managed inference key for account {id_} at {settings.vault.location}.",
                about="id",
                hint="`get` finds what another stack has enabled; to enable it here, leave out the id.",
            )
        return ReadResult(id_, outs)

    @clean
    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Disable, then treat the Vault copy as `on_delete` says; done already is done."""
        settings = properties.settings(props)
        with _session(settings) as (account, ports):
            wiring.same_account(account.fingerprint, props.get("account_fingerprint"))
            converge(wiring.desired(settings, account, Mode.DISABLED, properties.held(props)), ports)


def _outs(props: dict[str, Any], want: Desired, outcome: Outcome) -> dict[str, Any]:
    condition = Condition.READY if outcome.minted else Condition.OBSERVED
    return properties.outputs(props, want.account, outcome.status, outcome.minted, condition)


def _observed(props: dict[str, Any], want: Desired, ports: Ports) -> dict[str, Any] | None:
    actual = observe.account(want, ports, by_label=True)
    condition = plan.condition(want, actual)
    if condition is Condition.OFF:
        return None
    if condition is Condition.CONFLICT:
        return properties.outputs(props, want.account, actual.status, None, condition)
    minted = judgment.known(want, actual)
    if condition in (Condition.KEY_LOST, Condition.KEY_STALE):
        minted = None
    return properties.outputs(props, want.account, actual.status, minted, condition)


def _relocated(before: Settings, want: Desired, held: Minted, ports: Ports) -> Outcome:
    """To another mount, namespace or Vault: the old login is followed from the old properties."""
    with _session(before) as (account, old_ports):
        old = wiring.desired(before, account, Mode.ENABLED, held)
        return relocate(old, old_ports, want, ports)


@contextmanager
def _session(settings: Settings) -> Iterator[tuple[Account, Ports]]:
    with wiring.session(settings, notice=lambda line: _say(settings.owner, line)) as found:
        yield found.account, found.ports


def _say(owner: str, line: str) -> None:
    print(f"pinata {owner.rpartition('/')[2]}: {line}", flush=True)  # noqa: T201 - the engine shows it
