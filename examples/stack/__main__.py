"""Pinata Inference on two accounts. The keys go to Vault, where services read them; nothing else ever sees them."""

import pulumi

import pulumi_pinata as pinata

config = pulumi.Config()
vault_login = pinata.VaultAuthArgs(
    method="approle",
    role_id="env:PINATA_VAULT_ROLE_ID",
    secret_id="env:PINATA_VAULT_SECRET_ID",
)

prod = pinata.Inference(
    "prod",
    credentials="env:PINATA_JWT_PROD",
    vault=pinata.VaultArgs(path="pinata/prod", auth=vault_login),
    rotation_trigger=config.get("rotation"),
    timeout=config.get_float("timeout"),
)

staging = pinata.Inference(
    "staging",
    credentials="env:PINATA_JWT_STAGING",
    vault=pinata.VaultArgs(path="pinata/staging", auth=vault_login),
    timeout=config.get_float("timeout"),
)

if amount := config.get_int("top_up"):
    pinata.CreditsTopUp(
        "prod",
        pinata.CreditsTopUpArgs(
            credentials="env:PINATA_JWT_PROD",
            threshold=20,
            amount=amount,
            timeout=config.get_float("timeout"),
        ),
    )

# What a deployment that uses the key needs; the fingerprint changes exactly when the key does.
for name, inference in {"prod": prod, "staging": staging}.items():
    pulumi.export(
        name,
        {
            "vault_path": pulumi.Output.concat(inference.vault_mount, "/", inference.vault_path),
            "base_url": inference.base_url,
            "fingerprint": inference.fingerprint,
        },
    )
