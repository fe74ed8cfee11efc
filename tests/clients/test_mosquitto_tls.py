"""mosquitto_pub and mosquitto_sub over TLS, as docs/listeners.md tells to use them."""

import subprocess

import pytest

import transports
from test_mosquitto_clients import EVERY_QOS, EVERY_VERSION, SECONDS_MAX, Sub, pub


def showing(certificates, name=None):
    own = ["--cert", certificates / f"{name}.pem", "--key", certificates / f"{name}.key"] if name else []
    return ["--cafile", certificates / "ca.pem", *own]


@EVERY_VERSION
@EVERY_QOS
def test_round_trip(tls_broker, certificates, unique, version, qos):
    tls = showing(certificates)
    with Sub(tls_broker, version, "-t", unique, "-q", qos, *tls) as sub:
        pub(tls_broker, version, "-t", unique, "-m", "hello", "-q", qos, *tls)
        assert sub.next() == f"0 {qos} {unique} hello"


@pytest.mark.parametrize("tls_version", ["tlsv1.2", "tlsv1.3"])
def test_a_payload_of_one_megabyte(tls_broker, certificates, unique, tmp_path, tls_version):
    payload = tmp_path / "payload"
    payload.write_text("0123456789abcdef" * 65536)
    tls = [*showing(certificates), "--tls-version", tls_version]
    with Sub(tls_broker, "5.0", "-t", unique, "-q", 1, *tls, form="%l %p") as sub:
        pub(tls_broker, "5.0", "-t", unique, "-q", 1, "-f", payload, *tls)
        assert sub.next() == f"{1 << 20} {payload.read_text()}"


def test_the_recipe_of_the_manual(mutual_broker, certificates):
    """Word by word, but for the port."""
    _, trial = transports.recipe()
    with Sub(mutual_broker, "5.0", "-t", "hello", *showing(certificates, "device")) as sub:
        words = trial.replace("8883", str(mutual_broker.port)).split()
        done = subprocess.run(words, cwd=certificates, capture_output=True, text=True, timeout=SECONDS_MAX)
        assert done.returncode == 0 and not done.stderr, (done.returncode, done.stderr)
        assert sub.next() == "0 0 hello there"


def test_nobody_comes_in_without_a_certificate(mutual_broker, certificates, unique):
    words = ["mosquitto_pub", "-h", mutual_broker.host, "-p", mutual_broker.port, "-t", unique, "-m", "x", "-q", 1]
    words += showing(certificates)
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=SECONDS_MAX)
    assert done.returncode != 0 and done.stderr, (done.returncode, done.stderr)


def test_a_server_certificate_of_version_1(certificates, unique):
    options = transports.tls_options(certificates).replace("server.pem", "version1.pem")
    broker = transports.broker(options)
    try:
        pub(broker, "5.0", "-t", unique, "-m", "x", "-q", 1, *showing(certificates))
    finally:
        status, log = broker.stop()
    assert status == 0, log
