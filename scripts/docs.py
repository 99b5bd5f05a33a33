#!/usr/bin/env python3
"""Writes the reference pages of deploy/docs from what they describe: api.md from the protos' comments, configuration.md
from the programs' own lists of flags.

  scripts/docs.py [--bin=build/release/bin] [--check]    --check: writes nothing, fails if a page is not what it would be

Needs protoc and the Python package protobuf (scripts/setup.sh has both; run with .venv/bin/python).
"""

import argparse
import pathlib
import subprocess
import sys
import sysconfig
import tempfile

from google.protobuf import descriptor_pb2 as pb

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = ROOT / "deploy" / "docs"
PROTOS = ("video_service", "training_service", "resources", "training_spec", "tenant_limits", "worker_service")
PROGRAMS = {"svi-server": "", "svi-worker": "--model=DIR"}


def load_protos() -> list[pb.FileDescriptorProto]:
    with tempfile.NamedTemporaryFile() as out:
        googleapis = sysconfig.get_paths()["purelib"]  # googleapis-common-protos has its .proto files there
        files = [f"svi/v1/{name}.proto" for name in PROTOS]
        subprocess.run(
            ["protoc", f"-I{ROOT / 'proto'}", f"-I{googleapis}", "--include_source_info", f"--descriptor_set_out={out.name}"]
            + files,
            check=True,
        )
        files = {f.name: f for f in pb.FileDescriptorSet.FromString(pathlib.Path(out.name).read_bytes()).file}
    return [files[f"svi/v1/{name}.proto"] for name in PROTOS]


class Comments:
    """A file's comments, by the path of what they stand before or behind."""

    def __init__(self, file: pb.FileDescriptorProto):
        self._text = {tuple(l.path): l.leading_comments or l.trailing_comments for l in file.source_code_info.location}

    def of(self, *path: int) -> str:
        return " ".join(self._text.get(path, "").split())


def type_name(field: pb.FieldDescriptorProto, maps: dict[str, pb.DescriptorProto]) -> str:
    if field.type_name in maps:
        key, value = maps[field.type_name].field
        return f"map<{type_name(key, {})}, {type_name(value, {})}>"
    name = field.type_name.removeprefix(".")
    if name.startswith("svi.v1."):
        name = f"[{name.removeprefix('svi.v1.')}](#{name.removeprefix('svi.v1.').replace('.', '').lower()})"
    text = name or pb.FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    if field.label == pb.FieldDescriptorProto.LABEL_REPEATED:
        return f"repeated {text}"
    return f"optional {text}" if field.proto3_optional else text


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def write_enum(enum, name: str, comments: Comments, path: tuple[int, ...]) -> str:
    out = f"### {name}\n\n{comments.of(*path)}\n\n| value | |\n| --- | --- |\n"
    for i, value in enumerate(enum.value):
        out += f"| `{value.name}` = {value.number} | {cell(comments.of(*path, 2, i))} |\n"
    return out + "\n"


def write_message(message, prefix: str, comments: Comments, path: tuple[int, ...]) -> str:
    name = prefix + message.name
    maps = {f".svi.v1.{name}.{m.name}": m for m in message.nested_type if m.options.map_entry}
    out = f"### {name}\n\n{comments.of(*path)}\n\n"
    if message.field:
        out += "| field | type | |\n| --- | --- | --- |\n"
    for i, field in enumerate(message.field):
        of = ""
        if field.HasField("oneof_index") and not field.proto3_optional:
            of = f" (one of `{message.oneof_decl[field.oneof_index].name}`)"
        out += f"| `{field.name}` | {type_name(field, maps)}{of} | {cell(comments.of(*path, 2, i))} |\n"
    out += "\n"
    for i, nested in enumerate(message.nested_type):
        if not nested.options.map_entry:
            out += write_message(nested, f"{name}.", comments, (*path, 3, i))
    for i, enum in enumerate(message.enum_type):
        out += write_enum(enum, f"{name}.{enum.name}", comments, (*path, 4, i))
    return out


def write_service(service, comments: Comments, path: tuple[int, ...]) -> str:
    out = f"## {service.name}\n\n{comments.of(*path)}\n\n| method | takes | gives | |\n| --- | --- | --- | --- |\n"
    for i, method in enumerate(service.method):

        def side(name: str, stream: bool) -> str:
            short = name.removeprefix(".svi.v1.")
            return ("stream of " if stream else "") + f"[{short}](#{short.replace('.', '').lower()})"

        out += (
            f"| `{method.name}` | {side(method.input_type, method.client_streaming)} "
            f"| {side(method.output_type, method.server_streaming)} | {cell(comments.of(*path, 2, i))} |\n"
        )
    return out + "\n"


def api_page() -> str:
    out = "# API: svi.v1\n\nMade by `scripts/docs.py` from the comments in `proto/svi/v1`.\n\n"
    for file in load_protos():
        comments = Comments(file)
        for i, service in enumerate(file.service):
            out += write_service(service, comments, (6, i))
        if not file.service:
            out += f"## {pathlib.PurePath(file.name).name}\n\n"
        for i, message in enumerate(file.message_type):
            out += write_message(message, "", comments, (4, i))
        for i, enum in enumerate(file.enum_type):
            out += write_enum(enum, enum.name, comments, (5, i))
    while "\n\n\n" in out:
        out = out.replace("\n\n\n", "\n\n")
    return out.rstrip("\n") + "\n"


def configuration_page(programs: pathlib.Path) -> str:
    out = (
        "# Configuration\n\nMade by `scripts/docs.py` from the programs' own lists. A flag is given as `--flag=value`, as a line of "
        "a file\n(`--flagfile=FILE`), or in the environment; what is given wins over the environment. A value that does not fit is "
        "an\nerror at the start that names the flag, the value and what is wanted.\n\n"
    )
    for program, arguments in PROGRAMS.items():
        table = subprocess.run([programs / program, "--help-markdown"], check=True, capture_output=True, text=True).stdout
        out += f"## {program} {arguments}".rstrip() + f"\n\n{table}"
    return out.rstrip("\n") + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build" / "release" / "bin")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    stale = []
    for name, text in {"api.md": api_page(), "configuration.md": configuration_page(args.bin)}.items():
        page = PAGES / name
        if page.exists() and page.read_text() == text:
            continue
        stale.append(name)
        if not args.check:
            PAGES.mkdir(parents=True, exist_ok=True)
            page.write_text(text)
    if args.check and stale:
        print(f"not up to date: {', '.join(stale)}: run scripts/docs.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
