"""Generates the messages and stubs of svi_serving.v1 from the proto files that the server is built from."""

from __future__ import annotations

import re
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

from grpc_tools import protoc
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# What a client needs: worker_service.proto is between the server and its workers.
PROTOS = [f"svi/v1/{name}.proto" for name in ("resources", "training_service", "training_spec", "video_service")]


class GrpcBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Runs before hatchling makes an sdist (which takes the proto files along), a wheel or an editable install."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        protos = find_protos(root)
        if self.target_name == "sdist":
            build_data["force_include"].update({str(protos / name): f"proto/{name}" for name in PROTOS})
        elif version == "editable":
            generate(protos, root / "src/svi_serving/v1")
        else:
            # Not in the checkout, which may be read-only.
            self._generated = tempfile.TemporaryDirectory()
            generate(protos, Path(self._generated.name))
            build_data["force_include"][self._generated.name] = "svi_serving/v1"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "_generated"):
            self._generated.cleanup()


def find_protos(root: Path) -> Path:
    """Beside this file in an sdist, at the top of a checkout."""
    for folder in (root / "proto", root.parent.parent / "proto"):
        if (folder / PROTOS[0]).is_file():
            return folder
    raise FileNotFoundError(f"no proto files: {root} is neither in a checkout of svi-serving nor an sdist")


def generate(protos: Path, target: Path) -> None:
    """Messages, stubs and their types, which carry the proto files' comments, into the folder `target`."""
    with tempfile.TemporaryDirectory() as out:
        well_known = files("grpc_tools") / "_proto"
        kinds = [f"--{kind}_out={out}" for kind in ("python", "mypy", "grpc_python", "mypy_grpc")]
        if protoc.main(["protoc", f"-I{protos}", f"-I{well_known}", *kinds, *PROTOS]) != 0:
            raise RuntimeError(f"protoc could not make Python of {protos}")
        for generated in Path(out, "svi/v1").iterdir():
            # protoc takes the package's path for the module's; ours is inside svi_serving, so that no other
            # package's `svi` is in the way. Names on the wire stay.
            text = re.sub(r"\bsvi\.v1(?= import |\.\w+_pb2\b)", "svi_serving.v1", generated.read_text("utf-8"))
            (target / generated.name).write_text(text, "utf-8")
