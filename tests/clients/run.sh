#!/usr/bin/env bash
# Real clients against a running broker. SORI_BIN names the broker (default: target/release/sori at the repository's root);
# arguments go to pytest. Run setup.sh once before.
set -u
cd "$(dirname "$0")"

status=0
.venv/paho1/bin/pytest test_paho.py test_paho_transports.py "$@" || status=1
.venv/paho2/bin/pytest test_paho.py test_paho_transports.py test_aiomqtt.py test_mosquitto_clients.py test_mosquitto_tls.py \
  test_sori_clients.py test_http_api.py "$@" || status=1

# Mosquitto's clients once more, and this time they are sori.
links=$(mktemp -d)
trap 'rm -rf "$links"' EXIT
program=$(realpath "${SORI_BIN:-../../target/release/sori}" 2>/dev/null || realpath "$(cut -d' ' -f1 <<<"$SORI_BIN")")
for name in mosquitto_pub mosquitto_sub mosquitto_rr; do ln -s "$program" "$links/$name"; done
PATH="$links:$PATH" .venv/paho2/bin/pytest test_mosquitto_clients.py "$@" || status=1
node --test --test-reporter=spec mqttjs.test.js || status=1
exit $status
