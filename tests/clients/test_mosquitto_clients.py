"""mosquitto_pub and mosquitto_sub, as Debian ships them, in MQTT 3.1, 3.1.1 and 5.0."""

import queue
import subprocess
import threading

import pytest

VERSIONS = {"3.1": "mqttv31", "3.1.1": "mqttv311", "5.0": "mqttv5"}
EVERY_VERSION = pytest.mark.parametrize("version", VERSIONS)
EVERY_QOS = pytest.mark.parametrize("qos", [0, 1, 2])
SECONDS_MAX = 20


def arguments(broker, version):
    return ["-h", broker.host, "-p", str(broker.port), "-V", VERSIONS[version]]


def pub(broker, version, *words, text=None):
    done = subprocess.run(
        ["mosquitto_pub", *arguments(broker, version), *map(str, words)],
        input=text, capture_output=True, text=True, timeout=SECONDS_MAX,
    )
    assert done.returncode == 0 and not done.stderr, (done.returncode, done.stderr)


class Sub:
    """mosquitto_sub with its messages as lines; it has SUBACK when the constructor returns."""

    def __init__(self, broker, version, *words, form="%r %q %t %p", wait=True):
        # With -d it tells of SUBACK and DISCONNECT; the prefix tells messages from such lines.
        words = ["mosquitto_sub", *arguments(broker, version), "-d", "-F", "MESSAGE " + form, *map(str, words)]
        self.process = subprocess.Popen(
            ["stdbuf", "-oL", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        self._lines, self._messages = queue.Queue(), queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        if wait:
            self.line_with("Subscribed")

    def _read(self):
        for line in self.process.stdout:
            line = line.removesuffix("\n")
            (self._messages if line.startswith("MESSAGE ") else self._lines).put(line.removeprefix("MESSAGE "))

    def line_with(self, word):
        while word not in (line := self._lines.get(timeout=SECONDS_MAX)):
            pass
        return line

    def next(self):
        return self._messages.get(timeout=SECONDS_MAX)

    def take(self, count):
        return [self.next() for _ in range(count)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


@EVERY_VERSION
@EVERY_QOS
def test_round_trip(broker, unique, version, qos):
    with Sub(broker, version, "-t", unique + "/+", "-q", qos) as sub:
        pub(broker, version, "-t", unique + "/a", "-m", "hello world", "-q", qos)
        assert sub.next() == f"0 {qos} {unique}/a hello world"


@pytest.mark.parametrize("sender", VERSIONS)
@pytest.mark.parametrize("receiver", VERSIONS)
def test_every_version_talks_to_every_other(broker, unique, sender, receiver):
    with Sub(broker, receiver, "-t", unique, "-q", 2) as sub:
        pub(broker, sender, "-t", unique, "-m", "x", "-q", 2)
        assert sub.next() == f"0 2 {unique} x"


@EVERY_VERSION
def test_retained_is_set_and_cleared(broker, unique, version):
    pub(broker, version, "-t", unique, "-m", "kept", "-r", "-q", 1)
    with Sub(broker, version, "-t", unique, "-q", 1) as sub:
        assert sub.next() == f"1 1 {unique} kept"
    pub(broker, version, "-t", unique, "-n", "-r", "-q", 1)
    with Sub(broker, version, "-t", unique, "-q", 1) as sub:
        pub(broker, version, "-t", unique, "-m", "live", "-q", 1)
        assert sub.next() == f"0 1 {unique} live"


@EVERY_VERSION
@EVERY_QOS
def test_will_of_a_killed_client(broker, unique, version, qos):
    with Sub(broker, version, "-t", unique + "/will", "-q", qos) as watcher:
        will = ["--will-topic", unique + "/will", "--will-payload", "gone", "--will-qos", qos]
        with Sub(broker, version, "-t", unique, *will):
            pass
        assert watcher.next() == f"0 {qos} {unique}/will gone"


@EVERY_VERSION
def test_shared_subscription(broker, unique, version):
    def member(name):
        return Sub(broker, version, "-t", f"$share/{unique}/{unique}/work", "-t", f"{unique}/end/{name}", "-q", 1, form="%p")

    with member("one") as one, member("two") as two:
        pub(broker, version, "-t", unique + "/work", "-q", 1, "-l", text="".join(f"{n}\n" for n in range(30)))
        got = []
        for sub, name in ((one, "one"), (two, "two")):
            pub(broker, version, "-t", f"{unique}/end/{name}", "-q", 1, "-m", "end")
            mine = []
            while (payload := sub.next()) != "end":
                mine.append(int(payload))
            assert mine, "a connected member of the group got nothing at all"
            got += mine
        assert sorted(got) == list(range(30))


@EVERY_VERSION
def test_persistent_session_resumes_with_its_queue(broker, unique, version):
    kept = ["-i", unique, "-c", "-q", 1, "-t", unique, *(["-x", 3600] if version == "5.0" else [])]
    subscribed = Sub(broker, version, *kept, "-E")
    assert subscribed.process.wait(SECONDS_MAX) == 0
    pub(broker, version, "-t", unique, "-q", 1, "-l", text="".join(f"{n}\n" for n in range(100)))
    with Sub(broker, version, *kept, "-C", 100, wait=False) as again:
        assert again.take(100) == [f"0 1 {unique} {n}" for n in range(100)]
        assert again.process.wait(SECONDS_MAX) == 0


@EVERY_VERSION
def test_take_over(broker, unique, version):
    with Sub(broker, version, "-i", unique, "-t", unique) as first:
        with Sub(broker, version, "-i", unique, "-t", unique):
            if version == "5.0":
                assert "(142)" in first.line_with("Received DISCONNECT")
            else:
                first.line_with("sending CONNECT")  # it noticed, and comes back


@EVERY_VERSION
def test_a_burst_of_a_thousand_stays_in_order(broker, unique, version):
    for qos in (0, 1, 2):
        with Sub(broker, version, "-t", f"{unique}/{qos}", "-q", qos) as sub:
            pub(broker, version, "-t", f"{unique}/{qos}", "-q", qos, "-l", text="".join(f"{n}\n" for n in range(1000)))
            assert sub.take(1000) == [f"0 {qos} {unique}/{qos} {n}" for n in range(1000)]


@EVERY_VERSION
def test_a_payload_of_one_megabyte(broker, unique, version, tmp_path):
    payload = tmp_path / "payload"
    payload.write_text("0123456789abcdef" * 65536)
    for qos in (0, 1, 2):
        with Sub(broker, version, "-t", unique, "-q", qos, form="%l %p") as sub:
            pub(broker, version, "-t", unique, "-q", qos, "-f", payload)
            assert sub.next() == f"{1 << 20} {payload.read_text()}"


def test_v5_properties_arrive_as_they_were_sent(broker, unique):
    sent = [
        ("content-type", "text/plain"), ("response-topic", "re/ply"), ("correlation-data", "c0"),
        ("message-expiry-interval", "100"), ("payload-format-indicator", "1"),
        ("user-property", "b", "2"), ("user-property", "a", "1"), ("user-property", "b", "3"),
    ]
    with Sub(broker, "5.0", "-t", unique, "-q", 1, form="%C|%R|%D|%F|%P|%E") as sub:
        pub(broker, "5.0", "-t", unique, "-m", "x", "-q", 1, *(word for p in sent for word in ("-D", "publish", *p)))
        *same, expiry = sub.next().split("|")
        assert same == ["text/plain", "re/ply", "c0", "1", "b:2 a:1 b:3"]
        assert 90 <= int(expiry) <= 100
