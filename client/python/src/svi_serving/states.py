"""The API's enumerations as words: "pro" is VARIANT_PRO. And which states are final."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar, Union

from svi_serving import v1
from svi_serving.errors import invalid_field

ValueT = TypeVar("ValueT", bound=int)

Watched = Union[v1.Video, v1.TrainingRun]


def _words(prefix: str, items: Iterable[tuple[str, ValueT]]) -> dict[str, ValueT]:
    """Without UNSPECIFIED, which is always 0."""
    return {name[len(prefix) :].lower(): value for name, value in items if value != 0}


VARIANTS = _words("VARIANT_", v1.Variant.items())
SAMPLERS = _words("SAMPLER_", v1.Sampler.items())
VIDEO_STATES = _words("VIDEO_STATE_", v1.VideoState.items())
TRAINING_STATES = _words("TRAINING_STATE_", v1.TrainingState.items())
STAGES = _words("STAGE_", v1.Stage.items())


def value_of(words: Mapping[str, ValueT], word: Union[str, ValueT], field: str) -> ValueT:
    """The value that a word stands for; `field` names it in the error if there is none. Values pass unchanged."""
    if not isinstance(word, str):
        return word
    if word not in words:
        raise invalid_field(field, f"want one of {', '.join(words)}")
    return words[word]


def word_of(words: Mapping[str, ValueT], value: ValueT) -> str:
    """Of a value that this version does not know, the number."""
    return next((word for word, known in words.items() if known == value), str(value))


def is_final(resource: Watched) -> bool:
    """Whether nothing more will happen to it."""
    if isinstance(resource, v1.Video):
        return resource.state in (v1.VIDEO_STATE_SUCCEEDED, v1.VIDEO_STATE_FAILED, v1.VIDEO_STATE_CANCELLED)
    return resource.state in (v1.TRAINING_STATE_SUCCEEDED, v1.TRAINING_STATE_FAILED, v1.TRAINING_STATE_CANCELLED)
