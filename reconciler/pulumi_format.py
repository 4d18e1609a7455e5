"""How Pulumi stores an `Inference`, for those who write it without loading Pulumi; both are stored formats.

tests/reconciler holds them against what pulumi_pinata itself makes.
"""

TYPE = "pulumi-python:dynamic/pinata:Inference"
PROVIDER = "gASVNAAAAAAAAACMF3B1bHVtaV9waW5hdGEuX3Byb3ZpZGVylIwRSW5mZXJlbmNlUHJvdmlkZXKUk5QpgZQu"
