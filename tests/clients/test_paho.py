"""paho-mqtt (1.6 and 2.x) in MQTT 3.1, 3.1.1 and 5.0."""

import sys
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.packettypes import PacketTypes

from paho_client import PAHO2, VERSIONS, Client, properties

EVERY_VERSION = pytest.mark.parametrize("version", VERSIONS)
EVERY_QOS = pytest.mark.parametrize("qos", [0, 1, 2])
SESSION_TAKEN_OVER = 0x8E


@EVERY_VERSION
@EVERY_QOS
def test_round_trip(broker, unique, version, qos):
    with Client(broker, version, unique) as client:
        assert client.subscribe(unique + "/#", qos) == [qos]
        client.publish(unique + "/a", b"hello \x00 \xff", qos)
        message = client.next()
        assert (message.topic, message.payload, message.qos, message.retain) == (unique + "/a", b"hello \x00 \xff", qos, False)


@EVERY_VERSION
@pytest.mark.parametrize("published, granted", [(2, 1), (2, 0), (1, 0), (0, 2), (1, 2)])
def test_delivery_takes_the_lower_qos(broker, unique, version, published, granted):
    with Client(broker, version, unique) as client:
        assert client.subscribe(unique, granted) == [granted]
        client.publish(unique, "x", published)
        assert client.next().qos == min(published, granted)


@EVERY_VERSION
@EVERY_QOS
def test_retained_is_set_replaced_and_cleared(broker, unique, version, qos):
    with Client(broker, version, unique + "p") as publisher, Client(broker, version, unique + "s") as subscriber:
        publisher.publish(unique, "old", qos, retain=True)
        publisher.publish(unique, "new", qos, retain=True)
        # QoS 0 has no acknowledgement; the answer to a later packet says that the broker has processed both.
        publisher.subscribe(unique + "/barrier")
        subscriber.subscribe(unique, qos)
        message = subscriber.next()
        assert (message.payload, message.qos, message.retain) == (b"new", qos, True)

        publisher.publish(unique, b"", qos, retain=True)
        live = subscriber.next()
        assert (live.payload, live.retain) == (b"", False)
        with Client(broker, version, unique + "late") as late:
            late.subscribe(unique, qos)
            publisher.publish(unique, "live", qos)
            first = late.next()
            assert (first.payload, first.retain) == (b"live", False), "the retained message is still there"


@EVERY_VERSION
@EVERY_QOS
def test_will_is_sent_when_the_client_vanishes(broker, unique, version, qos):
    with Client(broker, version, unique + "w") as watcher:
        watcher.subscribe(unique, qos)
        will = dict(topic=unique, payload="gone", qos=qos, retain=True)
        Client(broker, version, unique, will=will).vanish()
        message = watcher.next()
        assert (message.payload, message.qos, message.retain) == (b"gone", qos, False)
        with Client(broker, version, unique + "late") as late:
            late.subscribe(unique, qos)
            assert late.next().retain
            late.publish(unique, b"", 1, retain=True)


@EVERY_VERSION
def test_will_is_not_sent_after_disconnect(broker, unique, version):
    with Client(broker, version, unique + "w") as watcher:
        watcher.subscribe(unique + "/#", 1)
        Client(broker, version, unique, will=dict(topic=unique + "/will", payload="gone", qos=1)).close()
        # DISCONNECT was on its way before the second connection began; a take-over must not make a lost connection of it.
        with Client(broker, version, unique) as again:
            again.publish(unique + "/after", "x", 1)
        assert watcher.next().topic == unique + "/after"


@EVERY_VERSION
def test_shared_subscription_gives_each_message_to_one_member(broker, unique, version):
    count = 60
    members = [Client(broker, version, f"{unique}{n}") for n in range(3)]
    with Client(broker, version, unique + "all") as everything, Client(broker, version, unique + "p") as publisher:
        for member in members:
            assert member.subscribe(f"$share/{unique}/{unique}/+", 1) == [1]
        everything.subscribe(unique + "/+", 1)
        for n in range(count):
            publisher.publish(f"{unique}/{n}", str(n), 1)
        assert [m.payload for m in everything.take(count)] == [str(n).encode() for n in range(count)]
        # A marker of its own ends each member's part: what the broker sent before it must have arrived by then.
        got = []
        for member in members:
            assert member.subscribe(f"{unique}/end/{member.client_id}", 1) == [1]
            publisher.publish(f"{unique}/end/{member.client_id}", "end", 1)
            mine = []
            while (message := member.next()).payload != b"end":
                mine.append(int(message.payload))
            assert mine, "a connected member of the group got nothing at all"
            assert mine == sorted(mine)
            got += mine
        assert sorted(got) == list(range(count))
    for member in members:
        member.close()


@EVERY_VERSION
def test_persistent_session_resumes_with_its_queue(broker, unique, version):
    first = Client(broker, version, unique, keep_session=True)
    assert first.session_present is False
    first.subscribe(unique, 2)
    first.close()
    with Client(broker, version, unique + "p") as publisher:
        for n in range(300):
            publisher.publish(unique, str(n), 1 + n % 2)
    with Client(broker, version, unique, keep_session=True) as again:
        # MQTT 3.1 has no session-present flag; its bit is always 0.
        assert again.session_present is (version != "3.1")
        messages = again.take(300)
        # Order is promised per publisher, topic and QoS; a QoS 2 message reaches the application one exchange later.
        for qos in (1, 2):
            assert [int(m.payload) for m in messages if m.qos == qos] == list(range(qos - 1, 300, 2))
        again.publish(unique, "live", 1)
        assert again.next().payload == b"live", "the subscription did not survive"
    Client(broker, version, unique).close()
    with Client(broker, version, unique, keep_session=True) as fresh:
        assert fresh.session_present is False


