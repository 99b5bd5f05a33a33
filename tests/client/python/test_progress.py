"""The bars, from events. Which progress a watch brings depends on time, so these are made here."""

from __future__ import annotations

import re

import pytest

from svi_serving import v1
from svi_serving.progress import ClipBars, RunBar


def shown_by(capsys: pytest.CaptureFixture[str]) -> str:
    """What the bar reads now, without the drawing."""
    line = re.split(r"[\r\n]", capsys.readouterr().err.rstrip())[-1]
    return re.sub(r"\|.*\|", "|", line).strip()


def progress(clip: int, stage: v1.Stage.ValueType, step: int, total: int) -> v1.VideoEvent:
    return v1.VideoEvent(progress=v1.Progress(clip_index=clip, stage=stage, step=step, total=total))


def test_a_bar_follows_a_clip(capsys: pytest.CaptureFixture[str]) -> None:
    clip = v1.Clip(index=0, frame_count=17, width=64, height=32, size_bytes=1000)
    with ClipBars(v1.Video(clips_total=2), shown=True) as bars:
        for event, text in (
            (v1.VideoEvent(state_changed=v1.VideoStateChanged(state=v1.VIDEO_STATE_QUEUED)), "0%| clip 1/2: queued"),
            (v1.VideoEvent(clip_started=v1.ClipStarted(worker="workers/w")), "0%| clip 1/2: starting on workers/w"),
            (progress(0, v1.STAGE_ENCODE, 1, 2), "2%| clip 1/2: encode 1/2"),
            (progress(0, v1.STAGE_DENOISE, 5, 10), "45%| clip 1/2: denoise 5/10"),
            (
                v1.VideoEvent(
                    clip_attempt_failed=v1.ClipAttemptFailed(
                        attempt=1, max_attempts=3, error=v1.Failure(message="out of memory")
                    )
                ),
                "0%| clip 1/2: attempt 1 of 3 failed: out of memory",
            ),
            (v1.VideoEvent(clip_done=clip), "100%| clip 1/2: 17 frames, 64x32, 1000 bytes"),
            (v1.VideoEvent(prompts_changed=v1.PromptsChanged(clips_total=3)), ""),
            (progress(0, v1.STAGE_UPLOAD, 2, 2), ""),  # late
            (progress(1, v1.STAGE_DECODE, 0, 5), "85%| clip 2/3: decode 0/5"),
            (
                v1.VideoEvent(state_changed=v1.VideoStateChanged(state=v1.VIDEO_STATE_CANCELLED)),
                "0%| clip 2/3: cancelled",
            ),
        ):
            bars.update(event)
            assert shown_by(capsys) == text


def test_a_bar_follows_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    def event(**progress: object) -> v1.TrainingEvent:
        return v1.TrainingEvent(progress=v1.TrainingProgress(**progress))  # type: ignore[arg-type]

    run = v1.TrainingRun(name="trainingRuns/r", state=v1.TRAINING_STATE_QUEUED, spec=v1.TrainingSpec(max_steps=8))
    with RunBar(run, shown=True) as bar:
        for change, text in (
            (v1.TrainingStateChanged(state=v1.TRAINING_STATE_QUEUED), "0%| trainingRuns/r: queued"),
            (v1.TrainingStateChanged(state=v1.TRAINING_STATE_RUNNING), "0%| trainingRuns/r: step 0/8, "),
            (event(phase="encoding 1 of 3 videos"), "0%| trainingRuns/r: encoding 1 of 3 videos"),
            (
                event(step=4, loss=0.25, samples_per_second=1.5),
                "50%| trainingRuns/r: step 4/8, loss 0.25, 1.50 samples/s",
            ),
            (v1.TrainingStateChanged(state=v1.TRAINING_STATE_SUCCEEDED), "100%| trainingRuns/r: succeeded"),
        ):
            is_state = isinstance(change, v1.TrainingStateChanged)
            bar.update(v1.TrainingEvent(state_changed=change) if is_state else change)
            assert shown_by(capsys).startswith(text)


def test_no_bar_when_none_is_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    with ClipBars(v1.Video(clips_total=2), shown=False) as bars:
        bars.update(progress(0, v1.STAGE_DENOISE, 5, 10))
    assert capsys.readouterr().err == ""
