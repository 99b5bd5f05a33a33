"""The client against a server that breaks connections at chosen points."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from scripted import CLIP, EVENTS, ScriptedService

from svi_serving import (
    Aborted,
    Client,
    DataLoss,
    NotFound,
    ResourceExhausted,
    Unavailable,
    v1,
)

NAME = "videos/v/clips/0"
KNOWN = v1.Clip(name=NAME, size_bytes=len(CLIP), sha256=hashlib.sha256(CLIP).digest())


@pytest.fixture
def service() -> Iterator[ScriptedService]:
    with ScriptedService() as scripted:
        yield scripted


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the client would have slept, seconds. Its clock stands still but for that."""
    slept: list[float] = []
    monkeypatch.setattr("svi_serving.retry.time.sleep", slept.append)
    monkeypatch.setattr("svi_serving.retry.time.monotonic", lambda: sum(slept))
    return slept


@pytest.fixture
def client(service: ScriptedService, waits: list[float]) -> Iterator[Client]:
    with Client(service.address) as connected:
        yield connected


def test_a_create_whose_answer_is_lost_is_repeated_with_the_same_id(client: Client, service: ScriptedService) -> None:
    service.lost_answers = 2
    assert client.create(b"picture", "a boat").name == "videos/v"
    assert len(service.request_ids) == 3
    assert len(service.request_ids[0]) == 36 and len(set(service.request_ids)) == 1


def test_prompts_whose_answer_is_lost_are_not_appended_twice(client: Client, service: ScriptedService) -> None:
    service.lost_answers = 1
    assert list(client.append_prompts("v", "more").spec.prompts) == ["more"]
    with pytest.raises(Aborted):
        client.append_prompts("v", "more", expected_revision=0)


def test_prompts_of_somebody_else_are_not_taken_for_ours(client: Client, service: ScriptedService) -> None:
    service.faster_prompts = ["theirs"]
    with pytest.raises(Aborted) as error:
        client.append_prompts("v", "more")
    assert error.value.attempts == 2


def test_a_finish_or_a_delete_whose_answer_is_lost_succeeds(client: Client, service: ScriptedService) -> None:
    service.lost_answers = 1
    assert client.finish("v").finished
    service.lost_answers = 1
    client.delete("v")
    with pytest.raises(NotFound):
        client.delete("v")


def test_a_watch_that_breaks_at_every_point_misses_and_repeats_nothing(
    client: Client, service: ScriptedService
) -> None:
    service.watch_faults = [0, 1, 1, 2, 0]
    assert [event.sequence for event in client.watch("v")] == list(range(1, EVENTS + 1))
    assert service.watched_after == [0, 0, 1, 2, 4, 4]


def test_a_gap_in_the_events_is_fetched_again(client: Client, service: ScriptedService) -> None:
    service.watch_gaps = [3]
    assert [event.sequence for event in client.watch("v")] == list(range(1, EVENTS + 1))
    assert service.watched_after == [0, 2]


def test_events_that_come_again_are_left_out(client: Client, service: ScriptedService) -> None:
    service.watch_repeats = 2
    assert [event.sequence for event in client.watch("v", after_sequence=4)] == [5, 6, 7, 8]


def test_a_server_that_takes_its_leave_has_not_ended_the_video(client: Client, service: ScriptedService) -> None:
    service.leaves_politely = True
    service.watch_faults = [3, 2]
    assert [event.sequence for event in client.watch("v")] == list(range(1, EVENTS + 1))


def test_a_watch_that_is_closed_ends(client: Client, service: ScriptedService) -> None:
    events = client.watch("v", after_sequence=5)
    assert next(events).sequence == 6
    events.close()
    assert list(events) == []
    assert service.watched_after == [5]


@pytest.mark.parametrize("clip", [NAME, KNOWN], ids=["by name", "known hash"])
@pytest.mark.parametrize("into", ["memory", "file"])
def test_a_download_goes_on_where_it_broke(
    client: Client, service: ScriptedService, tmp_path: Path, clip: str | v1.Clip, into: str
) -> None:
    service.download_faults = [0, 2, 1]
    if into == "file":
        assert client.download_clip(clip, tmp_path).read_bytes() == CLIP
        assert list(tmp_path.iterdir()) == [tmp_path / "clip-00000.mp4"]
    else:
        assert client.download_clip(clip) == CLIP
    assert service.offsets == [0, 0, 2000, 3000]


def test_a_whole_video_is_resumed_with_the_clips_it_began_with(client: Client, service: ScriptedService) -> None:
    service.download_faults = [1]
    assert client.download_video("v") == CLIP
    assert service.clips_asked == [0, 3]


def test_damaged_bytes_are_fetched_once_more(client: Client, service: ScriptedService, tmp_path: Path) -> None:
    service.damaged_downloads = 1
    assert client.download_clip(NAME, tmp_path / "boat.mp4").read_bytes() == CLIP
    assert service.offsets == [0, 0]


@pytest.mark.parametrize("clip", [NAME, KNOWN], ids=["by name", "known hash"])
def test_bytes_that_stay_damaged_never_get_the_name(
    client: Client, service: ScriptedService, tmp_path: Path, clip: str | v1.Clip
) -> None:
    service.damaged_downloads = 2
    with pytest.raises(DataLoss, match="SHA-256"):
        client.download_clip(clip, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_clip_that_is_not_the_one_announced_is_refused(client: Client, tmp_path: Path) -> None:
    # The server's own hash is right, but the event had promised another clip.
    with pytest.raises(DataLoss):
        client.download_clip(v1.Clip(name=NAME, size_bytes=len(CLIP), sha256=b"x" * 32), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_half_a_clip_has_no_name_and_is_kept(service: ScriptedService, tmp_path: Path) -> None:
    service.download_faults = [2]
    with Client(service.address, retry_for=0) as client:
        with pytest.raises(Unavailable):
            client.download_clip(KNOWN, tmp_path / "boat.mp4")
        assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
        assert client.download_clip(KNOWN, tmp_path / "boat.mp4").read_bytes() == CLIP
    assert service.offsets == [0, 2000]


def test_retry_info_is_waited_for(client: Client, service: ScriptedService, waits: list[float]) -> None:
    service.refusals = [7.5]
    client.create(b"picture", "a boat")
    assert waits == [7.5]
    assert len(set(service.request_ids)) == 1


def test_what_the_server_asks_for_is_told(service: ScriptedService) -> None:
    service.refusals = [7.5]
    with Client(service.address, retry_for=5) as client, pytest.raises(ResourceExhausted) as error:
        client.create(b"picture", "a boat")
    assert error.value.retry_delay == 7.5
    assert str(error.value) == "RESOURCE_EXHAUSTED: too many\n  reason: QUOTA_EXCEEDED"


def test_patience_ends(waits: list[float]) -> None:
    with Client("127.0.0.1:1", retry_for=60) as client, pytest.raises(Unavailable) as error:
        client.get("v")
    assert 50 < sum(waits) <= 60
    assert waits[0] <= 0.2 and 5 <= max(waits) <= 10
    assert error.value.attempts == len(waits) + 1
    assert error.value.code is grpc.StatusCode.UNAVAILABLE
