"""A video that has ended, with its clips: what generate() returns and a notebook shows."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

from svi_serving import v1
from svi_serving.errors import Ended
from svi_serving.states import VIDEO_STATES, word_of

_MAX_EMBEDDED_BYTES = 64 << 20  # of MP4 in one notebook cell; more of it makes browsers slow


@dataclass(frozen=True, repr=False)
class Clip:
    """One finished clip, fetched and verified."""

    resource: v1.Clip
    content: Union[Path, bytes]
    """Where the MP4 is, or the MP4."""

    @property
    def index(self) -> int:
        return self.resource.index

    @property
    def prompt(self) -> str:
        return self.resource.prompt

    @property
    def path(self) -> Optional[Path]:
        """None if it is in memory."""
        return self.content if isinstance(self.content, Path) else None

    def read(self) -> bytes:
        """The MP4."""
        return self.content.read_bytes() if isinstance(self.content, Path) else self.content

    def __repr__(self) -> str:
        return f"<{self.resource.name}: {self.path or f'{self.resource.size_bytes} bytes'}>"

    def _repr_html_(self) -> str:
        return _players([self])


@dataclass(frozen=True, repr=False)
class Video:
    """The video as it ended, and those of its clips that were fetched, in order."""

    resource: v1.Video
    clips: Sequence[Clip]

    @property
    def name(self) -> str:
        return self.resource.name

    def __repr__(self) -> str:
        return f"<{self._summary()}>"

    def _repr_html_(self) -> str:
        """The clips, playable, as notebooks show them."""
        return f"<p>{html.escape(self._summary())}</p>{_players(self.clips)}"

    def _summary(self) -> str:
        state = word_of(VIDEO_STATES, self.resource.state)
        return f"{self.name} {state}: {self.resource.clips_done} of {self.resource.clips_total} clips"


class VideoEnded(Ended):
    """The video failed, or was cancelled: code CANCELLED."""

    def __init__(self, video: Video) -> None:
        super().__init__(video.name, video.resource.error if video.resource.HasField("error") else None)
        self.video = video
        """With the clips that were made before."""


def _players(clips: Sequence[Clip]) -> str:
    shown = []
    budget = _MAX_EMBEDDED_BYTES
    for clip in clips:
        caption = html.escape(f"{clip.index}: {clip.prompt}")
        budget -= clip.resource.size_bytes
        player = _embedded(clip.read()) if budget >= 0 else f"<code>{html.escape(repr(clip))}</code>"
        shown.append(f"<figure style='margin:4px'>{player}<figcaption>{caption}</figcaption></figure>")
    return f"<div style='display:flex;flex-wrap:wrap'>{''.join(shown)}</div>"


def _embedded(mp4: bytes) -> str:
    data = base64.b64encode(mp4).decode("ascii")
    return f"<video controls loop muted src='data:video/mp4;base64,{data}' style='max-width:400px'></video>"
