"""The messages of the API, generated from proto/svi/v1, where every field has a comment: unit, default, limit."""

from svi_serving.v1.resources_pb2 import *
from svi_serving.v1.training_service_pb2 import *
from svi_serving.v1.training_spec_pb2 import *
from svi_serving.v1.video_service_pb2 import *
