"""How calls are made, whatever the service: again after a failure of the connection, watches from the event where
they broke off, downloads from the byte."""

from __future__ import annotations

from collections.abc import Generator
from typing import Callable, Optional, Protocol, TypeVar

import grpc

from svi_serving.endpoint import Endpoint
from svi_serving.errors import DataLoss, SviError, Unavailable, from_rpc
from svi_serving.files import Sink
from svi_serving.retry import Retry, RetryPolicy
from svi_serving.states import Watched, is_final


class Event(Protocol):
    """Durable if `sequence` is not 0."""

    sequence: int


class Chunk(Protocol):
    """A piece of a file."""

    offset: int
    data: bytes
    sha256: bytes


RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")
EventT = TypeVar("EventT", bound=Event)
ChunkT = TypeVar("ChunkT", bound=Chunk)

Stream = Generator[ResponseT, None, None]
"""Whoever stops reading early ends the call with close()."""


class Calls:
    """The calls of one client. Thread-safe. Errors are SviError."""

    def __init__(self, endpoint: Endpoint, policy: RetryPolicy) -> None:
        self._endpoint = endpoint
        self._policy = policy
        self.channel = endpoint.open_channel()

    def unary(self, method: grpc.UnaryUnaryMultiCallable[RequestT, ResponseT], request: RequestT) -> ResponseT:
        """The answer, after as many attempts as the policy allows."""
        retry = Retry(self._policy)
        while True:
            try:
                return method(request, timeout=self._policy.call_timeout, metadata=self._endpoint.metadata())
            except grpc.RpcError as error:
                failure = from_rpc(error)
            retry.wait(failure)

    def stream(
        self, method: grpc.UnaryStreamMultiCallable[RequestT, ResponseT], request: RequestT
    ) -> Stream[ResponseT]:
        """A single attempt."""
        call = method(request, metadata=self._endpoint.metadata())
        try:
            yield from call
        except grpc.RpcError as error:
            raise from_rpc(error) from None
        finally:
            call.cancel()

    def watch(
        self, after_sequence: int, open_after: Callable[[int], Stream[EventT]], get: Callable[[], Watched]
    ) -> Stream[EventT]:
        """Each event after `after_sequence` until the resource has ended; durable ones once each, in order, whatever
        happens to the connection. `open_after` starts a stream after a sequence number."""
        last = after_sequence
        retry = Retry(self._policy)
        while True:
            failure: Optional[SviError] = None
            events = open_after(last)
            try:
                for event in events:
                    if event.sequence != 0 and event.sequence <= last:
                        continue
                    if event.sequence > last + 1:
                        raise Unavailable(f"events after {last} did not arrive")
                    retry.alive()
                    last = event.sequence or last
                    yield event
            except SviError as error:
                failure = error
            finally:
                events.close()
            if failure is None:
                # The server is done; or it is stopping and took its leave politely.
                resource = get()
                if is_final(resource) and resource.last_sequence <= last:
                    return
                failure = Unavailable("the watch ended too early")
            retry.wait(failure)

    def download(
        self,
        sink: Sink,
        open_at: Callable[[int], Stream[ChunkT]],
        on_chunk: Optional[Callable[[ChunkT], None]] = None,
    ) -> None:
        """Fetches what `sink` does not have yet, verifies it and commits it. Bytes that prove damaged are fetched once
        more from the start; then DataLoss. `open_at` starts a stream at a byte; `on_chunk` sees every message."""
        retry = Retry(self._policy)
        restarted = False
        while True:
            chunks = open_at(sink.size)
            try:
                sha256 = b""
                for chunk in chunks:
                    retry.alive()
                    if on_chunk is not None:
                        on_chunk(chunk)
                    sha256 = chunk.sha256 or sha256
                    _take(chunk, sink)
                if not sha256:
                    raise Unavailable("the download ended before the file did")
                sink.commit(sha256)
                return
            except SviError as error:
                failure = error
            finally:
                chunks.close()
            if isinstance(failure, DataLoss) or failure.code is grpc.StatusCode.OUT_OF_RANGE:
                # Wrong bytes, perhaps an earlier process's: once more from the start.
                sink.restart()
                if not restarted:
                    restarted = True
                    continue
            retry.wait(failure)


def _take(chunk: Chunk, sink: Sink) -> None:
    if not chunk.data:
        return
    if chunk.offset != sink.size:
        raise DataLoss(f"the server sent byte {chunk.offset} where {sink.size} was due")
    sink.append(chunk.data)
