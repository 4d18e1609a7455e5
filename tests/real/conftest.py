"""One OpenBao on disk and one Pinata stand-in for the folder; an account with its proxies for each test."""

import itertools
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "pulumi"))

from counting_proxy import CountingProxy
from stage import Stage

from pulumi_pinata.sandbox.openbao import OpenBao
from pulumi_pinata.sandbox.openbao_setup import Provisioned
from pulumi_pinata.sandbox.pinata_server import PinataServer


@pytest.fixture(scope="session")
def durable_vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with OpenBao(storage=tmp_path_factory.mktemp("bao") / "store") as vault:
        vault.seal()  # the first time takes some seconds, which no test has to spare
        vault.unseal()
        yield vault


@pytest.fixture(scope="session")
def durable_logins(durable_vault: OpenBao) -> Provisioned:
    return durable_vault.provision()


@pytest.fixture(scope="session")
def stand_in() -> Iterator[PinataServer]:
    with PinataServer() as pinata:
        yield pinata


@pytest.fixture(scope="module")
def stages(
    durable_vault: OpenBao,
    durable_logins: Provisioned,
    stand_in: PinataServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[], Stage]]:
    """Makes a fresh account whenever called, from any thread."""
    numbers = itertools.count(1)
    home = tmp_path_factory.mktemp("accounts")
    with ExitStack() as stack:

        def make() -> Stage:
            proxy = stack.enter_context(CountingProxy(durable_vault.addr))
            front = stack.enter_context(CountingProxy(stand_in.url))
            folder = home / str(next(numbers))
            stage = Stage(stand_in, durable_vault, proxy, durable_logins, folder, front=front)
            stack.callback(stage.close)
            return stage

        yield make
        stand_in.clear_faults()


@pytest.fixture(scope="module")
def ahead(request: pytest.FixtureRequest, stages: Callable[[], Stage]) -> Iterator[Callable[[object], None]]:
    """Starts all tests of the module that are marked `alongside`; then waits for one and raises what it raised."""
    tests = [item.function for item in request.session.items if item.module is request.module]
    plays = [test.play for test in tests if hasattr(test, "play")]
    with ThreadPoolExecutor(getattr(request.module, "AT_ONCE", 6)) as pool:
        started = {play: pool.submit(play, stages) for play in plays}
        yield lambda play: started[play].result()
        for each in started.values():
            each.cancel()


@pytest.fixture
def stage(stages: Callable[[], Stage]) -> Stage:
    return stages()


@pytest.fixture
def vault(durable_vault: OpenBao) -> Iterator[OpenBao]:
    """For tests that hurt it: afterwards it is up and unsealed again."""
    yield durable_vault
    if durable_vault.pid is None:
        durable_vault.start()
    durable_vault.resume()
    if durable_vault.api.health() == 503:
        durable_vault.unseal()