@EVERY_VERSION
def test_take_over_ends_the_first_connection(broker, unique, version):
    first = Client(broker, version, unique)
    with Client(broker, version, unique) as second:
        reason = first.disconnected_with()
        # paho 1.6 reads the reason only from a DISCONNECT that is longer than the three bytes this one needs.
        if version == "5.0" and PAHO2:
            assert reason == SESSION_TAKEN_OVER
        second.subscribe(unique, 1)
        second.publish(unique, "mine", 1)
        assert second.next().payload == b"mine"
    first.close()


@EVERY_VERSION
@EVERY_QOS
def test_a_payload_of_one_megabyte(broker, unique, version, qos):
    payload = bytes(range(256)) * 4096
    with Client(broker, version, unique) as client:
        client.subscribe(unique, qos)
        client.publish(unique, payload, qos)
        assert client.next().payload == payload


@EVERY_VERSION
@EVERY_QOS
def test_a_burst_of_a_thousand_stays_in_order(broker, unique, version, qos):
    with Client(broker, version, unique + "s") as subscriber, Client(broker, version, unique + "p") as publisher:
        subscriber.subscribe(unique, qos)
        sent = [publisher.publish_without_waiting(unique, str(n), qos) for n in range(1000)]
        sent[-1].wait_for_publish(15)
        assert [int(m.payload) for m in subscriber.take(1000)] == list(range(1000))


@EVERY_VERSION
def test_unsubscribe_stops_delivery(broker, unique, version):
    with Client(broker, version, unique) as client:
        client.subscribe([(unique + "/a", 1), (unique + "/b", 1)])
        client.unsubscribe(unique + "/a")
        client.publish(unique + "/a", "no longer", 1)
        client.publish(unique + "/b", "still", 1)
        assert client.next().topic == unique + "/b"


@EVERY_QOS
def test_v5_properties_arrive_as_they_were_sent(broker, unique, qos):
    sent = dict(
        PayloadFormatIndicator=1,
        ContentType="application/json",
        ResponseTopic=unique + "/answer",
        CorrelationData=b"\x00\x01\xfe\xff",
        MessageExpiryInterval=300,
        UserProperty=[("b", "2"), ("a", "1"), ("b", "3"), ("", "empty name"), ("ü", "")],
    )
    with Client(broker, "5.0", unique) as client:
        client.subscribe(unique, qos)
        client.publish(unique, "{}", qos, **sent)
        got = client.next().properties
        for name in ("PayloadFormatIndicator", "ContentType", "ResponseTopic", "CorrelationData", "UserProperty"):
            assert getattr(got, name) == sent[name], name
        assert 290 <= got.MessageExpiryInterval <= 300


def test_v5_subscription_identifier_comes_back(broker, unique):
    with Client(broker, "5.0", unique) as client:
        for identifier, topic in ((7, unique + "/a"), (268_435_455, unique + "/b")):
            client.subscribe(topic, 1, properties=properties(PacketTypes.SUBSCRIBE, SubscriptionIdentifier=identifier))
            client.publish(topic, "x", 1)
            assert client.next().properties.SubscriptionIdentifier == [identifier]


def test_v5_no_local_and_retain_as_published(broker, unique):
    with Client(broker, "5.0", unique) as client, Client(broker, "5.0", unique + "o") as other:
        def options(**values):
            return mqtt.SubscribeOptions(qos=1, **values)

        client.subscribe(unique + "/quiet", options=options(noLocal=True))
        client.subscribe(unique + "/kept", options=options(retainAsPublished=True))
        client.publish(unique + "/quiet", "own", 1)
        other.publish(unique + "/quiet", "other's", 1)
        assert client.next().payload == b"other's"
        other.publish(unique + "/kept", "x", 1, retain=True)
        assert client.next().retain
        other.publish(unique + "/kept", b"", 1, retain=True)


def test_v5_a_queued_message_expires(broker, unique):
    Client(broker, "5.0", unique, keep_session=True).close()
    with Client(broker, "5.0", unique, keep_session=True) as client:
        client.subscribe(unique, 1)
    with Client(broker, "5.0", unique + "p") as publisher:
        publisher.publish(unique, "short-lived", 1, MessageExpiryInterval=1)
        # A retained message that lives a second longer tells when the time is over; nobody has to guess how long to wait.
        publisher.publish(unique + "/clock", "x", 1, retain=True, MessageExpiryInterval=2)
        publisher.publish(unique, "lasting", 1, MessageExpiryInterval=600)
        ticks = 0
        while True:
            ticks += 1
            publisher.subscribe(unique + "/clock", 1)
            publisher.publish(unique + "/clock", "tick", 1)
            if publisher.next().payload == b"tick":
                break
            assert publisher.next().payload == b"tick"
        assert ticks > 1, "the retained message was never there"
        publisher.publish(unique, "last", 1)
    with Client(broker, "5.0", unique, keep_session=True) as again:
        message = again.next()
        assert message.payload == b"lasting"
        assert message.properties.MessageExpiryInterval <= 599
        assert again.next().payload == b"last"


def test_each_environment_holds_its_own_paho():
    """Two environments run this file; if both held the same paho, half of the promise would be untested."""
    assert PAHO2 == (Path(sys.prefix).name == "paho2")
