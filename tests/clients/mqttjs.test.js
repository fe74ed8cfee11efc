// MQTT.js in MQTT 3.1, 3.1.1 and 5.0.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, test } from "node:test";

import mqtt from "mqtt";

import { startBroker } from "./broker.js";

const VERSIONS = new Map([
  ["3.1", { protocolId: "MQIsdp", protocolVersion: 3 }],
  ["3.1.1", { protocolId: "MQTT", protocolVersion: 4 }],
  ["5.0", { protocolId: "MQTT", protocolVersion: 5 }],
]);
const QOS = [0, 1, 2];
const SESSION_TAKEN_OVER = 0x8e;
const MS_MAX = 15_000;

let broker;
before(async () => {
  broker = await startBroker();
});
after(async () => {
  const { status, log } = await broker.stop();
  assert.equal(status, 0, `SIGTERM must end the broker with status 0, not ${status}:\n${log}`);
});

/** Rejects when `promise` takes too long, and says what was being waited for. */
function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within ${MS_MAX} ms`)), MS_MAX);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** A connected client whose messages are read one after the other with `next`. */
class Client {
  static async connect(version, clientId, options = {}) {
    const client = new Client();
    client.v5 = version === "5.0";
    client.arrived = [];
    client.waiting = [];
    client.mqtt = mqtt.connect(broker.url, {
      ...VERSIONS.get(version),
      clientId,
      clean: true,
      reconnectPeriod: 0,
      ...options,
    });
    client.closed = new Promise((resolve) => client.mqtt.once("close", resolve));
    client.mqtt.on("message", (topic, payload, packet) => {
      const reader = client.waiting.shift();
      if (reader) reader(packet);
      else client.arrived.push(packet);
    });
    client.connack = await within(
      new Promise((resolve, reject) => {
        client.mqtt.once("connect", resolve);
        client.mqtt.once("error", reject);
      }),
      "CONNACK",
    );
    // MQTT.js writes a packet in several pieces; without this the kernel holds the later ones back for 40 ms at a time.
    client.mqtt.stream.setNoDelay(true);
    return client;
  }

  next() {
    if (this.arrived.length > 0) return Promise.resolve(this.arrived.shift());
    return within(new Promise((resolve) => this.waiting.push(resolve)), "message");
  }

  async take(count) {
    const packets = [];
    while (packets.length < count) packets.push(await this.next());
    return packets;
  }

  subscribe(topic, options) {
    return within(this.mqtt.subscribeAsync(topic, options), "SUBACK");
  }

  publish(topic, payload, options) {
    return within(this.mqtt.publishAsync(topic, payload, options), "acknowledgement");
  }

  end() {
    return within(this.mqtt.endAsync(), "end");
  }

  /** Ends the TCP connection without DISCONNECT. */
  vanish() {
    this.mqtt.stream.destroy();
    return within(this.closed, "close");
  }
}

for (const version of VERSIONS.keys()) {
  const unique = () => `js${randomUUID().slice(0, 8)}`;
  const kept = (clientId) =>
    Client.connect(version, clientId, {
      clean: false,
      ...(version === "5.0" ? { properties: { sessionExpiryInterval: 3600 } } : {}),
    });

  for (const qos of QOS) {
    test(`MQTT ${version}, QoS ${qos}: round trip, retained, one megabyte, a thousand in order`, async () => {
      const topic = unique();
      const client = await Client.connect(version, unique());
      const [granted] = await client.subscribe(`${topic}/+`, { qos });
      assert.equal(granted.qos, qos);
      await client.publish(`${topic}/a`, "hello", { qos, retain: true });
      const message = await client.next();
      assert.deepEqual(
        [message.topic, message.payload.toString(), message.qos, message.retain],
        [`${topic}/a`, "hello", qos, false],
      );

      const late = await Client.connect(version, unique());
      await late.subscribe(`${topic}/a`, { qos });
      const retained = await late.next();
      assert.deepEqual([retained.payload.toString(), retained.retain], ["hello", true]);
      await late.publish(`${topic}/a`, "", { qos, retain: true });
      assert.equal((await late.next()).payload.length, 0);
      assert.equal((await client.next()).payload.length, 0);
      await late.end();

      const later = await Client.connect(version, unique());
      await later.subscribe(`${topic}/a`, { qos });
      await later.publish(`${topic}/a`, "live", { qos });
      assert.equal((await later.next()).retain, false, "the retained message is still there");
      assert.equal((await client.next()).payload.toString(), "live");
      await later.end();

      const big = Buffer.alloc(1 << 20, 0x5a);
      await client.publish(`${topic}/big`, big, { qos });
      assert.ok((await client.next()).payload.equals(big));

      // MQTT.js does not look at the broker's Receive Maximum, so the test keeps to it: never more than 10 in flight.
      for (let n = 0; n < 1000; n += 10) {
        const window = Array.from({ length: 10 }, (_, k) => client.publish(`${topic}/n`, String(n + k), { qos }));
        await Promise.all(window);
      }
      const numbers = (await client.take(1000)).map((packet) => Number(packet.payload));
      assert.deepEqual(numbers, Array.from({ length: 1000 }, (_, n) => n));
      await client.end();
    });
  }

  test(`MQTT ${version}: a will after an abrupt end, none after DISCONNECT`, async () => {
    const topic = unique();
    const watcher = await Client.connect(version, unique());
    await watcher.subscribe(`${topic}/+`, { qos: 2 });
    const will = (name) => ({ will: { topic: `${topic}/${name}`, payload: Buffer.from("gone"), qos: 2, retain: false } });
    const clientId = unique();
    await (await Client.connect(version, clientId, will("polite"))).end();
    await (await Client.connect(version, clientId, will("abrupt"))).vanish();
    const message = await watcher.next();
    assert.deepEqual([message.topic, message.payload.toString(), message.qos], [`${topic}/abrupt`, "gone", 2]);
    await watcher.end();
  });

  test(`MQTT ${version}: a shared subscription gives each message to one member`, async () => {
    const topic = unique();
    const publisher = await Client.connect(version, unique());
    const members = [await Client.connect(version, unique()), await Client.connect(version, unique())];
    for (const [n, member] of members.entries()) {
      await member.subscribe(`$share/${topic}/${topic}/work`, { qos: 1 });
      await member.subscribe(`${topic}/end/${n}`, { qos: 1 });
    }
    for (let n = 0; n < 40; n++) await publisher.publish(`${topic}/work`, String(n), { qos: 1 });
    const got = [];
    for (const [n, member] of members.entries()) {
      await publisher.publish(`${topic}/end/${n}`, "end", { qos: 1 });
      const mine = [];
      let packet;
      while ((packet = await member.next()).topic === `${topic}/work`) mine.push(Number(packet.payload));
      assert.ok(mine.length > 0, "a connected member of the group got nothing at all");
      got.push(...mine);
      await member.end();
    }
    assert.deepEqual(got.sort((a, b) => a - b), Array.from({ length: 40 }, (_, n) => n));
    await publisher.end();
  });

  test(`MQTT ${version}: a kept session resumes with its queue`, async () => {
    const topic = unique();
    const clientId = unique();
    const first = await kept(clientId);
    await first.subscribe(topic, { qos: 1 });
    await first.end();
    const publisher = await Client.connect(version, unique());
    for (let n = 0; n < 100; n++) await publisher.publish(topic, String(n), { qos: 1 });
    await publisher.end();
    const again = await kept(clientId);
    // MQTT 3.1 has no session-present flag; its bit is always 0.
    assert.equal(Boolean(again.connack.sessionPresent), version !== "3.1");
    const numbers = (await again.take(100)).map((packet) => Number(packet.payload));
    assert.deepEqual(numbers, Array.from({ length: 100 }, (_, n) => n));
    await again.end();
    await (await Client.connect(version, clientId)).end();
  });

  test(`MQTT ${version}: a second connection takes the session over`, async () => {
    const clientId = unique();
    const first = await Client.connect(version, clientId);
    const reason = new Promise((resolve) => first.mqtt.once("disconnect", (packet) => resolve(packet.reasonCode)));
    const second = await Client.connect(version, clientId);
    if (version === "5.0") assert.equal(await within(reason, "DISCONNECT"), SESSION_TAKEN_OVER);
    await within(first.closed, "close of the first connection");
    const topic = unique();
    await second.subscribe(topic, { qos: 1 });
    await second.publish(topic, "mine", { qos: 1 });
    assert.equal((await second.next()).payload.toString(), "mine");
    await second.end();
  });
}

test("MQTT 5.0: properties arrive as they were sent", async () => {
  const topic = `js${randomUUID()}`;
  const client = await Client.connect("5.0", topic);
  const sent = {
    payloadFormatIndicator: true,
    contentType: "text/plain",
    responseTopic: `${topic}/answer`,
    correlationData: Buffer.from([0, 1, 254, 255]),
    userProperties: { b: ["2", "3"], a: "1" },
  };
  await client.subscribe(topic, { qos: 2, properties: { subscriptionIdentifier: 77 } });
  await client.publish(topic, "x", { qos: 2, properties: { ...sent, messageExpiryInterval: 60 } });
  const { messageExpiryInterval, subscriptionIdentifier, userProperties, ...got } = (await client.next()).properties;
  assert.deepEqual({ ...got, userProperties: { ...userProperties } }, sent);
  assert.equal(subscriptionIdentifier, 77);
  assert.ok(messageExpiryInterval >= 50 && messageExpiryInterval <= 60, `expiry ${messageExpiryInterval}`);
  await client.end();
});
