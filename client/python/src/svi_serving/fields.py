"""Requests from values that a person wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.message import Message

from svi_serving.errors import invalid_field


def set_fields(message: Message, path: str, values: Mapping[str, Any]) -> None:
    """Sets each field, with messages as dicts if need be; None leaves it unset. InvalidArgument names, after `path`
    ("spec."), the field that a value does not fit, be it by type, range or encoding."""
    for field, value in values.items():
        try:
            message.MergeFrom(type(message)(**{field: value}))
        except (TypeError, ValueError) as error:
            raise invalid_field(path + field, str(error)) from None
