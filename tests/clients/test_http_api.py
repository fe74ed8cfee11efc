"""curl and Python's own HTTP client against `protocol http_api`, over TCP, TLS and a Unix socket."""

import http.client
import json
import shutil
import ssl
import subprocess

import pytest

import transports
from test_mosquitto_clients import SECONDS_MAX

NUMBERS = ("$SYS/broker/clients/total", "$SYS/broker/messages/received", "$SYS/broker/uptime")
curl_is_there = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")


@pytest.fixture
def site(tmp_path):
    (tmp_path / "site" / "sub").mkdir(parents=True)
    (tmp_path / "site" / "index.html").write_text("<p>hello</p>")
    (tmp_path / "site" / "sub" / "page.txt").write_text("page")
    (tmp_path / "secret").write_text("secret")
    return tmp_path / "site"


@pytest.fixture
def http_broker(site):
    started = transports.broker(f"protocol http_api\nhttp_dir {site}\n")
    yield started
    status, log = started.stop()
    assert status == 0, log


def curl(*words):
    done = subprocess.run(["curl", "-sS", "--max-time", "20", *words], capture_output=True, text=True, timeout=SECONDS_MAX)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_python_asks_one_thing_after_the_other(http_broker):
    connection = http.client.HTTPConnection(http_broker.host, http_broker.port, timeout=20)
    for _ in range(3):
        connection.request("GET", "/api/v1/systree")
        response = connection.getresponse()
        assert response.status == 200 and response.getheader("Content-Type") == "application/json"
        tree = json.loads(response.read())
        assert all(isinstance(tree[name], int) for name in NUMBERS), tree
        connection.request("HEAD", "/")
        response = connection.getresponse()
        assert (response.status, response.getheader("Content-Length"), response.read()) == (200, "12", b"")
    connection.request("POST", "/api/v1/systree", body=b"x" * 100_000)
    response = connection.getresponse()
    assert (response.status, response.read()) == (405, b"Invalid HTTP Method\n")


@curl_is_there
def test_curl_fetches_files_and_none_from_outside(http_broker):
    url = f"http://127.0.0.1:{http_broker.port}"
    assert curl(f"{url}/") == "<p>hello</p>"
    assert curl(f"{url}/sub/page.txt?x=y") == "page"
    for path in ("/../secret", "/%2e%2e/secret", "/sub/..%2f..%2fsecret", "//etc/passwd", "/sub"):
        assert curl("--path-as-is", "-w", "%{http_code}", f"{url}{path}") == "Not found.\n404", path


@curl_is_there
def test_curl_over_tls_with_a_password(certificates, site, tmp_path):
    users, rules = tmp_path / "users", tmp_path / "rules"
    transports_words = ["mosquitto_passwd", "-b", "-c", str(users), "ann", "secret"]
    if shutil.which(transports_words[0]) is None:
        pytest.skip("needs mosquitto_passwd")
    subprocess.run(transports_words, check=True, capture_output=True)
    users.chmod(0o644)
    rules.write_text("user ann\ntopic read /api/v1/version\n")
    more = f"listener_allow_anonymous false\nprotocol http_api\nhttp_dir {site}\npassword_file {users}\nacl_file {rules}\n"
    broker = transports.broker(transports.tls_options(certificates, more))
    try:
        url, ca = f"https://localhost:{broker.port}", ["--cacert", str(certificates / "ca.pem"), "-o", "/dev/null", "-w", "%{http_code}"]
        assert curl(*ca, "-u", "ann:secret", f"{url}/api/v1/version") == "200"
        assert curl(*ca, "-u", "ann:secret", f"{url}/sub/page.txt") == "401", "no rule lets her"
        assert curl(*ca, "-u", "ann:wrong", f"{url}/api/v1/version") == "401"
        assert curl(*ca, f"{url}/api/v1/version") == "401"
    finally:
        status, log = broker.stop()
    assert status == 0, log


def test_python_over_tls_with_a_certificate(certificates):
    broker = transports.broker("protocol http_api\n" + transports.mutual_options(certificates))
    try:
        context = ssl.create_default_context(cafile=certificates / "ca.pem")
        context.load_cert_chain(certificates / "device.pem", certificates / "device.key")
        connection = http.client.HTTPSConnection("localhost", broker.port, context=context, timeout=20)
        connection.request("GET", "/api/v1/listeners")
        (listener,) = json.loads(connection.getresponse().read())["listeners"]
        assert listener == {"port": broker.port, "protocol": "httpapi", "tls": True, "mtls": True, "allow_anonymous": True}
    finally:
        status, log = broker.stop()
    assert status == 0, log


@curl_is_there
def test_curl_over_a_unix_socket(tmp_path):
    path = tmp_path / "http.sock"
    broker = transports.broker(f"listener 0 {path}\nprotocol http_api\n")
    try:
        listeners = json.loads(curl("--unix-socket", str(path), "http://localhost/api/v1/listeners"))["listeners"]
        assert [listener.get("path") for listener in listeners] == [None, str(path)]
    finally:
        status, log = broker.stop()
    assert status == 0, log
