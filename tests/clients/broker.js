// Starts the broker under test for the MQTT.js tests, in the same way as broker.py does for the Python ones.

import { spawn } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");
const START_MS_MAX = 10_000;

function command() {
  const words = (process.env.SORI_BIN || path.join(ROOT, "target/release/sori")).split(" ").filter(Boolean);
  if (words.length === 1 && path.basename(words[0]) === "sori") words.push("serve");
  return words;
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = net.createServer().on("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

function accepts(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1", () => resolve(true));
    socket.on("error", () => resolve(false));
    socket.on("connect", () => socket.end());
  });
}

/** A running broker: `{ url, stop }`; `stop` ends it with SIGTERM and gives its exit status and log. */
export async function startBroker() {
  const directory = mkdtempSync(path.join(os.tmpdir(), "sori-clients-"));
  const port = await freePort();
  const configuration = path.join(directory, "broker.conf");
  const logFile = path.join(directory, "broker.log");
  writeFileSync(
    configuration,
    `listener ${port} 127.0.0.1\nallow_anonymous true\npersistence false\nmax_queued_messages 5000\n`,
  );
  const [program, ...leading] = command();
  const log = openSync(logFile, "w");
  const broker = spawn(program, [...leading, "-c", configuration], { cwd: directory, stdio: ["ignore", log, log] });
  const ended = new Promise((resolve) => broker.on("exit", (status, signal) => resolve(status ?? signal)));
  broker.on("error", (error) => writeFileSync(logFile, String(error)));

  const deadline = Date.now() + START_MS_MAX;
  while (!(await accepts(port))) {
    if (broker.exitCode !== null || Date.now() > deadline) {
      broker.kill("SIGKILL");
      throw new Error(`the broker does not start:\n${readFileSync(logFile, "utf8")}`);
    }
    await pause(20);
  }
  return {
    url: `mqtt://127.0.0.1:${port}`,
    async stop() {
      broker.kill("SIGTERM");
      const status = await ended;
      const text = readFileSync(logFile, "utf8");
      rmSync(directory, { recursive: true });
      return { status, log: text };
    },
  };
}
