"""A server that is killed while a client watches."""

from __future__ import annotations

from cluster import BOAT, SMALL, Cluster

from svi_serving import Client, v1


def test_a_watch_goes_on_after_the_server_was_killed(cluster: Cluster) -> None:
    server = cluster.start_server()
    cluster.start_worker()
    with Client(cluster.address) as client:
        video = client.create(BOAT, ["a boat", "it turns", "it sinks"], **SMALL)
        sequences = []
        for event in client.watch(video.name):
            if event.sequence != 0:
                sequences.append(event.sequence)
            if event.HasField("clip_started") and event.clip_started.clip_index == 1:
                server.kill()
                server = cluster.start_server()
        ended = client.get(video.name)
        assert ended.state == v1.VIDEO_STATE_SUCCEEDED
        assert len(ended.clips) == 3
        assert sequences == list(range(1, ended.last_sequence + 1))
        later = client.watch(video.name, after_sequence=5, durable_only=True)
        assert [event.sequence for event in later] == sequences[5:]


def test_several_servers_in_one_address(cluster: Cluster) -> None:
    cluster.start_server()
    # Nobody listens at the first.
    with Client(f"ipv4:127.0.0.1:1,{cluster.address}") as client:
        assert list(client.list()) == []
