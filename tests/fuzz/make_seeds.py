#!/usr/bin/env python3
"""Makes seeds/ out of the fixtures in tests/golden: small files of every kind that a fuzz target reads.

    tests/fuzz/make_seeds.py        (needs protoc)

Findings of the fuzzers are kept beside them, as found-…, and clip_file's clips are the ClipEncoder's; both stay.
"""

import base64
import hashlib
import json
import pathlib
import re
import struct
import subprocess
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden"
SEEDS = ROOT / "tests/fuzz/seeds"


def write(target, name, data):
    folder = SEEDS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def copy(target, *paths):
    for path in paths:
        write(target, path.name, path.read_bytes())


def encode(file, message, text):
    """A message's bytes from protobuf's text format."""
    return subprocess.run(
        ["protoc", "-Iproto", f"--encode=svi.v1.{message}", f"svi/v1/{file}.proto"],
        cwd=ROOT, input=text.encode(), stdout=subprocess.PIPE, check=True).stdout


def escaped(data):
    return "".join(f"\\{byte:03o}" for byte in data)


def weights():
    folder = GOLDEN / "weights"
    copy("safetensors_header", *sorted(folder.glob("*.safetensors")))
    for path in sorted(folder.glob("*.pth")) + sorted((folder / "hostile").glob("*.pth")):
        copy("torch_zip", path)
        if not zipfile.is_zipfile(path):
            continue
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith("data.pkl"):
                    write("unpickler", path.stem + ".pkl", archive.read(name))


def lora_keys():
    for path in sorted((GOLDEN / "lora").glob("*_*.safetensors")):
        data = path.read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(data[8 : 8 + length])
        # One layer's tensors, laid side by side.
        kept, end = {}, 0
        for name, entry in header.items():
            if name == "__metadata__":
                kept[name] = entry
                continue
            if len([key for key in kept if key != "__metadata__"]) == 3:
                continue
            size = entry["data_offsets"][1] - entry["data_offsets"][0]
            kept[name] = dict(entry, data_offsets=[end, end + size])
            end += size
        write("lora_keys", path.stem, struct.pack("<Q", end) + json.dumps(kept).encode())


def pictures():
    names = ["grey.jpg", "progressive.jpg", "rgb_420.jpg", "cmyk.jpg", "orient6.jpg", "alpha.png", "bits.png", "grey16.png",
             "palette.png", "orient6.png", "alpha.webp", "lossy.webp", "lossless.webp", "orient6.webp", "animated.webp"]
    copy("picture", *[GOLDEN / "media" / name for name in names])


def tokens():
    def token(place, chosen):
        filter_ = b"" if chosen % 2 == 0 else f"{chosen % 8},".encode()
        text = b"svi page token 1\n%d\n%s\n%s" % (len(place), place, filter_)
        return bytes([chosen]) + base64.urlsafe_b64encode(hashlib.sha256(text).digest()[:9] + place).rstrip(b"=")

    write("page_token", "plain", token(b"1700000000000000:abc", 0))
    write("page_token", "filtered", token(b"-1:abc", 3))
    write("page_token", "video", b"\0videos/abc-1")
    write("page_token", "clip", b"\0videos/abc-1/clips/10")
    write("page_token", "run", b"\0trainingRuns/abc")
    write("page_token", "lora", b"\0loras/A.b_c-1")


def requests():
    picture = escaped((GOLDEN / "media/bits.png").read_bytes())
    create = encode("video_service", "CreateVideoRequest", f"""
        request_id: "r-1" spec {{ image: "{picture}" prompts: "a boat" prompts: "\\303\\266" negative_prompt: "blurry"
        width: 832 height: 480 num_frames: 81 num_inference_steps: 50 guidance_scale: 5 flow_shift: 5 seed: 7 variant: VARIANT_FILM
        sampler: SAMPLER_EULER fps: 24 lora {{ name: "style" strength: 0.5 }} clips_per_prompt: 2 num_clips: 3 priority: -5 }}""")
    append = encode("video_service", "AppendPromptsRequest", 'name: "videos/a" prompts: "more" expected_revision: 1')
    listing = encode("video_service", "ListVideosRequest", 'page_size: 10 page_token: "x" states: VIDEO_STATE_RUNNING')
    train = encode("training_service", "CreateTrainingRunRequest", """
        request_id: "r-2" spec { dataset: "films" lora_name: "style" objective: OBJECTIVE_LORA variant: VARIANT_PRO max_steps: 100
        learning_rate: 0.0001 lora_rank: 16 lora_targets: "q" error_recycling { noise_prob: 0.5 buffer_size: 10 } }""")
    runs = encode("training_service", "ListTrainingRunsRequest", "page_size: 3 states: 1")
    loras = encode("training_service", "ListLorasRequest", "page_size: -1")
    for chosen, (name, data) in enumerate([("create_video", create), ("append_prompts", append), ("list_videos", listing),
                                           ("create_run", train), ("list_runs", runs), ("list_loras", loras)]):
        write("request", name, bytes([chosen]) + data)
    write("request", "not_utf8", b"\1" + append.replace(b"more", b"m\xffre"))


