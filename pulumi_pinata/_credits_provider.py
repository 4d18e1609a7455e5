"""The dynamic provider of `CreditsTopUp`; its class path is a stored format, like that of `_provider`."""

import os
from contextlib import AbstractContextManager
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

from pulumi_pinata import properties, wiring
from pulumi_pinata._errors import clean
from pulumi_pinata.adapters.pinata_http import CreditsClient
from pulumi_pinata.core import reference
from pulumi_pinata.core.account import Account
from pulumi_pinata.core.address import checked_url
from pulumi_pinata.core.errors import Refused
from pulumi_pinata.property_reader import Failures, Reader, is_known

_INPUTS = ("credentials", "threshold", "amount", "account", "api_url", "timeout")
_PROVIDER = "__provider"


class CreditsTopUpProvider(ResourceProvider):
    """`pulumi_pinata.CreditsTopUp` in the engine's terms. Setting it is idempotent, so it needs no protocol."""

    serialize_as_secret_always = False

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """Defaults, and the documented limits: threshold at least 5, amount a positive whole number."""
        failures: Failures = []
        top = Reader(news, "", failures)
        top.only(_INPUTS)
        inputs = {
            "credentials": top.text("credentials", "env:PINATA_JWT", properties.reference_text),
            "account": top.text("account"),
            "api_url": top.text("api_url", os.environ.get("PINATA_API_URL") or properties.DEFAULT_API_URL, checked_url),
            "timeout": top.number("timeout", properties.DEFAULT_TIMEOUT, 1, 300),
            "threshold": news.get("threshold"),
            "amount": news.get("amount"),
        }
        for name, low, whole in (("threshold", 5, False), ("amount", 1, True)):
            value = inputs[name]
            if is_known(value) and not _is_number(value, low, whole=whole):
                top.fail(name, f"must be a {'whole ' if whole else ''}number of credits, {low} or more.")
        inputs = {name: value for name, value in inputs.items() if value is not None}
        return CheckResult(inputs, [CheckFailure(name, reason) for name, reason in failures])

    @clean
    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Update in place, except when account or API are others."""
        changed = [name for name in _INPUTS if olds.get(name) != news.get(name)]
        replaces = ["api_url"] if "api_url" in changed else []
        if not replaces and {"credentials", "account"} & set(changed) and all(map(is_known, news.values())):
            with _open(news) as (account, _):
                replaces = [] if account.fingerprint == olds.get("account_fingerprint") else ["credentials"]
        changes = bool(changed) or olds.get(_PROVIDER) != news.get(_PROVIDER)
        return DiffResult(changes=changes, replaces=replaces, delete_before_replace=True)

    @clean
    def create(self, props: dict[str, Any]) -> CreateResult:
        """Set it. A configuration that a person made is written over: an account has just one."""
        with _open(props) as (account, client):
            client.put((props["threshold"], int(props["amount"])))
        return CreateResult(account.fingerprint, _outputs(props, account.fingerprint))

    @clean
    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        """Set it anew."""
        with _open(news, olds) as (account, client):
            client.put((news["threshold"], int(news["amount"])))
        return UpdateResult(_outputs(news, account.fingerprint))

    @clean
    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """What is set now; blank where top-up is proven to be off."""
        if "account_fingerprint" not in props:
            raise Refused("CreditsTopUp has no `get`.", hint="An account has one configuration: declare it.")
        with _open(props, props) as (account, client):
            config = client.get()
        if config is None:
            return ReadResult("", {})
        found = {**props, "threshold": config[0], "amount": float(config[1])}
        return ReadResult(id_, _outputs(found, account.fingerprint))

    @clean
    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Switch auto top-up off: both values null."""
        with _open(props, props) as (_, client):
            client.put(None)


def _open(
    props: dict[str, Any], recorded: dict[str, Any] | None = None
) -> AbstractContextManager[tuple[Account, CreditsClient]]:
    return wiring.credits_session(
        props["api_url"],
        reference.parse(props["credentials"], "credentials"),
        props.get("account"),
        float(props["timeout"]),
        (recorded or {}).get("account_fingerprint"),
    )


def _outputs(props: dict[str, Any], fingerprint: str) -> dict[str, Any]:
    return {name: props[name] for name in _INPUTS if name in props} | {"account_fingerprint": fingerprint}


def _is_number(value: object, low: int, *, whole: bool) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < low:
        return False
    return not whole or float(value).is_integer()
