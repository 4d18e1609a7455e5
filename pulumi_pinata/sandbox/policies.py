"""The least-privilege policy texts for the provider and a reader, each line tried on OpenBao."""

PROVIDER_POLICY = "pinata-provider"
READER_POLICY = "pinata-reader"
KV2_MOUNTS = ("secret", "kv")
KV1_MOUNT = "legacy"

_KV2 = """
path "{mount}/data/*" {{
  capabilities = ["create", "read", "update"]
}}
path "{mount}/metadata/*" {{
  capabilities = ["read", "update"]
}}
path "{mount}/delete/*" {{
  capabilities = ["update"]
}}
path "{mount}/undelete/*" {{
  capabilities = ["update"]
}}
path "{mount}/destroy/*" {{
  capabilities = ["update"]
}}
"""

_SELF = """
path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "sys/capabilities-self" {
  capabilities = ["update"]
}
"""

TEXTS = {
    PROVIDER_POLICY: "".join(_KV2.format(mount=mount) for mount in KV2_MOUNTS) + _SELF,
    READER_POLICY: """
path "secret/data/pinata/*" {
  capabilities = ["read"]
}
""",
}
"""Policy name -> HCL. Roles get them without the `default` policy, so each text must stand alone.

`GET sys/internal/ui/mounts/<mount>` needs no line: a token may read it for every mount it can use at all.
"""
