"""Fleets of sandbox accounts, on the servers of the session."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "pulumi"))

from counting_proxy import CountingProxy
from sandbox_fleet import MakeFleet, SandboxFleet

from pulumi_pinata.sandbox.openbao import OpenBao
from pulumi_pinata.sandbox.openbao_setup import Provisioned
from pulumi_pinata.sandbox.pinata_server import PinataServer


@pytest.fixture
def fleet_of(bao: OpenBao, logins: Provisioned, pinata: PinataServer, tmp_path: Path) -> Iterator[MakeFleet]:
    with CountingProxy(bao.addr) as proxy:
        yield lambda size, **options: SandboxFleet(pinata, bao, proxy, logins, tmp_path, size, **options)
    pinata.clear_faults()
