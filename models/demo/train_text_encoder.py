"""Teaches the demo model's small umT5 what the scenes' captions say, so that the transformer need not.

  train_text_encoder.py --model=DIR

The published umT5 has read the web when a video model meets it. This one reads captions of make_scenes.py until every
row of what it puts out tells the shape, the colour, the motion and the speed of the whole caption; the four linear
readers that ask it are thrown away. DIR/text_encoder is written anew; less than a minute.
"""

import argparse
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, UMT5Config, UMT5EncoderModel

from make_scenes import COLOURS, MOTIONS, OBJECTS, SLOW_SHARE, make_prompt

QUESTIONS = {"shape": OBJECTS, "colour": tuple(COLOURS), "motion": MOTIONS, "speed": ("", "slowly")}
WEIGHT_FILE = "model.safetensors"


def draw_captions(rng: np.random.Generator, count: int) -> tuple[list[str], dict[str, torch.Tensor]]:
    """Captions, and the index of the answer to each question. Of what stands still the speed is the first."""
    captions, answers = [], {question: [] for question in QUESTIONS}
    for _ in range(count):
        shape, colour, motion = (str(rng.choice(QUESTIONS[q])) for q in ("shape", "colour", "motion"))
        speed = "slowly" if motion != "still" and rng.random() < SLOW_SHARE else ""
        captions.append(make_prompt(rng, colour, shape, motion, speed))
        for question, answer in zip(QUESTIONS, (shape, colour, motion, speed)):
            answers[question].append(QUESTIONS[question].index(answer))
    return captions, {question: torch.tensor(values) for question, values in answers.items()}


def loss_of(encoder, readers, tokens, answers) -> tuple[torch.Tensor, float]:
    """Mean over questions and rows, and the share of rows that answer all questions rightly."""
    rows = encoder(input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]).last_hidden_state
    used = tokens["attention_mask"].bool()
    loss, right = 0, torch.ones(int(used.sum()), dtype=torch.bool)
    for question, reader in readers.items():
        logits = reader(rows[used])
        wanted = answers[question][:, None].expand(used.shape)[used]
        loss = loss + F.cross_entropy(logits, wanted)
        right &= logits.argmax(-1) == wanted
    return loss / len(readers), right.float().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    folder = args.model / "text_encoder"
    tokenizer = AutoTokenizer.from_pretrained(args.model / "tokenizer")
    encoder = UMT5EncoderModel(UMT5Config.from_pretrained(folder))
    stored = load_file(folder / WEIGHT_FILE)
    encoder.load_state_dict(stored, strict=False)
    readers = torch.nn.ModuleDict(
        {q: torch.nn.Linear(encoder.config.d_model, len(answers)) for q, answers in QUESTIONS.items()}
    )
    optimizer = torch.optim.AdamW([*encoder.parameters(), *readers.parameters()], lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.steps)
    for step in range(args.steps):
        captions, answers = draw_captions(rng, args.batch)
        loss, right = loss_of(encoder, readers, tokenizer(captions, padding=True, return_tensors="pt"), answers)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            print(f"step {step + 1} loss {loss.item():.4f} rows that know all: {right:.3f}", flush=True)
    state = encoder.state_dict()
    save_file({name: state[name].to(t.dtype).contiguous() for name, t in stored.items()}, folder / WEIGHT_FILE,
              metadata={"format": "pt"})  # fmt: skip


if __name__ == "__main__":
    main()
