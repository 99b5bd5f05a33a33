"""Client: videos, and the way to training runs and LoRAs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal, Optional, Union, overload

from typing_extensions import Unpack

from svi_serving import v1
from svi_serving.calls import Calls, Stream
from svi_serving.endpoint import Endpoint, PathLike, Tls
from svi_serving.errors import Aborted, FailedPrecondition, NotFound, invalid_field
from svi_serving.fields import set_fields
from svi_serving.files import RemoteFile, fetch
from svi_serving.loras import Loras
from svi_serving.names import request_id_or_new, with_collection
from svi_serving.pages import pages
from svi_serving.progress import ClipBars
from svi_serving.retry import RetryPolicy
from svi_serving.spec import Image, Prompts, VideoOptions, text_list, video_spec
from svi_serving.states import VIDEO_STATES, value_of
from svi_serving.training import TrainingRuns
from svi_serving.v1.video_service_pb2_grpc import VideoServiceStub
from svi_serving.video import Clip, Video, VideoEnded

StateWord = Literal["queued", "running", "waiting", "succeeded", "failed", "cancelled"]


class Client:
    """A connection to svi-server. Thread-safe; close it, or use it in a `with`.

    Whatever a broken connection or a restarted server interrupts goes on where it was, for `retry_for` seconds after
    the last sign of life. Errors are SviError. Names may be given without their `videos/`.
    """

    train: TrainingRuns
    loras: Loras

    def __init__(
        self,
        address: Optional[str] = None,
        *,
        token: Optional[str] = None,
        token_file: Optional[PathLike] = None,
        tls: Union[bool, Tls] = False,
        allow_plaintext: bool = False,
        retry_for: float = 300.0,
    ) -> None:
        """`address`: HOST:PORT, or several servers, `ipv4:10.0.0.1:50051,10.0.0.2:50051`; default: the environment's
        SVI_SERVER, else 127.0.0.1:50051. Without `token` and `token_file`, the environment's SVI_TOKEN is the token if
        it is set. `allow_plaintext` allows a token to be sent without TLS to another machine."""
        endpoint = Endpoint(
            address or os.environ.get("SVI_SERVER") or "127.0.0.1:50051",
            tls=(Tls() if tls else None) if isinstance(tls, bool) else tls,
            token=token,
            token_file=token_file,
            allow_plaintext=allow_plaintext,
        )
        self._calls = Calls(endpoint, RetryPolicy(retry_for=retry_for))
        self._stub = VideoServiceStub(self._calls.channel)
        self.train = TrainingRuns(self._calls)
        self.loras = Loras(self._calls)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the calls that are under way."""
        self._calls.channel.close()

    def generate(
        self,
        image: Image,
        prompts: Prompts,
        *,
        out: Optional[PathLike] = None,
        progress: bool = True,
        request_id: Optional[str] = None,
        **options: Unpack[VideoOptions],
    ) -> Video:
        """Makes a video and fetches its clips as they land: create(), then follow()."""
        video = self.create(image, prompts, request_id=request_id, **options)
        return self._follow(video, out, progress)

    def follow(self, name: str, *, out: Optional[PathLike] = None, progress: bool = True) -> Video:
        """Waits until a video has ended and fetches its clips as they land: into the folder `out` as clip-00000.mp4
        and on, unless they are there already; into memory without it. Raises VideoEnded, with the clips so far, if
        the video fails or is cancelled. Interrupting this does not end the video."""
        return self._follow(self.get(name), out, progress)

    def create(
        self, image: Image, prompts: Prompts, *, request_id: Optional[str] = None, **options: Unpack[VideoOptions]
    ) -> v1.Video:
        """Queues a video. Asking again with the same request_id returns the same video; default: a UUID."""
        request = v1.CreateVideoRequest(
            spec=video_spec(image, prompts, options), request_id=request_id_or_new(request_id)
        )
        return self._calls.unary(self._stub.CreateVideo, request)

    def get(self, name: str) -> v1.Video:
        """The video as it is now, with its finished clips; NotFound if there is none."""
        return self._calls.unary(self._stub.GetVideo, v1.GetVideoRequest(name=_video_name(name)))

    def list(self, *states: StateWord, page_size: int = 50) -> Iterator[v1.Video]:
        """Videos, newest first, without their clips; only those in one of `states` if any are given."""
        request = v1.ListVideosRequest(page_size=page_size)
        request.states.extend(value_of(VIDEO_STATES, state, "states") for state in states)
        return pages(request, lambda: self._calls.unary(self._stub.ListVideos, request), lambda page: page.videos)

    def watch(self, name: str, *, after_sequence: int = 0, durable_only: bool = False) -> Stream[v1.VideoEvent]:
        """Events after `after_sequence` until the video ends. Durable ones have a sequence number and come once each,
        in order; progress may be left out. Ending the watch does not end the video."""
        request = v1.WatchVideoRequest(name=_video_name(name), durable_only=durable_only)

        def open_after(sequence: int) -> Stream[v1.VideoEvent]:
            request.after_sequence = sequence
            return self._calls.stream(self._stub.WatchVideo, request)

        return self._calls.watch(after_sequence, open_after, lambda: self.get(name))

    def append_prompts(self, name: str, prompts: Prompts, *, expected_revision: Optional[int] = None) -> v1.Video:
        """Adds prompts to an open-ended video. Aborted if its revision is not the expected one; without one, that
        which the video has now is demanded: prompts are never appended twice."""
        request = v1.AppendPromptsRequest(name=_video_name(name))
        set_fields(request, "", {"prompts": text_list(prompts), "expected_revision": expected_revision})
        if expected_revision is None:
            request.expected_revision = self.get(name).revision
        try:
            return self._calls.unary(self._stub.AppendPrompts, request)
        except Aborted as error:
            if error.attempts == 1:
                raise
            # Perhaps the attempt whose answer was lost is what changed the revision.
            now = self.get(name)
            ours = now.spec.prompts[-len(request.prompts) :] == request.prompts
            if now.revision != request.expected_revision + 1 or not ours:
                raise
            return now

    def finish(self, name: str, *, expected_revision: Optional[int] = None) -> v1.Video:
        """No more prompts will come: an open-ended video succeeds when those it has are done."""
        request = v1.FinishVideoRequest(name=_video_name(name), expected_revision=expected_revision)
        try:
            return self._calls.unary(self._stub.FinishVideo, request)
        except (Aborted, FailedPrecondition) as error:
            if error.attempts == 1:
                raise
            # Perhaps the attempt whose answer was lost had finished it.
            now = self.get(name)
            if not now.finished or expected_revision not in (None, now.revision - 1):
                raise
            return now

    def cancel(self, name: str) -> v1.Video:
        """Stops at the next denoising step. Finished clips stay."""
        return self._calls.unary(self._stub.CancelVideo, v1.CancelVideoRequest(name=_video_name(name)))

    def delete(self, name: str, *, force: bool = False) -> None:
        """Removes a video that has ended, clips and all; with `force`, an active one, too."""
        try:
            self._calls.unary(self._stub.DeleteVideo, v1.DeleteVideoRequest(name=_video_name(name), force=force))
        except NotFound as error:
            # After the first attempt: the one whose answer was lost had deleted it.
            if error.attempts == 1:
                raise

    def workers(self) -> Sequence[v1.Worker]:
        """The workers that are connected. For operators only, where there are tokens."""
        return self._calls.unary(self._stub.ListWorkers, v1.ListWorkersRequest()).workers

    @overload
    def download_clip(self, clip: Union[str, v1.Clip], out: None = None) -> bytes: ...

    @overload
    def download_clip(self, clip: Union[str, v1.Clip], out: PathLike) -> Path: ...

    @overload
    def download_clip(self, clip: Union[str, v1.Clip], out: Optional[PathLike]) -> Union[bytes, Path]: ...

    def download_clip(self, clip: Union[str, v1.Clip], out: Optional[PathLike] = None) -> Union[bytes, Path]:
        """One clip: its bytes, or into `out`, a folder or a file that ends in .mp4. With the Clip, whose hash is known,
        instead of its name, a file that is there already stays, and one that another process began is continued."""
        known = clip if isinstance(clip, v1.Clip) else v1.Clip(name=_video_name(clip))
        index = known.name.rpartition("/")[2]
        if not index.isdecimal():
            raise invalid_field("name", "a clip is called videos/ID/clips/INDEX")
        request = v1.DownloadClipRequest(name=known.name)

        def open_at(offset: int) -> Stream[v1.DownloadResponse]:
            request.offset = offset
            return self._calls.stream(self._stub.DownloadClip, request)

        file = RemoteFile(f"clip-{int(index):05d}.mp4", known.size_bytes, known.sha256)
        return fetch(file, out, lambda sink: self._calls.download(sink, open_at))

    @overload
    def download_video(self, name: str, out: None = None, *, clips: Optional[int] = None) -> bytes: ...

    @overload
    def download_video(self, name: str, out: PathLike, *, clips: Optional[int] = None) -> Path: ...

    def download_video(
        self, name: str, out: Optional[PathLike] = None, *, clips: Optional[int] = None
    ) -> Union[bytes, Path]:
        """All finished clips, or the first `clips` of them, as one MP4: its bytes, or into `out`, a folder or a file
        that ends in .mp4."""
        request = v1.DownloadVideoRequest(name=_video_name(name), clips=clips)

        def open_at(offset: int) -> Stream[v1.DownloadResponse]:
            request.offset = offset
            return self._calls.stream(self._stub.DownloadVideo, request)

        def on_chunk(chunk: v1.DownloadResponse) -> None:
            # The video may grow meanwhile: a download that is resumed goes on with the file that was begun.
            if chunk.clips != 0:
                request.clips = chunk.clips

        file = RemoteFile(f"{Path(request.name).name}.mp4")
        return fetch(file, out, lambda sink: self._calls.download(sink, open_at, on_chunk))

    def _follow(self, video: v1.Video, out: Optional[PathLike], progress: bool) -> Video:
        clips = []
        with ClipBars(video, progress) as bars, closing(self.watch(video.name)) as events:
            for event in events:
                bars.update(event)
                if event.HasField("clip_done"):
                    clips.append(Clip(event.clip_done, self.download_clip(event.clip_done, out)))
        ended = Video(self.get(video.name), clips)
        if ended.resource.state != v1.VIDEO_STATE_SUCCEEDED:
            raise VideoEnded(ended)
        return ended


def _video_name(name: str) -> str:
    return with_collection("videos/", name)
