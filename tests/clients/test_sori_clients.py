"""sori under the names of Mosquitto's clients, beside the clients that Debian ships: the same traffic, the same output and status."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from broker import Broker, command

SECONDS_MAX = 20
PROGRAMS = ("mosquitto_pub", "mosquitto_sub", "mosquitto_rr")
SECURED = """\
listener {port} 127.0.0.1
allow_anonymous false
persistence false
"""


@pytest.fixture(scope="session")
def links(tmp_path_factory):
    """A folder in which sori has the names of Mosquitto's clients."""
    folder = tmp_path_factory.mktemp("links")
    for program in PROGRAMS:
        (folder / program).symlink_to(Path(command()[0]).resolve())
    return folder


@pytest.fixture
def both(links):
    """Runs Debian's program and sori under its name with the same words; their results, status and output."""

    def run(program, *words, text=None):
        def one(path):
            return subprocess.run(
                [path, *map(str, words)], input=text, capture_output=True, timeout=SECONDS_MAX, env=environment()
            )

        return one("/usr/bin/" + program), one(str(links / program))

    return run


def environment():
    # No options from a file of whoever runs the tests, and a time zone with minutes.
    return {"XDG_CONFIG_HOME": "/nonexistent", "PATH": "/usr/bin:/bin", "TZ": "Asia/Kolkata"}


def where(broker, *more):
    return ["-h", broker.host, "-p", broker.port, *more]


PROPERTIES = [
    ("content-type", "text/plain"), ("response-topic", "re/ply"), ("correlation-data", "c0"),
    ("payload-format-indicator", "1"), ("user-property", "b", "2"), ("user-property", "a", "1"),
]

PAYLOADS = ["message", "ä\t\"\\ /", "a" * 300, '{"a":[1,2.5,{"b":1e3,"c":[]}],"d":{},"e":0.1,"f":"\\u00e9"}']

FORMATS = [
    "%%", "%t", "%p", "%x", "%X", "%l", "%q", "%r", "%m", "%A", "%C", "%D", "%E", "%F", "%P", "%R", "%S",
    "%5l", "%05l", "%-5l|", "%3q", "%2A", "%02A", "%3C|", "%20C|", "%-20C|", "%.3C|", "%9.3C|", "%-9.3C|",
    "%40t|", "%-40t|", "%.2t|", "%20.4t|", "%-20.4t|", "%12p|", "%012p|", "%-400p|", "%3p|",
    "\\a\\e\\n\\r\\t\\v\\\\", "@@", "text", "%t %p", "[%r] %q%l",
]


@pytest.mark.parametrize("form", FORMATS)
def test_every_conversion_is_mosquitto_s(broker, unique, both, form):
    for number, payload in enumerate(PAYLOADS):
        publish_retained(broker, f"{unique}/{number}", payload)
        words = where(broker, "-V", "5", "-q", 1, "-t", f"{unique}/{number}", "-C", 1, "-W", 15, "-F", form)
        debian, sori = both("mosquitto_sub", *words)
        assert (sori.returncode, sori.stdout) == (debian.returncode, debian.stdout), (form, payload)


def publish_retained(broker, topic, payload):
    words = [word for given in PROPERTIES for word in ("-D", "publish", *given)]
    arguments = ["/usr/bin/mosquitto_pub", *map(str, where(broker, "-V", "5", "-q", 1, "-r", "-t", topic)), "-m", payload, *words]
    assert subprocess.run(arguments, timeout=SECONDS_MAX, env=environment()).returncode == 0


@pytest.mark.parametrize("form", ["@" + letter for letter in "aAbBcCdDeFgGhHIjklmMnpPrRStTuUVwWxXyYzQ1E"] + ["%I"])
def test_every_letter_of_strftime_is_the_c_library_s(broker, unique, both, form):
    publish_retained(broker, unique, "x")
    for _ in range(5):
        before, sori, after = (
            both("mosquitto_sub", *where(broker, "-t", unique, "-C", 1, "-W", 15, "-F", form))[side].stdout for side in (0, 1, 0)
        )
        # Between two runs a second may have passed, then another try tells.
        if before == after:
            assert sori == before, form
            return
    pytest.fail(f"{form} is never the same twice")


