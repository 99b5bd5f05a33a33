"""What goes wrong, as exceptions: the server's judgement with its google.rpc details, or the connection's fate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from svi_serving import v1

DetailT = TypeVar("DetailT", bound=Message)


@dataclass(frozen=True)
class FieldViolation:
    """One field of a request that is wrong."""

    field: str
    """As in the proto file, from the request down: `spec.prompts[0]`."""
    description: str


class SviError(Exception):
    """Any error of this package. Subclasses tell the codes apart that a program may want to."""

    code: grpc.StatusCode = grpc.StatusCode.UNKNOWN

    def __init__(
        self,
        message: str,
        *,
        code: Optional[grpc.StatusCode] = None,
        reason: str = "",
        field_violations: tuple[FieldViolation, ...] = (),
        retry_delay: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.reason = reason
        """Machine-readable, UPPER_SNAKE_CASE, from google.rpc.ErrorInfo; empty if the server did not judge."""
        self.field_violations = field_violations
        self.retry_delay = retry_delay
        """Seconds that the server asks to wait before another attempt; 0: it asked for none."""
        self.attempts = 1
        """How many attempts were made; after the first, an earlier one may have succeeded unseen."""

    def __str__(self) -> str:
        lines = [f"{self.code.name}: {self.message}"]
        for violation in self.field_violations:
            text = f"{violation.field}: {violation.description}"
            # The message of a single violation is the violation.
            if text != self.message:
                lines.append(text)
        if self.reason:
            lines.append(f"reason: {self.reason}")
        return "\n  ".join(lines)

    @property
    def retryable(self) -> bool:
        """Whether the connection, rather than the server's judgement, ended the call: it may be made again."""
        if self.code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            return True
        if self.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            return self.retry_delay > 0
        # A server that stops cancels its streams; a proxy that goes away resets them. Neither gives our reasons.
        if self.code is grpc.StatusCode.CANCELLED:
            return not self.reason
        return self.code is grpc.StatusCode.UNKNOWN and self.message == "Stream removed"


class InvalidArgument(SviError):
    """A request that is wrong whatever the server's state; `field_violations` names each bad field."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class NotFound(SviError):
    """There is no such thing, or it is another tenant's."""

    code = grpc.StatusCode.NOT_FOUND


class AlreadyExists(SviError):
    """A LoRA's name is taken, or a request_id was used for another request."""

    code = grpc.StatusCode.ALREADY_EXISTS


class FailedPrecondition(SviError):
    """Not possible in the state that the resource is in."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class Aborted(SviError):
    """The prompts have changed since the revision that was expected."""

    code = grpc.StatusCode.ABORTED


class Unauthenticated(SviError):
    """No token, or none that the server knows."""

    code = grpc.StatusCode.UNAUTHENTICATED


class PermissionDenied(SviError):
    """The token is good, but not for this."""

    code = grpc.StatusCode.PERMISSION_DENIED


class ResourceExhausted(SviError):
    """A quota (QUOTA_EXCEEDED), a full queue (QUEUE_FULL) or the rate limit; `retry_delay` says when to ask again."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class Unavailable(SviError):
    """The server was not reached, or did not answer, for as long as the client was to try."""

    code = grpc.StatusCode.UNAVAILABLE


class DataLoss(SviError):
    """Bytes that are not what was stored or promised."""

    code = grpc.StatusCode.DATA_LOSS


_CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}
_CLASSES: dict[grpc.StatusCode, type[SviError]] = {kind.code: kind for kind in SviError.__subclasses__()}
_CLASSES[grpc.StatusCode.OUT_OF_RANGE] = InvalidArgument
_CLASSES[grpc.StatusCode.DEADLINE_EXCEEDED] = Unavailable


class Ended(SviError):
    """What was waited for ended without a result: it failed for a reason of the server's, or was cancelled."""

    def __init__(self, name: str, failure: Optional[v1.Failure]) -> None:
        """`failure`: None if it was cancelled."""
        if failure is None:
            super().__init__(f"{name} was cancelled", code=grpc.StatusCode.CANCELLED)
        else:
            super().__init__(f"{name}: {failure.message}", code=_CODES.get(failure.code), reason=failure.reason)


def invalid_field(field: str, description: str) -> InvalidArgument:
    """What the client sees to be wrong before it asks the server; reads as the server's own error does."""
    return InvalidArgument(f"{field}: {description}", field_violations=(FieldViolation(field, description),))


def from_rpc(error: grpc.RpcError) -> SviError:
    """The same code and message, with what the google.rpc.Status in the trailers tells."""
    status = _status_in_trailers(error)
    violations = tuple(
        FieldViolation(violation.field, violation.description)
        for bad in _details(status, error_details_pb2.BadRequest)
        for violation in bad.field_violations
    )
    delays = [
        info.retry_delay.seconds + info.retry_delay.nanos / 1e9
        for info in _details(status, error_details_pb2.RetryInfo)
    ]
    reasons = [info.reason for info in _details(status, error_details_pb2.ErrorInfo)]
    return _CLASSES.get(error.code(), SviError)(
        error.details() or "",
        code=error.code(),
        reason=reasons[0] if reasons else "",
        field_violations=violations,
        retry_delay=delays[0] if delays else 0.0,
    )


def _status_in_trailers(error: grpc.RpcError) -> status_pb2.Status:
    status = status_pb2.Status()
    for entry in error.trailing_metadata() or ():
        if entry.key == "grpc-status-details-bin":
            try:
                status.ParseFromString(entry.value)
            except DecodeError:
                # It was not ours: then there are no details.
                status.Clear()
    return status


def _details(status: status_pb2.Status, kind: type[DetailT]) -> list[DetailT]:
    found = []
    for packed in status.details:
        detail = kind()
        if packed.Unpack(detail):
            found.append(detail)
    return found
