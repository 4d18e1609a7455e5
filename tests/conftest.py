"""The real servers that tests/contracts and tests/adapters share, and the folder of the doubles on the path.

And for Hypothesis: that a machine was slow for a moment proves nothing.
"""

import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from pulumi_pinata.sandbox.openbao import OpenBao
from pulumi_pinata.sandbox.openbao_setup import Provisioned
from pulumi_pinata.sandbox.pinata_server import PinataServer

settings.register_profile("patient", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(scope="session", autouse=True)
def interrupts() -> None:
    """A shell lets what it runs in the background ignore Ctrl-C, and so would all that is started here."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def bao() -> Iterator[OpenBao]:
    with OpenBao() as server:
        yield server


@pytest.fixture(scope="session")
def logins(bao: OpenBao) -> Provisioned:
    return bao.provision()


@pytest.fixture(scope="session")
def pinata() -> Iterator[PinataServer]:
    with PinataServer() as server:
        yield server
