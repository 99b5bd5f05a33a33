"""svi-server and svi-worker as real processes, and what they say."""

from __future__ import annotations

import subprocess
import threading

TIMEOUT = 60.0  # seconds; only a test that fails waits as long


class Process:
    def __init__(self, *args: object) -> None:
        self._lines: list[str] = []
        self._said = threading.Condition()
        self._ended = False
        # It dies with the tests, however they end.
        command = ["setpriv", "--pdeathsig", "KILL", *map(str, args)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._said:
                self._lines.append(line.rstrip("\n"))
                self._said.notify_all()
        with self._said:
            self._ended = True
            self._said.notify_all()

    def wait_for_text(self, text: str) -> str:
        """The first line that has it."""

        def found() -> str | None:
            return next((line for line in self._lines if text in line), None)

        with self._said:
            self._said.wait_for(lambda: found() is not None or self._ended, TIMEOUT)
            line = found()
            assert line is not None, f"the process did not say {text!r}:\n" + "\n".join(self._lines)
            return line

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()


def run(*args: object) -> str:
    """What a command prints that must succeed."""
    return subprocess.run([*map(str, args)], check=True, capture_output=True, text=True, timeout=TIMEOUT).stdout
