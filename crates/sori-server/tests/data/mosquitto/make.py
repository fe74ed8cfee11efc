#!/usr/bin/env python3
"""Has a real Mosquitto write the files of this folder. Use:

    make.py <mosquitto> <file> [--five] [--plugin <mosquitto_persist_sqlite.so>] [--crash]

--five     with MQTT 5.0 clients too (Mosquitto 1.6 and newer)
--plugin   keep everything with this plugin, instead of in a mosquitto.db
--crash    end the broker with SIGKILL, so that the write-ahead log of SQLite stays beside the file
"""

import argparse
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

CONNECT, PUBLISH, PUBACK, PUBREC, PUBREL, SUBSCRIBE, SUBACK = 1, 3, 4, 5, 6, 8, 9


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack("!H", len(value)) + value


def variable(value):
    out = b""
    while True:
        value, byte = divmod(value, 128)
        out += bytes([byte | (128 if value else 0)])
        if not value:
            return out


class Client:
    def __init__(self, port, name, v5=False, clean=False, user=None, will=None, properties=b""):
        self.v5, self.socket = v5, socket.create_connection(("127.0.0.1", port), timeout=10)
        flags = (2 if clean else 0) | (0x80 if user else 0)
        payload = text(name)
        if will:
            topic, message, qos, retain, will_properties = will
            flags |= 4 | qos << 3 | (0x20 if retain else 0)
            payload += (variable(len(will_properties)) + will_properties if v5 else b"") + text(topic) + text(message)
        payload += text(user) if user else b""
        body = text("MQTT") + bytes([5 if v5 else 4, flags]) + struct.pack("!H", 600)
        self.send(CONNECT << 4, body + self.properties(properties) + payload)
        assert self.receive()[1][1] == 0

    def properties(self, encoded=b""):
        return variable(len(encoded)) + encoded if self.v5 else b""

    def send(self, first, body):
        self.socket.sendall(bytes([first]) + variable(len(body)) + body)

    def exactly(self, count):
        out = b""
        while len(out) < count:
            more = self.socket.recv(count - len(out))
            assert more, "the broker closed the connection"
            out += more
        return out

    def receive(self):
        first, size, shift = self.exactly(1)[0], 0, 0
        while True:
            byte = self.exactly(1)[0]
            size, shift = size | (byte & 127) << shift, shift + 7
            if byte < 128:
                return first, self.exactly(size)

    def subscribe(self, topic, options, properties=b""):
        self.send(SUBSCRIBE << 4 | 2, struct.pack("!H", 1) + self.properties(properties) + text(topic) + bytes([options]))
        first, body = self.receive()
        assert first >> 4 == SUBACK and body[-1] < 128

    def publish(self, topic, payload, qos, packet_id=0, retain=False, properties=b""):
        body = text(topic) + (struct.pack("!H", packet_id) if qos else b"") + self.properties(properties) + payload
        self.send(PUBLISH << 4 | qos << 1 | retain, body)
        if qos:
            assert self.receive()[0] >> 4 == (PUBACK if qos == 1 else PUBREC)

    def release(self, packet_id):
        self.send(PUBREL << 4 | 2, struct.pack("!H", packet_id))
        self.receive()

    def take_publish(self):
        first, body = self.receive()
        assert first >> 4 == PUBLISH
        length = struct.unpack("!H", body[:2])[0]
        return struct.unpack("!H", body[2 + length : 4 + length])[0]


