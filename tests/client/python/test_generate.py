"""Videos from the picture to the MP4s, against a real server and worker."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
import shutil
from pathlib import Path

import pytest
from cluster import BOAT, SMALL, Cluster
from processes import run

from svi_serving import Client, InvalidArgument, NotFound, Video, VideoEnded, v1

PROMPTS = ["a boat sails", "it <turns> & turns"]


@pytest.fixture(scope="module")
def video(shared: Cluster) -> Video:
    with Client(shared.address) as client:
        return client.generate(BOAT, PROMPTS, progress=False, **SMALL)


def test_clips_are_those_that_svi_downloads(shared: Cluster, client: Client, video: Video, tmp_path: Path) -> None:
    assert [(clip.index, clip.prompt) for clip in video.clips] == list(enumerate(PROMPTS))
    for clip in video.clips:
        path = tmp_path / f"clip-{clip.index:05d}.mp4"
        svi = [shared.binaries / "svi", f"--server={shared.address}"]
        run(*svi, "download", video.name, f"--clip={clip.index}", f"--out={tmp_path}")
        assert clip.read() == path.read_bytes()
        assert hashlib.sha256(clip.read()).digest() == clip.resource.sha256
    run(*svi, "download", video.name, f"--out={tmp_path / 'whole.mp4'}")
    assert client.download_video(video.name) == (tmp_path / "whole.mp4").read_bytes()
    assert client.download_video(video.name, clips=1) != client.download_video(video.name)


def test_clips_land_in_a_folder(client: Client, video: Video, tmp_path: Path) -> None:
    again = client.follow(video.name, out=tmp_path / "new" / "folder", progress=False)
    assert [clip.path for clip in again.clips] == sorted((tmp_path / "new" / "folder").iterdir())
    assert [clip.path.name for clip in again.clips if clip.path] == ["clip-00000.mp4", "clip-00001.mp4"]
    assert [clip.read() for clip in again.clips] == [clip.read() for clip in video.clips]


def test_what_is_there_is_not_fetched_again(shared: Cluster, client: Client, video: Video, tmp_path: Path) -> None:
    clip, content = video.clips[0].resource, video.clips[0].read()
    assert client.download_clip(clip, tmp_path).read_bytes() == content
    served = shared.metric('svi_bytes_served_total{kind="clip"}')
    assert client.download_clip(clip, tmp_path).read_bytes() == content
    assert shared.metric('svi_bytes_served_total{kind="clip"}') == served > 0


def test_a_part_file_is_continued(shared: Cluster, client: Client, video: Video, tmp_path: Path) -> None:
    clip, content = video.clips[0].resource, video.clips[0].read()
    part = tmp_path / f".boat.mp4.{clip.sha256.hex()[:16]}.part"
    part.write_bytes(content[:1000])
    served = shared.metric('svi_bytes_served_total{kind="clip"}')
    assert client.download_clip(clip, tmp_path / "boat.mp4").read_bytes() == content
    assert shared.metric('svi_bytes_served_total{kind="clip"}') == served + len(content) - 1000
    assert list(tmp_path.iterdir()) == [tmp_path / "boat.mp4"]


def test_a_damaged_part_file_is_not_kept(client: Client, video: Video, tmp_path: Path) -> None:
    clip, content = video.clips[0].resource, video.clips[0].read()
    (tmp_path / f".boat.mp4.{clip.sha256.hex()[:16]}.part").write_bytes(b"x" * 1000)
    assert client.download_clip(clip, tmp_path / "boat.mp4").read_bytes() == content


def test_a_notebook_shows_the_clips(video: Video) -> None:
    page = video._repr_html_()
    embedded = re.findall(r"<video [^>]*src='data:video/mp4;base64,([^']*)'", page)
    assert [base64.b64decode(clip) for clip in embedded] == [clip.read() for clip in video.clips]
    assert "it &lt;turns&gt; &amp; turns" in page and "<turns>" not in page


def test_a_bar_for_each_clip(client: Client, video: Video, capsys: pytest.CaptureFixture[str]) -> None:
    client.generate(BOAT.read_bytes(), PROMPTS, **SMALL)
    shown = capsys.readouterr().err
    assert re.search(r"100%\|.*\| clip 1/2: 17 frames, 64x64", shown), shown
    assert re.search(r"100%\|.*\| clip 2/2: 12 frames, 64x64", shown), shown
    assert shown.count("\n") == 2
    client.follow(video.name, progress=False)
    assert capsys.readouterr().err == ""


def test_the_same_request_makes_one_video(client: Client) -> None:
    first = client.create(BOAT, "a boat", request_id="one", **SMALL)
    assert client.create(BOAT, "a boat", request_id="one", **SMALL).name == first.name
    client.delete(first.name, force=True)
    with pytest.raises(NotFound, match=first.name):
        client.get(first.name)


def test_lists_go_on_over_pages(client: Client) -> None:
    names = [client.create(BOAT, "a boat", **SMALL).name for _ in range(3)]
    assert [video.name for video in itertools.islice(client.list(page_size=1), 3)] == names[::-1]


def test_an_open_ended_video_grows_until_it_is_finished(client: Client) -> None:
    video = client.create(BOAT, "a boat", open_ended=True, **SMALL)
    indices = []
    for event in client.watch(video.name):
        if event.HasField("clip_done"):
            indices.append(event.clip_done.index)
        if event.HasField("state_changed") and event.state_changed.state == v1.VIDEO_STATE_WAITING:
            if len(indices) == 1:
                grown = client.append_prompts(video.name, ["it turns", "it sinks"])
                assert list(grown.spec.prompts) == ["a boat", "it turns", "it sinks"]
            else:
                client.finish(video.name)
    assert indices == [0, 1, 2]
    ended = client.get(video.name)
    assert ended.state == v1.VIDEO_STATE_SUCCEEDED and ended.finished


def test_a_cancelled_video_raises_and_keeps_its_clips(client: Client) -> None:
    video = client.create(BOAT, "a boat", open_ended=True, **SMALL)
    for event in client.watch(video.name):
        if event.HasField("clip_done"):
            client.cancel(video.name)
    with pytest.raises(VideoEnded, match="was cancelled") as ended:
        client.follow(video.name, progress=False)
    assert len(ended.value.video.clips) == 1
    assert video.name in [listed.name for listed in client.list("cancelled", page_size=1)]
    assert video.name not in [listed.name for listed in client.list("running", "succeeded")]


def test_a_failed_video_raises_with_the_reason(client: Client) -> None:
    with pytest.raises(VideoEnded) as ended:
        client.generate(BOAT, "a boat", loras={"no-such": 0.5}, progress=False, **SMALL)
    assert ended.value.reason == "LORA_NOT_FOUND"


@pytest.mark.parametrize(
    ("wrong", "field", "says"),
    [
        ({"width": 65}, "spec.width", "multiple of 32"),  # the server says so, and the next ones are seen here
        ({"num_frames": 18}, "spec.num_frames", "4k+1"),
        ({"loras": ["a b"]}, "spec.lora[0].name", ""),
        ({"width": -1}, "spec.width", "range"),
        ({"seed": "x"}, "spec.seed", ""),
        ({"loras": {"style": "strong"}}, "spec.lora", ""),
        ({"variant": "neu"}, "spec.variant", "pro, film, shot"),
        ({"sampler": "ddim"}, "spec.sampler", "unipc, euler"),
    ],
)
def test_a_wrong_value_is_named(client: Client, wrong: dict[str, object], field: str, says: str) -> None:
    with pytest.raises(InvalidArgument, match=re.escape(field)) as error:
        client.create(BOAT, "a boat", **{**SMALL, **wrong})
    assert [violation.field for violation in error.value.field_violations] == [field]
    assert says in str(error.value)


def test_a_wrong_picture_or_prompt_is_named(client: Client, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument) as error:
        client.create(b"no picture", ["fine", ""], **SMALL)
    named = {violation.field for violation in error.value.field_violations}
    assert named == {"spec.image", "spec.prompts[1]"}
    with pytest.raises(InvalidArgument, match=r"spec\.prompts"):
        client.create(BOAT, "\ud800", **SMALL)
    with pytest.raises(InvalidArgument, match="prompts"):
        client.append_prompts("v", ["fine", "\ud800"])
    with open(tmp_path / "film.mp4", "wb") as large:
        large.truncate((32 << 20) + 1)
    with pytest.raises(InvalidArgument, match="film.mp4 is larger than"):
        client.create(tmp_path / "film.mp4", "a boat")
    with pytest.raises(FileNotFoundError):
        client.create(tmp_path / "no-such.jpg", "a boat")
    with pytest.raises(TypeError, match="steps"):
        client.create(BOAT, "a boat", steps=3)


def test_the_readme_begins_with_what_works(shared: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (BOAT.parents[2] / "client" / "python" / "README.md").read_text()
    example = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)[0]
    shutil.copy(BOAT, tmp_path)
    monkeypatch.chdir(tmp_path)
    variables: dict[str, object] = {}
    exec(example.replace("127.0.0.1:50051", shared.address), variables)
    assert isinstance(variables["video"], Video)
    assert (tmp_path / "clips" / "clip-00001.mp4").is_file()


def test_workers_are_listed(client: Client) -> None:
    assert [worker.model for worker in client.workers()] == ["tiny-random"]
