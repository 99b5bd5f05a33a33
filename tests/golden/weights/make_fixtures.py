"""Makes the .pth files of tests/worker/engine/weights/torch_file_test.cc and their safetensors twins.

Run with a Python that has torch and safetensors; writes beside itself. Files under hostile/ must be refused:
some of them would run a program if a real unpickler read them.
"""

import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import save_file

HERE = Path(__file__).parent
HOSTILE = HERE / "hostile"


def twin(name, state):
    flat = {}

    def walk(prefix, values):
        for key, value in values.items():
            if isinstance(value, dict):
                walk(prefix + key + ".", value)
            else:
                flat[prefix + key] = value.detach().clone().contiguous()

    walk("", state)
    save_file(flat, HERE / f"{name}.safetensors")


def numbers(*shape, dtype=torch.float32):
    count = 1
    for size in shape:
        count *= size
    values = torch.arange(count).reshape(shape) * 0.37 - 3
    return (values > 0) if dtype == torch.bool else values.to(dtype)


def plain_state():
    every = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32,
             torch.int16, torch.int8, torch.uint8, torch.bool)
    state = {f"t.{str(dtype).removeprefix('torch.')}": numbers(3, 4, dtype=dtype) for dtype in every}
    whole = numbers(4, 6)
    state["shared.whole"] = whole
    state["shared.rows"] = whole[1:3]
    state["shared.corner"] = whole[2:, 3:]
    state["transposed"] = numbers(5, 3, dtype=torch.bfloat16).t()
    state["stepped"] = numbers(20)[1::3]
    state["channels_last"] = numbers(2, 3, 2, 2).contiguous(memory_format=torch.channels_last)
    state["expanded"] = numbers(3, 1).expand(3, 4)
    state["scalar"] = torch.tensor(7.5)
    state["empty"] = torch.empty(0, 3)
    state["one_row"] = numbers(1, 6).as_strided((1, 6), (100, 1))
    return state


def ordered_state():
    state = OrderedDict()
    state["weight"] = torch.nn.Parameter(numbers(4, 3))
    state["bias"] = torch.nn.Parameter(numbers(4, dtype=torch.bfloat16), requires_grad=False)
    state["nested"] = OrderedDict(inner=numbers(2), deeper={"still": numbers(2, 2, dtype=torch.float16)})
    return state


def module_state():
    torch.manual_seed(4)
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    return module.state_dict()


class Reduced:
    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


class Plain:
    pass


def write_zip(path, entries, method=zipfile.ZIP_STORED, force_zip64=False):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in entries:
            info = zipfile.ZipInfo(f"{path.stem}/{name}", (2026, 1, 1, 0, 0, 0))
            info.compress_type = method
            with archive.open(info, "w", force_zip64=force_zip64) as entry:
                entry.write(content)


def entries_of(path):
    with zipfile.ZipFile(path) as archive:
        return [(info.filename.split("/", 1)[1], archive.read(info)) for info in archive.infolist()]


def widen(path):
    """Moves every size and offset of the directory into zip64 fields, as a writer past 4 GiB does."""
    data = path.read_bytes()
    end = data.rindex(b"PK\5\6")
    count, size, begin = struct.unpack_from("<HII", data, end + 10)
    out, at, directory = data[:begin], begin, b""
    for _ in range(count):
        head = bytearray(data[at:at + 46])
        name, extra, comment = struct.unpack_from("<HHH", head, 28)
        packed, plain = struct.unpack_from("<II", head, 20)
        offset = struct.unpack_from("<I", head, 42)[0]
        struct.pack_into("<II", head, 20, 0xFFFFFFFF, 0xFFFFFFFF)
        struct.pack_into("<I", head, 42, 0xFFFFFFFF)
        struct.pack_into("<HHH", head, 28, name, 4 + 2 + 28, 0)
        # A foreign extra field first.
        directory += bytes(head) + data[at + 46:at + 46 + name]
        directory += struct.pack("<HHH", 0x9999, 2, 7) + struct.pack("<HHQQQ", 1, 24, plain, packed, offset)
        at += 46 + name + extra + comment
    at64 = begin + len(directory)
    out += directory + struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, count, count, len(directory), begin)
    out += struct.pack("<IIQI", 0x07064B50, 0, at64, 1)
    out += struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    path.write_bytes(out)


def make_good():
    twin("plain", plain_state())
    torch.save(plain_state(), HERE / "plain.pth")
    for protocol in (3, 4, 5):
        torch.save(plain_state(), HERE / f"plain_protocol{protocol}.pth", pickle_protocol=protocol)
    twin("ordered", ordered_state())
    torch.save(ordered_state(), HERE / "ordered.pth")
    twin("module", module_state())
    torch.save(module_state(), HERE / "module.pth")
    # Another zip writer: nothing is aligned, and the sizes are beside the content or zip64 ones.
    write_zip(HERE / "rezipped.pth", entries_of(HERE / "plain.pth"))
    write_zip(HERE / "zip64.pth", entries_of(HERE / "plain.pth"), force_zip64=True)
    widen(HERE / "zip64.pth")


def make_hostile():
    HOSTILE.mkdir(exist_ok=True)
    good = numbers(2)
    bad = {
        "system": {"a": good, "b": Reduced(os.system, "touch /tmp/svi_was_here")},
        "eval": Reduced(eval, "1"),
        "instance": {"a": Plain()},
        "module": torch.nn.Linear(2, 2),
        "number": {"a": good, "epoch": 3},
        "list": [good],
        "tensors_in_list": {"a": [good]},
        "float8": {"a": good.to(torch.float8_e4m3fn)},
        "int_key": {3: good},
    }
    loop = {"a": good}
    loop["again"] = loop
    bad["loop"] = loop
    bush = {"a": good}
    for _ in range(14):
        bush = {"x": bush, "y": bush, "z": bush}
    bad["bush"] = bush
    for name, value in bad.items():
        torch.save(value, HOSTILE / f"{name}.pth")
    torch.save({"a": good}, HOSTILE / "legacy.pth", _use_new_zipfile_serialization=False)
    write_zip(HOSTILE / "compressed.pth", entries_of(HERE / "module.pth"), zipfile.ZIP_DEFLATED)
    big = [(name, b"big" if name == "byteorder" else content) for name, content in entries_of(HERE / "module.pth")]
    write_zip(HOSTILE / "big_endian.pth", big)
    write_zip(HOSTILE / "no_pickle.pth", [("version", b"3\n")])
    twice = entries_of(HERE / "module.pth")
    write_zip(HOSTILE / "twice.pth", twice + twice[-1:])


if __name__ == "__main__":
    make_good()
    make_hostile()
    print(sum(path.stat().st_size for path in HERE.rglob("*") if path.is_file()), "bytes")
