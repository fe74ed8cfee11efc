"""A broker whose only listener speaks something else than plain MQTT, and certificates made as docs/listeners.md says."""

import re
import subprocess
from pathlib import Path

from broker import ROOT, Broker

LISTENERS_MD = ROOT / "docs" / "listeners.md"


def recipe():
    """The lines of the manual that make certificates, and the one that tries them."""
    blocks = re.findall(r"^```\n(.*?)^```", LISTENERS_MD.read_text(), re.MULTILINE | re.DOTALL)
    (block,) = [block for block in blocks if block.startswith("openssl ")]
    *making, trial = block.splitlines()
    return making, trial


def make_certificates(directory: Path):
    making, _ = recipe()
    done = subprocess.run(["sh", "-e", "-c", "\n".join(making)], cwd=directory, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # What `openssl x509 -req` makes without -extfile: X.509 version 1, and no names but the Common Name.
    old = "openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 9 -out version1.pem"
    subprocess.run(old.split(), cwd=directory, check=True, capture_output=True)
    other = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=Other -keyout o.key -out other.pem"
    subprocess.run(other.split(), cwd=directory, check=True, capture_output=True)


def broker(options):
    """Clients find it under the name that stands in its certificate."""
    # Python's braces are for the port only.
    started = Broker("listener {port} 127.0.0.1\nallow_anonymous true\n" + options)
    started.host = "localhost"
    return started


def tls_options(directory: Path, more=""):
    return f"certfile {directory}/server.pem\nkeyfile {directory}/server.key\n{more}"


def mutual_options(directory: Path):
    more = f"require_certificate true\ncafile {directory}/ca.pem\nuse_identity_as_username true\n"
    return tls_options(directory, more)
