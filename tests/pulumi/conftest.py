"""One OpenBao for the folder, a Pinata stand-in with a fresh account for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from counting_proxy import CountingProxy
from engine import Engine
from provider_process import ProviderProcess
from world import World

from pulumi_pinata._provider import InferenceProvider
from pulumi_pinata.sandbox.openbao import OpenBao
from pulumi_pinata.sandbox.openbao_setup import Provisioned
from pulumi_pinata.sandbox.pinata_server import PinataServer


@pytest.fixture(scope="session")
def pulumi_vault() -> Iterator[OpenBao]:
    with OpenBao() as vault:
        yield vault


@pytest.fixture(scope="session")
def pulumi_logins(pulumi_vault: OpenBao) -> Provisioned:
    return pulumi_vault.provision()


@pytest.fixture
def world(pulumi_vault: OpenBao, pulumi_logins: Provisioned, tmp_path: Path) -> Iterator[World]:
    with PinataServer() as pinata, CountingProxy(pulumi_vault.addr) as proxy:
        yield World(pinata, pulumi_vault, proxy, pulumi_logins, tmp_path)


@pytest.fixture(scope="session")
def provider(pulumi_vault: OpenBao, pulumi_logins: Provisioned) -> Iterator[ProviderProcess]:
    """One process for all tests, as one serves all resources of a stack; a world is in its inputs alone."""
    token = pulumi_vault.make_token(["pinata-provider"])
    with ProviderProcess({"VAULT_TOKEN": token}, InferenceProvider()) as process:
        yield process
    for secret in (token, "pnk_", "eyJ"):
        assert secret not in process.printed


@pytest.fixture
def engine(world: World) -> Iterator[Engine]:
    engine = Engine(world.folder / "engine", {**world.env, "PINATA_JWT": world.account.jwt})
    yield engine
    assert [] == engine.leaks(world.secrets())
