"""Progress bars: one for each clip of a video, one for a training run. tqdm draws them in terminals and notebooks."""

from __future__ import annotations

from typing import NoReturn, Optional, TypeVar

from tqdm.auto import tqdm

from svi_serving import v1
from svi_serving.states import STAGES, TRAINING_STATES, VIDEO_STATES, word_of

SelfT = TypeVar("SelfT", bound="_Bars")

_BAR = "{percentage:3.0f}%|{bar}| {desc}"

# Percent of a clip's work that is done when a stage begins, and that the stage is; as `svi` has it.
_SHARES = {
    v1.STAGE_ENCODE: (0, 5),
    v1.STAGE_DENOISE: (5, 80),
    v1.STAGE_DECODE: (85, 12),
    v1.STAGE_MUX: (97, 2),
    v1.STAGE_UPLOAD: (99, 1),
}


class _Bars:
    """In a `with`, so that the bar is closed whatever happens."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown
        self._bar: Optional[tqdm[NoReturn]] = None

    def __enter__(self: SelfT) -> SelfT:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _draw(self, text: str, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = tqdm(total=total, desc=text, disable=not self._shown, bar_format=_BAR)
        self._bar.n = done
        self._bar.set_description_str(text)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class ClipBars(_Bars):
    """Shows what a video's events say."""

    def __init__(self, video: v1.Video, shown: bool) -> None:
        super().__init__(shown)
        self._total = video.clips_total
        self._next = 0  # the clip that the bar is about

    def update(self, event: v1.VideoEvent) -> None:
        """Takes in any event."""
        kind = event.WhichOneof("event")
        if kind == "state_changed":
            self._show_state(event.state_changed)
        elif kind == "clip_started":
            self._show(0, f"starting on {event.clip_started.worker}")
        elif kind == "clip_done":
            clip = event.clip_done
            self._show(100, f"{clip.frame_count} frames, {clip.width}x{clip.height}, {clip.size_bytes} bytes")
            self._close()
            self._next = clip.index + 1
        elif kind == "clip_attempt_failed":
            failed = event.clip_attempt_failed
            self._show(0, f"attempt {failed.attempt} of {failed.max_attempts} failed: {failed.error.message}")
        elif kind == "prompts_changed":
            self._total = event.prompts_changed.clips_total
        # What is late, about a clip that has landed since, says nothing.
        elif kind == "progress" and event.progress.clip_index >= self._next:
            self._show_progress(event.progress)

    def _show_state(self, change: v1.VideoStateChanged) -> None:
        waits = change.state in (v1.VIDEO_STATE_QUEUED, v1.VIDEO_STATE_WAITING)
        # An ended video needs no new bar.
        if waits or (self._bar is not None and change.state != v1.VIDEO_STATE_RUNNING):
            self._show(0, word_of(VIDEO_STATES, change.state))

    def _show_progress(self, progress: v1.Progress) -> None:
        before, share = _SHARES.get(progress.stage, (0, 0))
        done = progress.step / progress.total if progress.total else 0.0
        text = f"{word_of(STAGES, progress.stage)} {progress.step}/{progress.total}"
        if progress.HasField("eta"):
            text += f", {tqdm.format_interval(progress.eta.seconds)} left"
        self._show(round(before + share * min(1.0, done)), text)

    def _show(self, percent: int, text: str) -> None:
        self._draw(f"clip {self._next + 1}/{max(self._total, self._next + 1)}: {text}", percent, 100)


class RunBar(_Bars):
    """Shows what a training run's events say."""

    def __init__(self, run: v1.TrainingRun, shown: bool) -> None:
        super().__init__(shown)
        self._run = run

    def update(self, event: v1.TrainingEvent) -> None:
        """Takes in any event."""
        if event.HasField("progress"):
            self._run.progress.CopyFrom(event.progress)
        if event.HasField("state_changed"):
            self._run.state = event.state_changed.state
        now, total = self._run.progress, self._run.spec.max_steps
        text = word_of(TRAINING_STATES, self._run.state)
        if self._run.state == v1.TRAINING_STATE_RUNNING:
            rate = f"loss {now.loss:.4g}, {now.samples_per_second:.2f} samples/s"
            text = now.phase or f"step {now.step}/{total}, {rate}"
        done = total if self._run.state == v1.TRAINING_STATE_SUCCEEDED else now.step
        self._draw(f"{self._run.name}: {text}", done, total)
