"""One broker for the whole run; every test uses topics and client identifiers that nobody else uses."""

import uuid

import pytest

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