def clients_of_3_1_1(port):
    reader = Client(port, "reader", user="ann")
    reader.subscribe("plain/#", 2)
    reader.subscribe("room/+/temp", 1)
    other = Client(port, "other")
    other.subscribe("plain/4", 1)
    other.socket.close()
    publisher = Client(port, "publisher", clean=True)
    # Left in flight: QoS 1 sent, QoS 2 sent, QoS 2 answered by PUBREC.
    publisher.publish("plain/1", b"one", 1, 1)
    reader.take_publish()
    publisher.publish("plain/2", b"two", 2, 2)
    publisher.release(2)
    reader.take_publish()
    publisher.publish("plain/3", b"three", 2, 3)
    publisher.release(3)
    received = reader.take_publish()
    reader.send(PUBREC << 4, struct.pack("!H", received))
    assert reader.receive()[0] >> 4 == PUBREL
    reader.socket.close()
    # The broker must have seen the end of that connection before the next message.
    time.sleep(0.5)
    publisher.publish("plain/4", b"four", 1, 4)
    publisher.publish("plain/5", b"five", 2, 5)
    publisher.release(5)
    publisher.publish("plain/0", b"zero", 0)
    publisher.publish("state/a", b"on", 1, 6, retain=True)
    publisher.publish("state/b", bytes(range(256)), 0, retain=True)
    publisher.publish("state/gone", b"x", 1, 7, retain=True)
    publisher.publish("state/gone", b"", 1, 8, retain=True)
    writer = Client(port, "writer")
    writer.publish("state/held", b"not released", 2, 77, retain=True)
    writer.socket.close()
    publisher.socket.close()


def clients_of_5(port):
    reader = Client(
        port,
        "reader5",
        v5=True,
        user="bob",
        properties=b"\x11" + struct.pack("!I", 86400),
        will=("will/topic", b"gone", 1, True, b"\x18" + struct.pack("!I", 7200) + b"\x03" + text("text/plain")),
    )
    reader.subscribe("five/#", 0x04 | 0x08 | 1, b"\x0b\x11")
    reader.subscribe("$share/group/work", 1)
    reader.socket.close()
    Client(port, "never5", v5=True, properties=b"\x11\xff\xff\xff\xff").socket.close()
    time.sleep(0.5)
    publisher = Client(port, "publisher5", v5=True, clean=True)
    properties = b"\x01\x01" + b"\x02" + struct.pack("!I", 999999999) + b"\x03" + text("text/plain")
    properties += b"\x08" + text("answer/here") + b"\x09" + text(b"\x00\x01\xff")
    properties += b"\x26" + text("a") + text("1") + b"\x26" + text("a") + text('"2" \u00fc')
    publisher.publish("five/properties", b"5", 1, 1, retain=True, properties=properties)
    publisher.publish("five/plain", b"6", 1, 2)
    publisher.publish("work", b"7", 1, 3)
    publisher.socket.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mosquitto")
    parser.add_argument("file")
    parser.add_argument("--five", action="store_true")
    parser.add_argument("--plugin")
    parser.add_argument("--crash", action="store_true")
    options = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        name = "mosquitto.sqlite3" if options.plugin else "mosquitto.db"
        with open(f"{folder}/conf", "w") as conf:
            conf.write("user root\nqueue_qos0_messages true\nallow_anonymous true\n")
            if options.plugin:
                conf.write(f"plugin {options.plugin}\nplugin_opt_db_file {folder}/{name}\nplugin_opt_page_size 1024\n")
                conf.write("plugin_opt_flush_period 1\n")
            else:
                conf.write(f"persistence true\npersistence_location {folder}/\n")
            # Mosquitto 1.x knows `listener` too, and binds it where it is told.
            conf.write(f"listener {port} 127.0.0.1\n")
        broker = subprocess.Popen([options.mosquitto, "-c", f"{folder}/conf"])
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.1)
        clients_of_3_1_1(port)
        if options.five:
            clients_of_5(port)
        connected = Client(port, "connected", clean=True, will=("will/now", b"crashed", 0, False, b""))
        # With the plugin, until it has flushed.
        time.sleep(3 if options.plugin else 0.5)
        if not options.crash:
            connected.send(0xE0, b"")
            time.sleep(0.5)
        broker.send_signal(signal.SIGKILL if options.crash else signal.SIGTERM)
        broker.wait()
        for end in ("", "-wal"):
            if os.path.exists(f"{folder}/{name}{end}"):
                shutil.copyfile(f"{folder}/{name}{end}", options.file + end)


main()