def worker_messages():
    hash_ = escaped(hashlib.sha256(b"").digest())
    lease = 'lease { video: "videos/abc" clip_index: 1 epoch: 2 }'
    run = 'lease { training_run: "trainingRuns/abc" epoch: 2 }'
    of_worker = {
        "register": 'register { worker_id: "w-1" version: "1" device: "cpu" model: "m" loras: "style" warm_videos: "abc" '
                    'holding { video: "videos/abc" epoch: 1 } }',
        "heartbeat": f'heartbeat {{ {lease} draining: true loras {{ names: "style" }} }}',
        "progress": f"progress {{ {lease} progress {{ clip_index: 1 stage: STAGE_DENOISE step: 1 total: 50 eta {{ seconds: 9 }} }} }}",
        "chunk": f'clip_chunk {{ {lease} kind: ARTIFACT_KIND_CLIP offset: 5 data: "bytes" }}',
        "done": f'clip_done {{ {lease} clip_bytes: 10 clip_sha256: "{hash_}" frame_count: 81 width: 832 height: 480 fps: 24 '
                "encode_time { seconds: 1 } measures { brightness: 0.5 histogram: 0.1 } drift { static_psnr: 30 } }",
        "failed": f'clip_failed {{ {lease} error {{ code: 8 reason: "oom\\n" message: "\\303\\266\\001" }} }}',
    }
    of_trainer = {
        "t_register": 'register { worker_id: "w-1" version: "1" device: "cpu" model: "m" ranks: 2 }',
        "t_progress": f"progress {{ {run} progress {{ step: 1 }} }}",
        "t_chunk": f'lora_chunk {{ {run} offset: 5 data: "bytes" }}',
        "t_done": f'done {{ {run} lora_bytes: 10 lora_sha256: "{hash_}" rank: 16 progress {{ step: 1 }} }}',
        "t_failed": f"failed {{ {run} error {{ code: 99 }} permanent: true }}",
    }
    for name, text in of_worker.items():
        write("worker_message", name, b"\0" + encode("worker_service", "WorkerMessage", text))
    for name, text in of_trainer.items():
        write("worker_message", name, b"\1" + encode("worker_service", "TrainerMessage", text))


def text():
    prompts = ["A boat on a lake at dawn, mist over the water.", "Ein Schiff fährt durch die Nacht; 船在湖上。🦊",
               "schÃ¶n &amp;amp; &lt;b&gt; &#x26; &#0128;", "a\u00a0b\u3000c\u2028d \ufb01 \u0000\ufffd", "</s><pad>▁▁<extra_id_0>"]
    for index, prompt in enumerate(prompts):
        write("tokenizer_text", f"prompt{index}", prompt)
    write("tokenizer_text", "broken", b"a\xff\xc3(\xe2\x82 \xed\xa0\x80 \xf4\x90\x80\x80")


def varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def field(number, wire, data):
    if wire == 2:
        return varint(number << 3 | 2) + varint(len(data)) + data
    return varint(number << 3 | wire) + (varint(data) if wire == 0 else data)


def tokenizer_files():
    spec = json.loads((GOLDEN / "text/tokenizer_a/tokenizer.json").read_text())
    vocab = spec["model"]["vocab"]
    spec["model"]["vocab"] = vocab[:8] + [piece for piece in vocab[8:] if len(piece[0]) == 1][:40]
    spec["added_tokens"] = [token for token in spec["added_tokens"] if token["id"] < 8]
    small_map = base64.b64encode(struct.pack("<II", 4, 0) + b"\0").decode()
    text = json.dumps(spec)
    big_map = re.search(r'"precompiled_charsmap": "([^"]*)"', text)
    write("tokenizer_file", "small.json", text.replace(big_map.group(1), small_map) if big_map else text)
    small = {"added_tokens": [{"id": 1, "content": "</s>", "normalized": False}], "normalizer": None,
             "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
             "post_processor": {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "</s>"}}],
                                "special_tokens": {"</s>": {"ids": [1]}}},
             "model": {"type": "Unigram", "unk_id": 2, "vocab": [["<pad>", 0], ["</s>", 0], ["<unk>", 0], ["▁", -1], ["a", -2]]}}
    write("tokenizer_file", "smallest.json", json.dumps(small))
    # sentencepiece_model.proto: pieces (1: text, score, type), trainer (2), normalizer (3).
    pieces = [("<pad>", 0.0, 3), ("</s>", 0.0, 3), ("<unk>", 0.0, 2), ("▁", -1.0, 1), ("a", -2.0, 1), ("<0x0A>", -3.0, 6)]
    model = b"".join(field(1, 2, field(1, 2, piece.encode()) + field(2, 5, struct.pack("<f", score)) + field(3, 0, kind))
                     for piece, score, kind in pieces)
    model += field(2, 2, field(3, 0, 1) + field(35, 0, 1))
    # A trie of one unit that leads nowhere, and no replacements.
    charsmap = struct.pack("<II", 4, 0) + b"\0"
    model += field(3, 2, field(2, 2, charsmap) + field(3, 0, 1) + field(4, 0, 1) + field(5, 0, 1))
    write("tokenizer_file", "small.model", model)


def tables():
    write("limits_file", "limits", b'\0max_videos: 100 others { max_videos: 5 } # a comment\n'
                                   b'tenant { name: "acme" weight: 2.5 max_running_clips: 3 }\n')
    write("limits_file", "csv", b'\1\xef\xbb\xbfFilename,Video Description\r\na.mp4,"a ""boat"", at dawn"\r\nb.mp4,plain\r')


for make in (weights, lora_keys, pictures, tokens, requests, worker_messages, text, tokenizer_files, tables):
    make()
