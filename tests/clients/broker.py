"""Starts the broker under test on a free port of loopback, with a configuration of its own, and stops it cleanly.

SORI_BIN names the program; it may carry leading words (`target/release/sori serve`). Any broker that reads a
mosquitto.conf given with `-c` will do, which is how these tests were developed before sori could run them.
"""

import os
import shlex
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS_MAX = 10
STOP_SECONDS_MAX = 15

CONFIGURATION = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
max_queued_messages 5000
"""


def command():
    words = shlex.split(os.environ.get("SORI_BIN") or str(ROOT / "target" / "release" / "sori"))
    if len(words) == 1 and Path(words[0]).name == "sori":
        words.append("serve")
    return words


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Broker:
    host = "127.0.0.1"

    def __init__(self, configuration=CONFIGURATION):
        self._configuration = configuration
        self._directory = tempfile.TemporaryDirectory(prefix="sori-clients-")
        # The port was free a moment ago; if somebody else was faster, the broker ends at once and another port is tried.
        for _ in range(5):
            self.port = free_port()
            if self._start():
                return
        raise RuntimeError(f"{command()} does not start:\n{self.log()}")

    def _start(self):
        where = Path(self._directory.name)
        configuration = where / "broker.conf"
        configuration.write_text(self._configuration.format(port=self.port))
        with open(where / "broker.log", "ab") as log:
            self._process = subprocess.Popen([*command(), "-c", str(configuration)], cwd=where, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline and self.running():
            try:
                socket.create_connection((self.host, self.port), 1).close()
                return True
            except OSError:
                time.sleep(0.02)
        self._end()
        return False

    def running(self):
        return self._process.poll() is None

    def log(self):
        return (Path(self._directory.name) / "broker.log").read_text(errors="replace")[-4000:]

    def _end(self):
        if self.running():
            self._process.terminate()
        try:
            return self._process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return None

    def stop(self):
        """SIGTERM; the exit status, or None when the broker had to be killed."""
        status = self._end()
        log = self.log()
        self._directory.cleanup()
        return status, log
