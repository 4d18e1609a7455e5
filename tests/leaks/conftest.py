"""An attacker's bench: the parts of tests/pulumi and the demo's scanner by import, and servers that lie in between."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_ROOT / "tests" / "pulumi"), str(_ROOT / "script" / "demo.d"), str(Path(__file__).parent)]

from counting_proxy import CountingProxy  # noqa: E402
from provider_process import ProviderProcess  # noqa: E402
from world import World  # noqa: E402

from pulumi_pinata._provider import InferenceProvider  # noqa: E402
from pulumi_pinata.sandbox.openbao import OpenBao  # noqa: E402
from pulumi_pinata.sandbox.openbao_setup import Provisioned  # noqa: E402
from pulumi_pinata.sandbox.pinata_server import PinataServer  # noqa: E402


@pytest.fixture
def world(bao: OpenBao, logins: Provisioned, tmp_path: Path) -> Iterator[World]:
    with PinataServer() as pinata, CountingProxy(bao.addr) as proxy:
        yield World(pinata, bao, proxy, logins, tmp_path)


@pytest.fixture
def provider(world: World) -> Iterator[ProviderProcess]:
    """A process for one test, so that all it printed can be searched at the end of that test."""
    with ProviderProcess({"VAULT_TOKEN": world.token}, InferenceProvider()) as process:
        yield process
