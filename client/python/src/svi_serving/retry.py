"""When to try again, and for how long."""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass

from svi_serving.errors import SviError

_log = logging.getLogger("svi_serving")


@dataclass(frozen=True)
class RetryPolicy:
    """All times in seconds."""

    retry_for: float = 300.0
    """A call is made again for this long after the last sign of life; 0: never again."""
    initial_backoff: float = 0.2
    """Doubles each time, with jitter."""
    max_backoff: float = 10.0
    call_timeout: float = 300.0
    """Of one attempt at a call that is not a stream."""


class Retry:
    """Exponential back-off with jitter, until nothing has been heard for RetryPolicy.retry_for."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._attempts = 1
        self.alive()

    def alive(self) -> None:
        """Something arrived: the patience starts anew."""
        self._heard = time.monotonic()
        self._backoff = self._policy.initial_backoff

    def wait(self, error: SviError) -> None:
        """Returns when the call should be made again; raises `error` if it should not."""
        error.attempts = self._attempts
        wait = max(self._backoff * random.uniform(0.5, 1.0), error.retry_delay)
        if not error.retryable or time.monotonic() + wait - self._heard > self._policy.retry_for:
            raise error
        _log.warning("%s; trying again in %.1f s", error, wait)
        time.sleep(wait)
        self._backoff = min(self._backoff * 2, self._policy.max_backoff)
        self._attempts += 1
