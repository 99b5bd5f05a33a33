"""A VideoService on a real socket that does what a test scripts: breaks calls, damages bytes, gives RetryInfo."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
from google.rpc import error_details_pb2, status_pb2

from svi_serving import v1
from svi_serving.v1.video_service_pb2_grpc import (
    VideoServiceServicer,
    add_VideoServiceServicer_to_server,
)

CLIP = bytes(range(256)) * 14
CHUNK = 1000
EVENTS = 8


class ScriptedService(VideoServiceServicer):
    """One video, "videos/v", of one clip. Faults are taken from the scripts, one a call."""

    def __init__(self) -> None:
        self._server = grpc.server(ThreadPoolExecutor(4))
        add_VideoServiceServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self.watch_faults: list[int] = []  # messages after which the next watches break
        self.watch_gaps: list[int] = []  # sequence numbers that the next watches leave out
        self.watch_repeats = 0  # how many events from before the asked one every watch sends again
        self.leaves_politely = False  # faults of watches are ends with OK, as of a server that is told to stop
        self.download_faults: list[int] = []  # messages after which the next downloads break
        self.damaged_downloads = 0  # how many of the next carry a flipped byte
        self.faster_prompts: list[str] = []  # somebody else appends these while the next appends are lost on their way
        self.lost_answers = 0  # how many of the next unary calls are done, and their answers lost
        self.refusals: list[float] = []  # the next creations are refused with this RetryInfo, seconds
        self.video = v1.Video(name="videos/v", state=v1.VIDEO_STATE_SUCCEEDED, last_sequence=EVENTS)
        # What happened.
        self.request_ids: list[str] = []
        self.watched_after: list[int] = []
        self.offsets: list[int] = []
        self.clips_asked: list[int] = []
        self.deleted = False

    def __enter__(self) -> ScriptedService:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()

    def CreateVideo(self, request: v1.CreateVideoRequest, context: grpc.ServicerContext) -> v1.Video:
        self.request_ids.append(request.request_id)
        if self.refusals:
            retry = error_details_pb2.RetryInfo()
            retry.retry_delay.FromMilliseconds(int(self.refusals.pop(0) * 1000))
            status = status_pb2.Status(code=grpc.StatusCode.RESOURCE_EXHAUSTED.value[0], message="too many")
            for detail in (retry, error_details_pb2.ErrorInfo(reason="QUOTA_EXCEEDED")):
                status.details.add().Pack(detail)
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many")
        return self._answer(context)

    def GetVideo(self, request: v1.GetVideoRequest, context: grpc.ServicerContext) -> v1.Video:
        return self.video

    def AppendPrompts(self, request: v1.AppendPromptsRequest, context: grpc.ServicerContext) -> v1.Video:
        if self.faster_prompts:
            self.video.revision += 1
            self.video.spec.prompts.append(self.faster_prompts.pop(0))
            context.abort(grpc.StatusCode.UNAVAILABLE, "broken")
        if request.expected_revision != self.video.revision:
            context.abort(grpc.StatusCode.ABORTED, "another revision")
        self.video.revision += 1
        self.video.spec.prompts.extend(request.prompts)
        return self._answer(context)

    def FinishVideo(self, request: v1.FinishVideoRequest, context: grpc.ServicerContext) -> v1.Video:
        if self.video.finished:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, "finished already")
        self.video.finished = True
        return self._answer(context)

    def DeleteVideo(self, request: v1.DeleteVideoRequest, context: grpc.ServicerContext) -> object:
        if self.deleted:
            context.abort(grpc.StatusCode.NOT_FOUND, "there is no video")
        self.deleted = True
        self._answer(context)
        raise AssertionError("the tests lose the first answer")

    def WatchVideo(self, request: v1.WatchVideoRequest, context: grpc.ServicerContext) -> Iterator[v1.VideoEvent]:
        self.watched_after.append(request.after_sequence)
        fault = self.watch_faults.pop(0) if self.watch_faults else EVENTS
        gap = self.watch_gaps.pop(0) if self.watch_gaps else 0
        first = max(1, request.after_sequence + 1 - self.watch_repeats)
        for sequence in range(first, EVENTS + 1)[:fault]:
            if sequence != gap:
                yield v1.VideoEvent(sequence=sequence)
        if fault < EVENTS and not self.leaves_politely:
            context.abort(grpc.StatusCode.UNAVAILABLE, "broken")

    def DownloadClip(
        self, request: v1.DownloadClipRequest, context: grpc.ServicerContext
    ) -> Iterator[v1.DownloadResponse]:
        self.offsets.append(request.offset)
        fault = self.download_faults.pop(0) if self.download_faults else len(CLIP)
        content = bytearray(CLIP)
        if self.damaged_downloads > 0:
            self.damaged_downloads -= 1
            content[-1] ^= 1
        for offset in range(request.offset, len(content), CHUNK)[:fault]:
            yield v1.DownloadResponse(offset=offset, data=bytes(content[offset : offset + CHUNK]), clips=3)
        if fault < len(CLIP):
            context.abort(grpc.StatusCode.UNAVAILABLE, "broken")
        yield v1.DownloadResponse(sha256=hashlib.sha256(CLIP).digest())

    def DownloadVideo(
        self, request: v1.DownloadVideoRequest, context: grpc.ServicerContext
    ) -> Iterator[v1.DownloadResponse]:
        self.clips_asked.append(request.clips)
        return self.DownloadClip(v1.DownloadClipRequest(offset=request.offset), context)

    def _answer(self, context: grpc.ServicerContext) -> v1.Video:
        if self.lost_answers > 0:
            self.lost_answers -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "broken")
        return self.video
