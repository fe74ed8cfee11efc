"""A small client on top of paho-mqtt that looks the same with paho 1.6 and 2.x, so that one set of tests runs on both."""

import queue
import socket

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PAHO2 = hasattr(mqtt, "CallbackAPIVersion")
SECONDS_MAX = 15
VERSIONS = {"3.1": mqtt.MQTTv31, "3.1.1": mqtt.MQTTv311, "5.0": mqtt.MQTTv5}


def properties(packet, **values):
    """Properties of one packet: `properties(PacketTypes.PUBLISH, ContentType="text/plain")`."""
    made = Properties(packet)
    for name, value in values.items():
        setattr(made, name, value)
    return made


def number(code):
    """The number of a reason or return code, which is an object in paho 2 and in MQTT 5, and an int elsewhere."""
    return code if isinstance(code, int) else code.value


class Client:
    """Connects on construction; `with` disconnects at the end. Messages arrive in `messages`."""

    def __init__(
        self, broker, version, client_id, *, keep_session=False, will=None, session_expiry=3600, prepare=None, **made
    ):
        """`prepare` gets paho's client before it connects; words that are not known here are for paho's constructor."""
        self.version, self.client_id = version, client_id
        self.messages = queue.Queue()
        self._connected, self._disconnected, self._subscribed = queue.Queue(), queue.Queue(), queue.Queue()
        made.update(client_id=client_id, protocol=VERSIONS[version], reconnect_on_failure=False)
        if not self.v5:
            made["clean_session"] = not keep_session
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, **made) if PAHO2 else mqtt.Client(**made)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = lambda _c, _u, _mid, codes, *_: self._subscribed.put([number(c) for c in codes])
        self._client.on_unsubscribe = lambda *_: self._subscribed.put([])
        self._client.on_message = self._on_message
        if will:
            self._client.will_set(**will)
        if prepare:
            prepare(self._client)
        connect = {}
        if self.v5:
            connect["clean_start"] = not keep_session
            if keep_session:
                connect["properties"] = properties(PacketTypes.CONNECT, SessionExpiryInterval=session_expiry)
        self._client.connect(broker.host, broker.port, 60, **connect)
        self._client.loop_start()
        self.session_present, code, self.connack_properties = self._connected.get(timeout=SECONDS_MAX)
        assert code == 0, f"CONNACK {code}"

    @property
    def v5(self):
        return self.version == "5.0"

    def _on_connect(self, _client, _userdata, flags, code, connack_properties=None):
        present = flags.session_present if PAHO2 else bool(flags["session present"])
        self._connected.put((present, number(code), connack_properties))

    def _on_message(self, _client, _userdata, message):
        message.retain = bool(message.retain)  # an int in paho 1.6
        self.messages.put(message)

    def _on_disconnect(self, _client, _userdata, *rest):
        # paho 2: flags, code, properties; paho 1.6: code and, in MQTT 5, properties.
        self._disconnected.put(number(rest[1] if PAHO2 else rest[0]))

    def subscribe(self, topic, qos=0, **options):
        """Waits for SUBACK and gives its codes."""
        self._client.subscribe(topic, qos, **options)
        return self._subscribed.get(timeout=SECONDS_MAX)

    def unsubscribe(self, topic):
        """Waits for UNSUBACK."""
        self._client.unsubscribe(topic)
        self._subscribed.get(timeout=SECONDS_MAX)

    def publish(self, topic, payload, qos=0, retain=False, **values):
        """Waits until the message is sent (QoS 0) or acknowledged."""
        more = {"properties": properties(PacketTypes.PUBLISH, **values)} if values else {}
        self.publish_without_waiting(topic, payload, qos, retain, **more).wait_for_publish(SECONDS_MAX)

    def publish_without_waiting(self, topic, payload, qos=0, retain=False, **more):
        return self._client.publish(topic, payload, qos, retain, **more)

    def next(self):
        return self.messages.get(timeout=SECONDS_MAX)

    def take(self, count):
        return [self.next() for _ in range(count)]

    def disconnected_with(self):
        """Waits until the connection has ended, and gives paho's reason for it."""
        return self._disconnected.get(timeout=SECONDS_MAX)

    def vanish(self):
        """Ends the TCP connection without DISCONNECT, as a device that lost its power would."""
        self._client.socket().shutdown(socket.SHUT_RDWR)
        self.disconnected_with()
        self._client.loop_stop()

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
