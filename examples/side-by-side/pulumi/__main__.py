"""The accounts that come and go with this stack. Those of ../manifests are the reconciler's."""

import pulumi

import pulumi_pinata as pinata

web = pinata.Inference("web", credentials="env:PINATA_JWT_WEB", vault=pinata.VaultArgs(path="pinata/web"))

pulumi.export("fingerprint", web.fingerprint)