@pytest.mark.parametrize("form", ["%U", "@s.@N"])
def test_seconds_since_1970(broker, unique, both, form):
    publish_retained(broker, unique, "x")
    debian, sori = both("mosquitto_sub", *where(broker, "-t", unique, "-C", 1, "-W", 15, "-F", form))
    for result in (debian, sori):
        assert re.fullmatch(rb"\d{10}\.\d{9}\n", result.stdout), result.stdout
    assert abs(float(sori.stdout) - float(debian.stdout)) < 60


@pytest.mark.parametrize("pretty", [[], ["--pretty"]])
@pytest.mark.parametrize("form", ["%j", "%J"])
def test_json_is_mosquitto_s_byte_for_byte(broker, unique, both, form, pretty):
    for number, payload in enumerate(['{"a":[1,2.5,{"b":1e3,"c":[]}],"d":{},"e":0.1,"f":"\\u00e9\\n"}', "[1,\"ä\"]", "17"]):
        topic = f"{unique}/{number}"
        publish_retained(broker, topic, payload)
        debian, sori = both("mosquitto_sub", *where(broker, "-t", topic, "-q", 1, "-C", 1, "-W", 15, "-F", form, *pretty))
        assert sori.returncode == debian.returncode == 0
        assert as_today(debian.stdout) == as_today(sori.stdout)


def as_today(output):
    """Debian's client is of Mosquitto 2.0; 2.1 writes the time without Z and the retain flag as true or false."""
    output = re.sub(rb'("tst":\s*)"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z?\+0530"', rb"\1TIME", output)
    return re.sub(rb'("retain":\s*)1', rb"\1true", output)


def test_json_has_the_properties(broker, unique, both):
    publish_retained(broker, unique, "message")
    debian, sori = both("mosquitto_sub", *where(broker, "-V", "5", "-t", unique, "-C", 1, "-W", 15, "-F", "%j"))
    debian, sori = json.loads(debian.stdout), json.loads(sori.stdout)
    assert list(debian) == list(sori)
    assert sori["properties"].pop("user-properties") == [{"b": "2"}, {"a": "1"}]
    debian["properties"].pop("user-properties")
    assert list(debian["properties"].items()) == list(sori["properties"].items())


@pytest.mark.parametrize("words", [["-v"], ["-N"], ["-v", "-N"], []])
def test_without_a_format(broker, unique, both, words):
    publish_retained(broker, unique, "message")
    debian, sori = both("mosquitto_sub", *where(broker, "-t", unique, "-C", 1, "-W", 15, *words))
    assert (sori.returncode, sori.stdout) == (debian.returncode, debian.stdout)


STATUSES = {
    "help": ("mosquitto_sub", ["--help"], 1),
    "version": ("mosquitto_pub", ["--version"], 1),
    "unknown flag": ("mosquitto_sub", ["--unknown"], 1),
    "no topic": ("mosquitto_sub", [], 1),
    "no message": ("mosquitto_pub", ["-t", "a"], 1),
    "wrong topic": ("mosquitto_pub", ["-t", "a/#", "-m", "x"], 1),
    "wrong filter": ("mosquitto_sub", ["-t", "a/#/b"], 1),
    "wrong format": ("mosquitto_sub", ["-t", "a", "-F", "%Z"], 1),
    "no response topic": ("mosquitto_rr", ["-t", "a", "-m", "x"], 1),
    "missing file": ("mosquitto_pub", ["-t", "a", "-f", "/nonexistent"], 1),
    "sent": ("mosquitto_pub", ["-t", "a", "-m", "x", "-q", "2"], 0),
    "empty": ("mosquitto_pub", ["-t", "a", "-n"], 0),
    "subscribed": ("mosquitto_sub", ["-t", "status/none", "-E"], 0),
    "time is up": ("mosquitto_sub", ["-t", "status/none", "-W", "1"], 27),
    "no response": ("mosquitto_rr", ["-t", "status/none", "-e", "status/none/too", "-m", "x", "-W", "1"], 27),
}


