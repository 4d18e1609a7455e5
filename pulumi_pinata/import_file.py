"""The file that `pulumi import --file` takes, for an account that is managed already or was enabled by hand.

A Python dynamic resource cannot be imported by id (github.com/pulumi/pulumi/issues/3550): the engine needs its
inputs and outputs handed to it, with the serialized provider in both.
"""

import os
from typing import Any

from pulumi.dynamic.dynamic import serialize_provider

from pulumi_pinata import properties, wiring
from pulumi_pinata._provider import InferenceProvider
from pulumi_pinata.core import judgment, observe, plan
from pulumi_pinata.core.adopt import adopt_key
from pulumi_pinata.core.errors import Refused
from pulumi_pinata.core.model import Condition, Desired, Label, Mode
from pulumi_pinata.core.secret import PrivateKey

TYPE = "pulumi-python:dynamic/pinata:Inference"


def build(name: str, owner: str, inputs: dict[str, Any], *, take_over: bool, adopt: bool) -> dict[str, Any]:
    """The content of the import file for one account.

    `inputs` are those that the program will declare; `owner` who it will be. `take_over` accepts that another owner
    has it now; `adopt` takes an unmarked key at the path into our keeping first (a new version, the same key).

    Raises Refused when there is no live key of ours to import, with what to do instead.
    """
    checked, failures = properties.check({**inputs, "owner": owner}, os.environ)
    if failures:
        raise Refused("; ".join(f"{prop}: {reason}" for prop, reason in failures))
    settings = properties.settings(checked)
    with wiring.session(settings, notice=lambda line: None) as found:
        ports = found.ports
        location = settings.vault.location
        if adopt:
            value = found.field(location, settings.vault.field)
            if value is None:
                raise Refused(
                    f"{location} has no field {settings.vault.field!r}.",
                    about="vault.field",
                    hint="Name the field that holds the key: --input vault.field=NAME.",
                )
            adopt_key(PrivateKey(value.reveal()), wiring.desired(settings, found.account, Mode.ENABLED, None), ports)
        holder = _holder(wiring.desired(settings, found.account, Mode.ENABLED, None), ports.store.stat(location).label)
        if holder != owner and not take_over:
            raise Refused(
                f"{location} is managed by {holder}.",
                about="vault.path",
                hint="Remove it there without deleting it (pulumi state delete), then repeat with --take-over.",
            )
        want = wiring.desired(settings, found.account, Mode.ENABLED, None, holder)
        actual = observe.account(want, ports)
        condition = plan.condition(want, actual)
        minted = judgment.known(want, actual)
    if minted is None or condition not in (Condition.READY, Condition.DRIFTED):
        raise Refused(
            f"there is no live key to import (condition {condition.value}).",
            hint="Let `pulumi up` repair it, with `adopt` or `on_lost_key` set to remint.",
        )
    # The owner as found: the first `up` then sees the change and writes the new mark.
    known = {**checked, "owner": holder}
    outputs = properties.outputs(known, found.account.fingerprint, actual.status, minted, condition)
    provider = {"__provider": serialize_provider(InferenceProvider())}
    entry = {
        "type": TYPE,
        "name": name,
        "id": found.account.fingerprint,
        "inputs": known | provider,
        "outputs": {key: value for key, value in outputs.items() if value is not None} | provider,
    }
    return {"resources": [entry]}


def _holder(want: Desired, label: Label | None) -> str:
    if label is None or label.minted is None:
        raise Refused(
            f"{want.location} holds no key of ours.",
            about="vault.path",
            hint="If a person stored the live key there, add --adopt-key; else let `pulumi up` enable inference.",
        )
    return label.owner
