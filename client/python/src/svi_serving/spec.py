"""What is asked for, from plain Python values."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypedDict, Union

from svi_serving import v1
from svi_serving.errors import invalid_field
from svi_serving.fields import set_fields
from svi_serving.states import SAMPLERS, VARIANTS, value_of

Image = Union[bytes, str, "os.PathLike[str]"]
"""JPEG, PNG or WebP: the bytes, or the path of a file."""

Prompts = Union[str, Iterable[str]]

Loras = Union[str, Iterable[str], Mapping[str, float]]
"""By name, at full strength; or names with their strengths."""

_MAX_IMAGE_BYTES = 32 << 20  # as VideoSpec.image


class VideoOptions(TypedDict, total=False):
    """Fields of v1.VideoSpec (there are their limits). What is not given is left to the worker's model."""

    negative_prompt: str
    width: int
    height: int
    num_frames: int
    num_inference_steps: int
    guidance_scale: float
    flow_shift: float
    seed: int
    variant: Union[Literal["pro", "film", "shot"], v1.Variant.ValueType]
    sampler: Union[Literal["unipc", "euler"], v1.Sampler.ValueType]
    fps: int
    loras: Loras
    clips_per_prompt: int
    num_clips: int
    open_ended: bool
    priority: int


def video_spec(image: Image, prompts: Prompts, options: VideoOptions) -> v1.VideoSpec:
    """Raises InvalidArgument with the field's name if a value does not fit its field; what fits is for the server to
    judge. OSError if the picture cannot be read."""
    unknown = options.keys() - VideoOptions.__annotations__.keys()
    if unknown:
        raise TypeError(f"unexpected keyword argument {min(unknown)!r}")
    spec = v1.VideoSpec(image=_image_bytes(image))
    values: dict[str, Any] = {"prompts": text_list(prompts), **options}
    if "variant" in options:
        values["variant"] = value_of(VARIANTS, options["variant"], "spec.variant")
    if "sampler" in options:
        values["sampler"] = value_of(SAMPLERS, options["sampler"], "spec.sampler")
    if "loras" in options:
        values["lora"] = _lora_refs(values.pop("loras"))
    set_fields(spec, "spec.", values)
    return spec


def text_list(texts: Union[str, Iterable[str]]) -> list[str]:
    """One text is a list of one."""
    return [texts] if isinstance(texts, str) else list(texts)


def _lora_refs(loras: Loras) -> list[dict[str, Any]]:
    if isinstance(loras, Mapping):
        return [{"name": name, "strength": strength} for name, strength in loras.items()]
    return [{"name": name} for name in text_list(loras)]


def _image_bytes(image: Image) -> bytes:
    if isinstance(image, bytes):
        return image
    path = Path(image)
    # A film that was given for a picture should not be read into memory before it is refused.
    if path.stat().st_size > _MAX_IMAGE_BYTES:
        raise invalid_field("spec.image", f"{path} is larger than {_MAX_IMAGE_BYTES} bytes")
    return path.read_bytes()
