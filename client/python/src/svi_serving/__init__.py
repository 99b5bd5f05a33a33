"""Python client of svi-serving: one picture and a stream of prompts become a video of any length.

    from svi_serving import Client

    with Client("127.0.0.1:50051") as client:
        client.generate("boat.jpg", ["a boat on a calm sea", "it turns"], out="clips")
"""

from svi_serving import v1
from svi_serving.client import Client
from svi_serving.endpoint import Tls
from svi_serving.errors import (
    Aborted,
    AlreadyExists,
    DataLoss,
    Ended,
    FailedPrecondition,
    FieldViolation,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    SviError,
    Unauthenticated,
    Unavailable,
)
from svi_serving.training import TrainingEnded
from svi_serving.video import Clip, Video, VideoEnded

__all__ = [
    "Aborted",
    "AlreadyExists",
    "Client",
    "Clip",
    "DataLoss",
    "Ended",
    "FailedPrecondition",
    "FieldViolation",
    "InvalidArgument",
    "NotFound",
    "PermissionDenied",
    "ResourceExhausted",
    "SviError",
    "Tls",
    "TrainingEnded",
    "Unauthenticated",
    "Unavailable",
    "Video",
    "VideoEnded",
    "v1",
]
