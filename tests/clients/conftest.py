"""One broker for the whole run; every test uses topics and client identifiers that nobody else uses."""

import uuid

import pytest

import transports
from broker import Broker


@pytest.fixture(scope="session")
def _running_broker():
    broker = Broker()
    yield broker
    status, log = broker.stop()
    assert status == 0, f"SIGTERM must end the broker with status 0, not {status}:\n{log}"


@pytest.fixture
def broker(_running_broker):
    yield _running_broker
    assert _running_broker.running(), f"the broker died:\n{_running_broker.log()}"


@pytest.fixture
def unique():
    """A word that no other test has used, for topics and client identifiers."""
    return "t" + uuid.uuid4().hex[:10]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """A directory with ca.pem, server.pem, device.pem and their keys, and the CA other.pem, which has signed none of them."""
    directory = tmp_path_factory.mktemp("certificates")
    transports.make_certificates(directory)
    return directory


def _brokers_of_a_kind(options):
    """One broker for all tests of a kind, watched as the plain one is."""
    started = transports.broker(options)
    yield started
    alive = started.running()
    status, log = started.stop()
    assert alive and status == 0, f"it must run until SIGTERM and end with status 0, not {status}:\n{log}"


@pytest.fixture(scope="session")
def tls_broker(certificates):
    yield from _brokers_of_a_kind(transports.tls_options(certificates))


@pytest.fixture(scope="session")
def mutual_broker(certificates):
    yield from _brokers_of_a_kind(transports.mutual_options(certificates))


@pytest.fixture(scope="session")
def websocket_broker():
    yield from _brokers_of_a_kind("protocol websockets\n")


@pytest.fixture(scope="session")
def page_broker():
    """It takes web pages of one origin."""
    yield from _brokers_of_a_kind("protocol websockets\nwebsockets_origin https://app.example\n")


@pytest.fixture(scope="session")
def secure_websocket_broker(certificates):
    yield from _brokers_of_a_kind("protocol websockets\n" + transports.tls_options(certificates))
