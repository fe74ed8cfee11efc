"""paho-mqtt over TLS, with a certificate of its own, over WebSocket and over secure WebSocket."""

import ssl

import pytest

from paho_client import VERSIONS, Client

EVERY_VERSION = pytest.mark.parametrize("version", VERSIONS)
SIZES = [0, 1, 125, 126, 65535, 65536, 1 << 20]


def trusting(certificates, ca="ca.pem", own=None):
    """Prepares a client that trusts one CA, and shows a certificate if it has one."""
    own = dict(certfile=str(certificates / f"{own}.pem"), keyfile=str(certificates / f"{own}.key")) if own else {}
    return lambda client: client.tls_set(ca_certs=str(certificates / ca), **own)


def talks(client, unique):
    """Payloads of every length that frames and records treat differently, there and back."""
    assert client.subscribe(unique, 1) == [1]
    for size in SIZES:
        payload = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        client.publish(unique, payload, 1)
        assert client.next().payload == payload
    # Many small ones come in few records.
    for number in range(300):
        client.publish_without_waiting(unique, str(number), 0)
    assert [message.payload for message in client.take(300)] == [b"%d" % number for number in range(300)]


@EVERY_VERSION
def test_tls(tls_broker, certificates, unique, version):
    with Client(tls_broker, version, unique, prepare=trusting(certificates)) as client:
        talks(client, unique)


@pytest.mark.parametrize("only", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_each_version_of_tls(tls_broker, certificates, unique, only):
    context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    context.minimum_version = context.maximum_version = only
    with Client(tls_broker, "5.0", unique, prepare=lambda client: client.tls_set_context(context)) as client:
        talks(client, unique)


def test_a_server_of_another_ca_is_not_trusted(tls_broker, certificates, unique):
    with pytest.raises(ssl.SSLCertVerificationError):
        Client(tls_broker, "5.0", unique, prepare=trusting(certificates, ca="other.pem"))


@EVERY_VERSION
def test_a_certificate_is_the_user_name(mutual_broker, certificates, unique, version):
    with Client(mutual_broker, version, unique, prepare=trusting(certificates, own="device")) as client:
        talks(client, unique)
    assert "u'device-7'" in mutual_broker.log()


def test_nobody_comes_in_without_a_certificate(mutual_broker, certificates, unique):
    # TLS 1.2: the refusal is part of the handshake. With 1.3 the client has its half done before it hears of it.
    context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        Client(mutual_broker, "5.0", unique, prepare=lambda client: client.tls_set_context(context))


@EVERY_VERSION
def test_websocket(websocket_broker, unique, version):
    with Client(websocket_broker, version, unique, transport="websockets") as client:
        talks(client, unique)


# paho sends an Origin of its own making, unless it is told one.
def test_websocket_of_a_page(page_broker, unique):
    def from_page(origin):
        return lambda client: client.ws_set_options(path="/any?path", headers={"Origin": origin})

    with Client(page_broker, "5.0", unique, transport="websockets", prepare=from_page("https://app.example")) as client:
        talks(client, unique)
    with pytest.raises(Exception, match="(?i)websocket handshake error"):
        Client(page_broker, "5.0", unique, transport="websockets", prepare=from_page("https://evil.example"))


@EVERY_VERSION
def test_secure_websocket(secure_websocket_broker, certificates, unique, version):
    with Client(
        secure_websocket_broker, version, unique, transport="websockets", prepare=trusting(certificates)
    ) as client:
        talks(client, unique)
