"""aiomqtt, the asyncio client, in MQTT 3.1, 3.1.1 and 5.0."""

import asyncio
import socket

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes

from paho_client import SECONDS_MAX, properties

VERSIONS = {
    "3.1": aiomqtt.ProtocolVersion.V31,
    "3.1.1": aiomqtt.ProtocolVersion.V311,
    "5.0": aiomqtt.ProtocolVersion.V5,
}
EVERY_VERSION = pytest.mark.parametrize("version", VERSIONS)
EVERY_QOS = pytest.mark.parametrize("qos", [0, 1, 2])
SESSION_TAKEN_OVER = 0x8E


def client(broker, version, client_id, *, keep_session=False, will=None):
    kept = {}
    if version == "5.0":
        kept["clean_start"] = not keep_session
        if keep_session:
            kept["properties"] = properties(PacketTypes.CONNECT, SessionExpiryInterval=3600)
    else:
        kept["clean_session"] = not keep_session
    return aiomqtt.Client(
        broker.host, broker.port, identifier=client_id, protocol=VERSIONS[version], timeout=SECONDS_MAX, will=will, **kept
    )


async def take(client, count):
    async with asyncio.timeout(SECONDS_MAX):
        messages = aiter(client.messages)
        return [await anext(messages) for _ in range(count)]


@EVERY_VERSION
@EVERY_QOS
def test_round_trip_and_retained(broker, unique, version, qos):
    async def run():
        async with client(broker, version, unique) as one:
            await one.subscribe(unique + "/#", qos)
            await one.publish(unique + "/a", b"\x00payload", qos, retain=True)
            (message,) = await take(one, 1)
            assert (str(message.topic), message.payload, message.qos) == (unique + "/a", b"\x00payload", qos)
            assert not message.retain
            async with client(broker, version, unique + "late") as late:
                await late.subscribe(unique + "/a", qos)
                (retained,) = await take(late, 1)
                assert retained.retain and retained.payload == b"\x00payload"
                await late.publish(unique + "/a", b"", qos, retain=True)

    asyncio.run(run())


@EVERY_VERSION
def test_will_is_sent_when_the_connection_is_lost(broker, unique, version):
    async def run():
        async with client(broker, version, unique + "w") as watcher:
            await watcher.subscribe(unique, 1)
            with pytest.raises(aiomqtt.MqttError):
                async with client(broker, version, unique, will=aiomqtt.Will(unique, "gone", 1)) as doomed:
                    doomed._client.socket().shutdown(socket.SHUT_RDWR)
                    await take(doomed, 1)
            (message,) = await take(watcher, 1)
            assert message.payload == b"gone"

    asyncio.run(run())


@EVERY_VERSION
def test_persistent_session_resumes_with_its_queue(broker, unique, version):
    async def run():
        async with client(broker, version, unique, keep_session=True) as first:
            await first.subscribe(unique, 1)
        async with client(broker, version, unique + "p") as publisher:
            for n in range(100):
                await publisher.publish(unique, str(n), 1)
        async with client(broker, version, unique, keep_session=True) as again:
            assert [int(m.payload) for m in await take(again, 100)] == list(range(100))
        async with client(broker, version, unique):
            pass

    asyncio.run(run())


@EVERY_VERSION
def test_shared_subscription(broker, unique, version):
    async def run():
        async with (
            client(broker, version, unique + "1") as one,
            client(broker, version, unique + "2") as two,
            client(broker, version, unique + "p") as publisher,
        ):
            for member, name in ((one, "one"), (two, "two")):
                await member.subscribe(f"$share/{unique}/{unique}/work", 1)
                await member.subscribe(f"{unique}/end/{name}", 1)
            for n in range(40):
                await publisher.publish(unique + "/work", str(n), 1)
            got = []
            for member, name in ((one, "one"), (two, "two")):
                await publisher.publish(f"{unique}/end/{name}", "", 1)
                mine = []
                while str((message := (await take(member, 1))[0]).topic) == unique + "/work":
                    mine.append(int(message.payload))
                assert mine
                got += mine
            assert sorted(got) == list(range(40))

    asyncio.run(run())


@EVERY_VERSION
@EVERY_QOS
def test_a_burst_of_a_thousand_and_a_megabyte(broker, unique, version, qos):
    async def run():
        big = b"\xa5" * (1 << 20)
        async with client(broker, version, unique + "s") as subscriber, client(broker, version, unique + "p") as publisher:
            await subscriber.subscribe(unique, qos)
            for n in range(1000):
                await publisher.publish(unique, str(n), qos)
            await publisher.publish(unique, big, qos)
            *burst, last = await take(subscriber, 1001)
            assert [int(m.payload) for m in burst] == list(range(1000))
            assert last.payload == big

    asyncio.run(run())


def test_v5_properties_and_take_over(broker, unique):
    async def run():
        pairs = [("k", "2"), ("a", "1"), ("k", "1")]
        sent = properties(
            PacketTypes.PUBLISH, ContentType="t/x", ResponseTopic="re", CorrelationData=b"\x01\x00", UserProperty=pairs,
            MessageExpiryInterval=60,
        )
        async with client(broker, "5.0", unique + "s") as subscriber:
            await subscriber.subscribe(unique, 2)
            await subscriber.publish(unique, "x", 2, properties=sent)
            got = (await take(subscriber, 1))[0].properties
            assert (got.ContentType, got.ResponseTopic, got.CorrelationData) == ("t/x", "re", b"\x01\x00")
            assert got.UserProperty == pairs and 50 <= got.MessageExpiryInterval <= 60

        with pytest.raises(aiomqtt.MqttError) as ended:
            async with client(broker, "5.0", unique) as first:
                async with client(broker, "5.0", unique):
                    await take(first, 1)
        assert ended.value.__cause__.rc.value == SESSION_TAKEN_OVER

    asyncio.run(run())
