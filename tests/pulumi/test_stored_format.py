"""What stands in users' states must be readable for ever: the class path, the type and the schema."""

import subprocess
import sys
from pathlib import Path

import pytest

from pulumi_pinata import CreditsTopUp, Inference
from pulumi_pinata.properties import SCHEMA_VERSION

_SHOW = """
from pulumi.dynamic.dynamic import serialize_provider
from {module} import {name}
print(serialize_provider({name}()))
"""


@pytest.mark.parametrize(
    ("module", "name", "golden"),
    [
        (
            "pulumi_pinata._provider",
            "InferenceProvider",
            "gASVNAAAAAAAAACMF3B1bHVtaV9waW5hdGEuX3Byb3ZpZGVylIwRSW5mZXJlbmNlUHJvdmlkZXKUk5QpgZQu",
        ),
        (
            "pulumi_pinata._credits_provider",
            "CreditsTopUpProvider",
            "gASVPwAAAAAAAACMH3B1bHVtaV9waW5hdGEuX2NyZWRpdHNfcHJvdmlkZXKUjBRDcmVkaXRzVG9wVXBQcm92aWRlcpSTlCmBlC4=",
        ),
    ],
)
@pytest.mark.parametrize("seed", ["0", "1"])
def test_the_serialized_provider_is_golden_whatever_the_hash_seed_and_folder(
    module: str, name: str, golden: str, seed: str, tmp_path: Path
) -> None:
    shown = subprocess.run(
        [sys.executable, "-c", _SHOW.format(module=module, name=name)],
        cwd=tmp_path,
        env={"PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )

    assert golden == shown.stdout.strip()


def test_types_and_schema_are_the_released_ones() -> None:
    assert ("dynamic/pinata:Inference", "dynamic/pinata:CreditsTopUp", 1) == (
        Inference._resource_type_name,
        CreditsTopUp._resource_type_name,
        SCHEMA_VERSION,
    )