@pytest.mark.parametrize("case", STATUSES)
def test_statuses_are_mosquitto_s(broker, both, case):
    program, words, status = STATUSES[case]
    debian, sori = both(program, *where(broker), *words)
    assert (sori.returncode, debian.returncode) == (status, status), (sori.stderr, debian.stderr)


def test_no_connection_and_no_host_have_status_1(both):
    for host, port in (("127.0.0.1", 1), ("nosuch.invalid", 1883)):
        debian, sori = both("mosquitto_pub", "-h", host, "-p", port, "-t", "a", "-m", "x")
        assert (sori.returncode, debian.returncode) == (1, 1)


def test_a_refused_connection_has_the_status_of_the_broker_s_answer(both):
    broker = Broker(SECURED)
    try:
        for version, status, words in (("mqttv311", 5, b"not authorised"), ("mqttv5", 135, b"Not authorized")):
            for program, more in (("mosquitto_pub", ["-m", "x"]), ("mosquitto_sub", [])):
                debian, sori = both(program, *where(broker, "-V", version, "-t", "a", *more))
                assert (sori.returncode, debian.returncode) == (status, status), (version, program)
                assert words in sori.stderr and words in debian.stderr
    finally:
        broker.stop()


def test_lines_and_repeats_arrive_in_order(broker, unique, links):
    words = [links / "mosquitto_sub", *map(str, where(broker, "-t", unique, "-q", 1, "-C", 53, "-W", 15, "-d"))]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment()) as sub:
        for line in sub.stdout:
            if line.startswith("Subscribed"):
                break
        pub = [links / "mosquitto_pub", *map(str, where(broker, "-t", unique, "-q", 1))]
        lines = "".join(f"{number}\n" for number in range(50))
        for more, text in ((["-l"], lines), (["-m", "again", "--repeat", "3", "--repeat-delay", "0.01"], None)):
            done = subprocess.run([*pub, *more], input=text, text=True, timeout=SECONDS_MAX, env=environment())
            assert done.returncode == 0
        messages = [line for line in sub.stdout.read().splitlines() if not line.startswith("Client")]
    assert messages == [*map(str, range(50)), "again", "again", "again"]
    assert sub.returncode == 0


def test_retained_messages_can_be_left_out_and_removed(broker, unique, links):
    def sub(*words):
        words = [links / "mosquitto_sub", *map(str, where(broker, "-v", "-t", unique + "/#", *words))]
        done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS_MAX, env=environment())
        return sorted(done.stdout.splitlines()), done.returncode

    for name in ("a", "b", "c"):
        publish_retained(broker, f"{unique}/{name}", name)
    assert sub("-R", "-W", 1) == ([], 27)
    assert sub("-T", unique + "/a", "-C", 2, "-W", 15) == ([f"{unique}/b b", f"{unique}/c c"], 0)
    assert sub("-T", unique + "/a", "-C", 2, "-W", 15, "--remove-retained")[1] == 0
    assert sub("-C", 1, "-W", 15, "--retained-only") == ([f"{unique}/a a"], 0)
    assert sub("-C", 2, "-W", 1)[1] == 27


def test_a_request_gets_its_response(broker, unique, links):
    response = unique + "/response"
    # Whoever asks itself gets its own question as an answer.
    words = [links / "mosquitto_rr", *map(str, where(broker, "-t", response, "-e", response, "-m", "hi", "-W", 15, "--latency"))]
    done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS_MAX, env=environment())
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"hi\nLatency: [\d.]+(ns|µs|ms)?\n", done.stdout)
