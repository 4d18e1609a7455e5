"""Programs as users write them: type-checked, never run."""

import pulumi
from typing_extensions import assert_type

import pulumi_pinata as pinata

smallest = pinata.Inference("prod")
keywords = pinata.Inference(
    "prod",
    pulumi.ResourceOptions(protect=True),
    credentials="env:PINATA_JWT",
    vault={"path": "a/b", "auth": {"method": "approle", "role_id": "env:R", "secret_id": "env:S"}},
    rotation_trigger=3,
    on_delete="destroy",
    on_lost_key="fail",
    adopt="observe",
    timeout=5,
)
typed = pinata.Inference(
    "prod",
    pinata.InferenceArgs(
        credentials=pulumi.Output.from_input("env:PINATA_JWT"),
        vault=pinata.VaultArgs(
            path=smallest.vault_path,
            custom_metadata={"team": "search", "above": smallest.fingerprint.apply(str)},
            auth=pinata.VaultAuthArgs(method="kubernetes", role="pinata"),
        ),
    ),
    pulumi.ResourceOptions(parent=smallest),
)
as_dict = pinata.Inference("prod", {"vault": {"mount": "kv"}, "rotation_trigger": "2026-12"})
found = pinata.Inference.get("prod", "0" * 32, vault={"path": "a/b"})
top_up = pinata.CreditsTopUp("prod", {"threshold": 10, "amount": 50})
top_up_typed = pinata.CreditsTopUp("prod", pinata.CreditsTopUpArgs(threshold=10.5, amount=50))

assert_type(smallest.enabled, pulumi.Output[bool])
assert_type(smallest.vault_path, pulumi.Output[str])
assert_type(smallest.vault_version, pulumi.Output[int | None])
assert_type(found, pinata.Inference)

pinata.Inference("prod", on_delete="shred")  # type: ignore[call-overload]
pinata.Inference("prod", {"vault": {"pth": "x"}})  # type: ignore[call-overload]
pinata.VaultAuthArgs(role="method is missing")  # type: ignore[call-arg]
