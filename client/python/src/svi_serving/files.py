"""Bytes that arrive in pieces, and count only once their SHA-256 is right: into a file or into memory."""

from __future__ import annotations

import abc
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Callable, Optional, Union

from svi_serving.endpoint import PathLike
from svi_serving.errors import DataLoss


class Sink(abc.ABC):
    """Where a download goes. `expected` is the SHA-256 that the bytes must have, empty if it is not known yet."""

    def __init__(self, what: str, expected: bytes) -> None:
        self._what = what
        self._expected = expected
        self._digest = hashlib.sha256()
        self.size = 0
        """Bytes there so far: where the next piece starts."""

    def append(self, data: bytes) -> None:
        """The next piece."""
        self._digest.update(data)
        self.size += len(data)
        self._write(data)

    def restart(self) -> None:
        """Forgets all bytes."""
        self._digest = hashlib.sha256()
        self.size = 0
        self._clear()

    def commit(self, sha256: bytes) -> None:
        """All is there, and should be what the server says it is; DataLoss if not."""
        actual, wanted = self._digest.digest(), self._expected or sha256
        if not actual == wanted == sha256:
            raise DataLoss(f"{self._what} arrived damaged: its SHA-256 is {actual.hex()}, not {wanted.hex()}")
        self._keep()

    @abc.abstractmethod
    def _write(self, data: bytes) -> None: ...

    @abc.abstractmethod
    def _clear(self) -> None: ...

    def _keep(self) -> None:
        """What makes whole bytes final."""


class MemorySink(Sink):
    """Keeps the bytes."""

    def __init__(self, what: str, expected: bytes = b"") -> None:
        super().__init__(what, expected)
        self._pieces: list[bytes] = []

    def _write(self, data: bytes) -> None:
        self._pieces.append(data)

    def _clear(self) -> None:
        self._pieces.clear()

    def value(self) -> bytes:
        """All bytes so far."""
        return b"".join(self._pieces)


class FileSink(Sink):
    """Writes to a hidden part file beside `path`, which gets its name with the commit. A part file that an earlier
    process left behind (`svi` names them alike) is continued when the hash is known beforehand, since its name
    carries the hash. To be used in a `with`; makes the folder."""

    def __init__(self, path: Path, expected: bytes = b"") -> None:
        super().__init__(str(path), expected)
        path.parent.mkdir(parents=True, exist_ok=True)
        tag = expected.hex()[:16] if expected else str(os.getpid())
        self._path = path
        self._part = path.with_name(f".{path.name}.{tag}.part")
        self._committed = False
        # Appending makes the file, and keeps what is there.
        self._file: BinaryIO = open(self._part, "a+b")
        if expected:
            self._hash_existing()
        else:
            self.restart()

    def __enter__(self) -> FileSink:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if not self._committed and (not self._expected or self.size == 0):
            self._part.unlink()

    def _hash_existing(self) -> None:
        self._file.seek(0)
        self._digest, self.size = _hash(self._file)

    def _write(self, data: bytes) -> None:
        self._file.write(data)

    def _clear(self) -> None:
        self._file.truncate(0)

    def _keep(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._part.replace(self._path)
        self._committed = True


@dataclass(frozen=True)
class RemoteFile:
    """A file of the server's, as far as it is known before it is fetched."""

    name: str
    """What it is called where `out` is a folder."""
    size: int = 0
    sha256: bytes = b""


def fetch(file: RemoteFile, out: Optional[PathLike], download: Callable[[Sink], None]) -> Union[bytes, Path]:
    """The bytes; or with `out`, the path of the file that has them now: `out` itself if it ends as the file's name
    does, else a file in the folder `out`. A file that has the right bytes already stays."""
    if out is None:
        memory = MemorySink(file.name, file.sha256)
        download(memory)
        return memory.value()
    path = Path(out)
    if path.suffix != Path(file.name).suffix:
        path = path / file.name
    if not _is_there(file, path):
        with FileSink(path, file.sha256) as sink:
            download(sink)
    return path


def _is_there(file: RemoteFile, path: Path) -> bool:
    if not file.sha256 or not path.is_file() or path.stat().st_size != file.size:
        return False
    with open(path, "rb") as there:
        return _hash(there)[0].digest() == file.sha256


def _hash(file: BinaryIO) -> tuple[hashlib._Hash, int]:
    """Of the rest of a file; and how many bytes that was."""
    digest, size = hashlib.sha256(), 0
    for piece in iter(lambda: file.read(1 << 20), b""):
        digest.update(piece)
        size += len(piece)
    return digest, size
