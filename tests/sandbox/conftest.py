"""One Pinata stand-in and one OpenBao for the whole folder; each test has an account of its own."""

import itertools
from collections.abc import Callable, Iterator

import httpx
import pytest
from sandbox_users import Clock, User, eventually

from pulumi_pinata.sandbox.openbao import OpenBao
from pulumi_pinata.sandbox.openbao_setup import Provisioned
from pulumi_pinata.sandbox.pinata_server import PinataServer

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def pinata() -> Iterator[PinataServer]:
    with PinataServer() as server:
        yield server


@pytest.fixture
def user(pinata: PinataServer) -> Iterator[User]:
    account = pinata.add_account(f"account-{next(_numbers)}")
    headers = {"Authorization": f"Bearer {account.jwt}"}
    # verify=False: loading the CA certificates would take longer than the test.
    with httpx.Client(base_url=pinata.url, headers=headers, timeout=30, verify=False) as client:
        yield User(pinata, account, client)
    pinata.clear_faults()


@pytest.fixture(scope="session")
def bao() -> Iterator[OpenBao]:
    with OpenBao() as server:
        yield server


@pytest.fixture(scope="session")
def logins(bao: OpenBao) -> Provisioned:
    return bao.provision()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wait_for() -> Callable[[Callable[[], bool]], bool]:
    return eventually
