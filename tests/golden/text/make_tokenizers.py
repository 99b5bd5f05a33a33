"""Makes tokenizer_a/, tokenizer_b/ and <name>/cases.json: two small umT5-style tokenizers and what they make of texts.

/opt/reftok/bin/python make_tokenizers.py [seed cases folder]   (transformers 4.51.3, tokenizers 0.21.4, sentencepiece 0.2.0)

a: 300 entries, sentencepiece's nmt_nfkc map. b: 680 entries, no map, two symbols that are never cut.
"""

import json
import os
import pathlib
import random
import sys

import sentencepiece
import tokenizers
import transformers

import make_clean

HERE = pathlib.Path(__file__).resolve().parent
WORDS = "red blue green ball cat dog runs walks slowly quickly across over the a street camera pans left right up down light night rain sea wave mountain forest girl boy smiles jumps dances turns close wide shot film grain soft warm cold bright dark".split()


def train(folder, name, vocab, rule, symbols):
    rng = random.Random(7)
    lines = [" ".join(rng.choice(WORDS) for _ in range(rng.randrange(4, 14))) + "." for _ in range(1500)]
    lines += [p.replace("\n", " ").encode("utf-8", "ignore").decode() for p in make_clean.PROMPTS[:14]] * (0 if vocab < 400 else 12)
    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(lines))
    os.chdir(folder)  # the model records these names
    sentencepiece.SentencePieceTrainer.train(
        input="corpus.txt", model_prefix=name, vocab_size=vocab, model_type="unigram", byte_fallback=True,
        pad_id=0, eos_id=1, bos_id=2, unk_id=3, normalization_rule_name=rule, user_defined_symbols=symbols,
        character_coverage=0.995, num_threads=1, minloglevel=2, hard_vocab_limit=False)
    corpus.unlink()
    (folder / (name + ".vocab")).unlink()
    (folder / (name + ".model")).rename(folder / "spiece.model")


def convert(folder, scheme):
    """Writes tokenizer.json as transformers makes it of spiece.model, with another place for the leading mark."""
    fast = transformers.T5TokenizerFast(vocab_file=str(folder / "spiece.model"), extra_ids=4)
    fast.save_pretrained(folder)
    for path in folder.iterdir():
        if path.name not in ("tokenizer.json", "spiece.model", "cases.json"):
            path.unlink()
    spec = json.loads((folder / "tokenizer.json").read_text())
    spec["pre_tokenizer"]["prepend_scheme"] = scheme  # published files: "always"
    (folder / "tokenizer.json").write_text(json.dumps(spec, ensure_ascii=False, separators=(",", ":")))


def texts(seed, count):
    rng = random.Random(seed)
    yield from (p for p in make_clean.PROMPTS)
    yield from ["</s>", "a</s>b", "<pad> x <extra_id_0>y<extra_id_1 >", "<extra_id_0> <extra_id_3>  tail", "<0x41><0x0A>", "<unk>", "<s>", "x<unk>y",
                "▁▁a▁b", "a  b   c", " lead", "trail  ", "  ", "re\u0301d", "e\u0301\u0302 o\u0308\u0304", "ｆｕｌｌ", "①②③ ㌔ ﷺ", "🐈🐈🐈x🐈", "\r\n\r\nx", "カ\u3099ガ", "각각",
                "क्षि", "กำ", "\u0085x\u200bx\u00ad", "<sym> a<sym>b [keep me]", "red " * 700, "word" * 800, "中" * 600]
    for index, text in enumerate(make_clean.corpus(seed, count)):
        if index >= len(make_clean.PROMPTS):
            yield make_clean.wan_clean(text) if index % 2 else text
    for _ in range(count // 3):
        yield " ".join(rng.choice(WORDS + ["日本", "ÿ", "😀", "<extra_id_2>", "  "]) for _ in range(rng.randrange(1, 12)))


def encode(tokenizer, text):
    tokenizer.enable_truncation(512)
    return tokenizer.encode(text).ids


def main():
    seed, count, out = sys.argv[1:] or ("3", "260", HERE)
    cases = [("tokenizer_a", 300, "nmt_nfkc", [], "always"), ("tokenizer_b", 680, "identity", ["<sym>", "[keep me]"], "first")]
    for name, vocab, rule, symbols, scheme in cases:
        folder = pathlib.Path(out).resolve() / name
        folder.mkdir(exist_ok=True, parents=True)
        train(folder, name, vocab, rule, symbols)
        convert(folder, scheme)
        spec = json.loads((folder / "tokenizer.json").read_text())
        variants = []
        for flag in (False, True):
            spec["model"]["byte_fallback"] = flag
            variants.append(tokenizers.Tokenizer.from_str(json.dumps(spec)))
        pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spiece.model"))
        rows = []
        for text in texts(int(seed), int(count)):
            if any(0xD800 <= ord(c) <= 0xDFFF for c in text):
                continue
            spm = pieces.encode(text)[:511] + [1]
            rows.append([text] + [encode(v, text) for v in variants] + [spm])
        (folder / "cases.json").write_text("[\n" + ",\n".join(json.dumps(r, ensure_ascii=False, separators=(",", ":")) for r in rows) + "\n]\n")
        print(name, len(rows), variants[0].get_vocab_size())


main()
