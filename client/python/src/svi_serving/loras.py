"""Client.loras: the LoRAs that training runs have published."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Optional, Union, overload

from svi_serving import v1
from svi_serving.calls import Calls, Stream
from svi_serving.endpoint import PathLike
from svi_serving.errors import NotFound
from svi_serving.files import RemoteFile, fetch
from svi_serving.names import with_collection
from svi_serving.pages import pages
from svi_serving.v1.training_service_pb2_grpc import TrainingServiceStub


class Loras:
    """Names may be given without their `loras/`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._stub = TrainingServiceStub(calls.channel)

    def get(self, name: str) -> v1.Lora:
        """Its size, hash, rank and so on; NotFound if there is none."""
        return self._calls.unary(self._stub.GetLora, v1.GetLoraRequest(name=_lora_name(name)))

    def list(self, *, page_size: int = 50) -> Iterator[v1.Lora]:
        """By name."""
        request = v1.ListLorasRequest(page_size=page_size)
        return pages(request, lambda: self._calls.unary(self._stub.ListLoras, request), lambda page: page.loras)

    def delete(self, name: str) -> None:
        """Videos that still need it fail with LORA_NOT_FOUND."""
        try:
            self._calls.unary(self._stub.DeleteLora, v1.DeleteLoraRequest(name=_lora_name(name)))
        except NotFound as error:
            # After the first attempt: the one whose answer was lost had deleted it.
            if error.attempts == 1:
                raise

    @overload
    def download(self, name: str, out: None = None) -> bytes: ...

    @overload
    def download(self, name: str, out: PathLike) -> Path: ...

    def download(self, name: str, out: Optional[PathLike] = None) -> Union[bytes, Path]:
        """The safetensors file: its bytes, or into `out`, a folder or a file that ends in .safetensors. A file that is
        there already stays, and one that another process began is continued."""
        lora = self.get(name)
        request = v1.DownloadLoraRequest(name=lora.name)

        def open_at(offset: int) -> Stream[v1.DownloadLoraResponse]:
            request.offset = offset
            return self._calls.stream(self._stub.DownloadLora, request)

        file = RemoteFile(f"{Path(lora.name).name}.safetensors", lora.size_bytes, lora.sha256)
        return fetch(file, out, lambda sink: self._calls.download(sink, open_at))


def _lora_name(name: str) -> str:
    return with_collection("loras/", name)
