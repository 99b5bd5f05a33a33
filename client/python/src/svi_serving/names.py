"""Resource names as people write them, and ids that make trying again harmless."""

from __future__ import annotations

import uuid
from typing import Optional


def with_collection(collection: str, name: str) -> str:
    """`name`, with `collection` ("videos/") in front unless it is there."""
    return name if name.startswith(collection) else collection + name


def request_id_or_new(request_id: Optional[str]) -> str:
    """A UUID where none is given: sent with every attempt, it makes one resource of all of them."""
    return request_id or str(uuid.uuid4())
