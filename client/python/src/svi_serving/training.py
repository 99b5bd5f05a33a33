"""Client.train: training runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Literal, Optional

from svi_serving import v1
from svi_serving.calls import Calls, Stream
from svi_serving.errors import Ended
from svi_serving.names import request_id_or_new, with_collection
from svi_serving.pages import pages
from svi_serving.progress import RunBar
from svi_serving.states import TRAINING_STATES, value_of
from svi_serving.v1.training_service_pb2_grpc import TrainingServiceStub

StateWord = Literal["queued", "running", "succeeded", "failed", "cancelled"]


class TrainingRuns:
    """Names may be given without their `trainingRuns/`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._stub = TrainingServiceStub(calls.channel)

    def create(self, spec: v1.TrainingSpec, *, request_id: Optional[str] = None) -> v1.TrainingRun:
        """Queues a run: create(v1.TrainingSpec(dataset="my-videos", max_steps=2000, lora_name="pro"))."""
        request = v1.CreateTrainingRunRequest(spec=spec, request_id=request_id_or_new(request_id))
        return self._calls.unary(self._stub.CreateTrainingRun, request)

    def get(self, name: str) -> v1.TrainingRun:
        """The run as it is now; NotFound if there is none."""
        return self._calls.unary(self._stub.GetTrainingRun, v1.GetTrainingRunRequest(name=_run_name(name)))

    def list(self, *states: StateWord, page_size: int = 50) -> Iterator[v1.TrainingRun]:
        """Runs, newest first; only those in one of `states` if any are given."""
        request = v1.ListTrainingRunsRequest(page_size=page_size)
        request.states.extend(value_of(TRAINING_STATES, state, "states") for state in states)
        return pages(
            request, lambda: self._calls.unary(self._stub.ListTrainingRuns, request), lambda page: page.training_runs
        )

    def watch(self, name: str, *, after_sequence: int = 0, durable_only: bool = False) -> Stream[v1.TrainingEvent]:
        """As Client.watch."""
        request = v1.WatchTrainingRunRequest(name=_run_name(name), durable_only=durable_only)

        def open_after(sequence: int) -> Stream[v1.TrainingEvent]:
            request.after_sequence = sequence
            return self._calls.stream(self._stub.WatchTrainingRun, request)

        return self._calls.watch(after_sequence, open_after, lambda: self.get(name))

    def follow(self, name: str, *, progress: bool = True) -> v1.TrainingRun:
        """Waits until a run has ended; raises TrainingEnded if it fails or is cancelled."""
        with RunBar(self.get(name), progress) as bar, closing(self.watch(name)) as events:
            for event in events:
                bar.update(event)
        run = self.get(name)
        if run.state != v1.TRAINING_STATE_SUCCEEDED:
            raise TrainingEnded(run)
        return run

    def cancel(self, name: str) -> v1.TrainingRun:
        """Stops the trainer after the step under way, with a checkpoint."""
        return self._calls.unary(self._stub.CancelTrainingRun, v1.CancelTrainingRunRequest(name=_run_name(name)))


class TrainingEnded(Ended):
    """The run failed, or was cancelled: code CANCELLED."""

    def __init__(self, run: v1.TrainingRun) -> None:
        super().__init__(run.name, run.error if run.HasField("error") else None)
        self.run = run


def _run_name(name: str) -> str:
    return with_collection("trainingRuns/", name)
