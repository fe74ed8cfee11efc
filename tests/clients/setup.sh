#!/usr/bin/env bash
# Installs what the client tests need: Debian's mosquitto-clients, two Python environments (paho 1.6 and paho 2.x with
# aiomqtt) and MQTT.js. What is there already is left alone, so a second run takes a second.
set -euo pipefail
cd "$(dirname "$0")"

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

packages=()
command -v mosquitto_sub >/dev/null || packages+=(mosquitto-clients)
python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)
command -v npm >/dev/null || packages+=(nodejs npm)
if [ ${#packages[@]} -gt 0 ]; then
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"
fi

for environment in paho1 paho2; do
  wanted=requirements-$environment.txt installed=.venv/$environment/installed.txt
  if ! cmp -s "$wanted" "$installed"; then
    rm -rf ".venv/$environment"
    python3 -m venv ".venv/$environment"
    ".venv/$environment/bin/pip" install --quiet --disable-pip-version-check -r "$wanted"
    cp "$wanted" "$installed"
  fi
done

if ! cmp -s package-lock.json node_modules/.installed-lock.json; then
  npm ci --silent --no-audit --no-fund
  cp package-lock.json node_modules/.installed-lock.json
fi
