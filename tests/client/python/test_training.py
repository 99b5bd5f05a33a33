"""A run from the queue to a LoRA that a video uses."""

from __future__ import annotations

import json
import re

import pytest
from cluster import BOAT, SMALL, Cluster

from svi_serving import Client, InvalidArgument, NotFound, TrainingEnded, v1


def test_a_lora_is_trained_fetched_and_used(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.start_server()
    cluster.start_worker()
    data = cluster.folder / "videos"
    with Client(cluster.address) as client:
        plain = client.generate(BOAT, "a boat", out=data, progress=False, **SMALL)
        (data / "set.jsonl").write_text(json.dumps({"path": "clip-00000.mp4", "prompt": "a boat"}) + "\n")
        cluster.start_worker("--mode=training", f"--train-dir={cluster.folder / 'train'}", f"--train-data={data}")
        spec = v1.TrainingSpec(
            dataset="set.jsonl", lora_name="boats", width=64, height=64, num_frames=17, max_steps=4, lora_rank=4
        )
        run = client.train.create(spec)
        done = client.train.follow(run.name)
        assert done.lora == "loras/boats" and done.progress.step == 4
        assert re.search(rf"100%\|.*\| {run.name}: succeeded", capsys.readouterr().err)
        assert [listed.name for listed in client.train.list("succeeded")] == [run.name]
        sequences = [event.sequence for event in client.train.watch(run.name, durable_only=True)]
        assert sequences == list(range(1, done.last_sequence + 1))

        assert [lora.name for lora in client.loras.list()] == ["loras/boats"]
        path = client.loras.download("boats", cluster.folder)
        assert path == cluster.folder / "boats.safetensors"
        assert len(client.loras.download("boats")) == path.stat().st_size == client.loras.get("boats").size_bytes
        with_lora = client.generate(BOAT, "a boat", loras={"boats": 4.0}, progress=False, **SMALL)
        assert with_lora.clips[0].read() != plain.clips[0].read()

        client.loras.delete("boats")
        with pytest.raises(NotFound):
            client.loras.get("boats")


def test_a_run_can_be_cancelled(client: Client) -> None:
    run = client.train.create(v1.TrainingSpec(dataset="set", max_steps=1))  # nobody takes it
    assert client.train.cancel(run.name).state == v1.TRAINING_STATE_CANCELLED
    with pytest.raises(TrainingEnded, match="was cancelled"):
        client.train.follow(run.name, progress=False)


def test_a_wrong_specification_is_named(client: Client) -> None:
    with pytest.raises(InvalidArgument, match=r"spec\.max_steps"):
        client.train.create(v1.TrainingSpec(dataset="set"))
