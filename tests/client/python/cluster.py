"""A server and workers on loopback, with the tiny random model."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.request import urlopen

from processes import Process

BOAT = Path(__file__).resolve().parents[2] / "data" / "boat.jpg"

# Makes a video small and quick.
SMALL = {"width": 64, "height": 64, "num_frames": 17, "num_inference_steps": 2, "seed": 11}


class Cluster:
    """To be used in a `with`, which ends what still runs."""

    def __init__(self, binaries: Path, model: Path, folder: Path) -> None:
        self.binaries = binaries
        self.folder = folder
        self._model = model
        self._running: list[Process] = []
        self._port = 0  # any, until there is one
        self._metrics_url = ""

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            process.kill()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def start_server(self, *flags: str) -> Process:
        """At the same address if there was one before."""
        server = self._start(
            "svi-server",
            f"--listen={self.address}",
            "--metrics-listen=127.0.0.1:0",
            f"--data-dir={self.folder / 'data'}",
            "--heartbeat-interval=200ms",
            "--lease-timeout=3s",
            *flags,
        )
        self._port = int(server.wait_for_text("svi-server: listening on ").rpartition(":")[2])
        metrics = server.wait_for_text("svi-server: metrics on ").rpartition(" ")[2]
        self._metrics_url = f"http://{metrics}/metrics"
        return server

    def start_worker(self, *flags: str) -> Process:
        """Registered on return."""
        common = [f"--server={self.address}", f"--model={self._model}", "--metrics-listen=", "--threads=1"]
        worker = self._start("svi-worker", *common, "--device=cpu", *flags)
        worker.wait_for_text("registered with")
        return worker

    def metric(self, series: str) -> float:
        """Of the server; 0 if it has no such series yet."""
        with urlopen(self._metrics_url) as answer:
            text = answer.read().decode()
        found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
        return float(found.group(1)) if found else 0.0

    def _start(self, program: str, *flags: str) -> Process:
        process = Process(self.binaries / program, *flags)
        self._running.append(process)
        return process
