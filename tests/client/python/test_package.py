"""What is installed: typed, and importable with what pip brought along."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

# What a user writes; reveal_type() makes mypy say what it sees.
USER = """
from svi_serving import Client, v1

def f(client: Client) -> None:
    reveal_type(client.generate("boat.jpg", ["a boat"], seed=3, variant="film").clips[0].read())
    reveal_type(client.get("v").clips[0].sha256)
    reveal_type(client.download_clip("v/clips/0", "out"))
    client.create("boat.jpg", "a boat", sed=3)
    client.create("boat.jpg", "a boat", variant="neu")
"""


def mypy(*args: object) -> str:
    command = [sys.executable, "-m", "mypy", "--strict", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, cwd="/").stdout


def test_the_package_passes_mypy(tmp_path: Path) -> None:
    config = f"--config-file={ROOT / 'client/python/pyproject.toml'}"
    assert mypy(config, f"--cache-dir={tmp_path}", "--package=svi_serving").startswith("Success: ")


def test_users_see_its_types(tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(USER)
    said = mypy(f"--cache-dir={tmp_path}", tmp_path / "user.py")
    assert re.findall('Revealed type is "(.*)"', said) == ["bytes", "bytes", "pathlib.Path"]
    assert re.findall(r"error: .* \[(.*)\]", said) == ["call-arg", "arg-type"]


def test_fields_carry_the_comments_of_the_proto_files() -> None:
    assert "a multiple of 32, 32..4096" in (files("svi_serving.v1") / "resources_pb2.pyi").read_text()


def test_generated_code_fits_the_oldest_runtime_that_is_allowed() -> None:
    assert version("svi-serving")
    generated = (files("svi_serving.v1") / "video_service_pb2.py").read_text()
    declared = (ROOT / "client/python/pyproject.toml").read_text()
    made_by = next(line for line in generated.splitlines() if line.startswith("# Protobuf Python Version: "))
    assert f'"protobuf>={made_by.rpartition(" ")[2]},' in declared
