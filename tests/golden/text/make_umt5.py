"""Makes umt5_{config.json,weights.safetensors,cases.safetensors}: a random umT5 encoder and transformers' outputs of it.

/opt/refvenv/bin/python make_umt5.py
"""

import json
import pathlib

import torch
from safetensors.torch import save_file
from transformers import UMT5Config, UMT5EncoderModel

HERE = pathlib.Path(__file__).parent
SIZES = dict(d_model=32, d_kv=12, d_ff=48, num_heads=4, num_layers=3, vocab_size=200, relative_attention_num_buckets=32,
             relative_attention_max_distance=128, layer_norm_epsilon=1e-6)

torch.manual_seed(5)
torch.set_num_threads(1)
config = UMT5Config(**SIZES, feed_forward_proj="gated-gelu", dropout_rate=0.0)
config._attn_implementation = "eager"
model = UMT5EncoderModel(config).eval()
with torch.no_grad():
    for name, p in model.named_parameters():
        wide = "relative" in name or "embed" in name or "shared" in name
        p.copy_(1 + 0.2 * torch.randn_like(p) if p.dim() == 1 else torch.randn_like(p) * (1.0 if wide else 0.25))

weights = {k: v.detach().clone().contiguous() for k, v in model.state_dict().items()}
weights.pop("encoder.embed_tokens.weight", None)
save_file(weights, HERE / "umt5_weights.safetensors")
(HERE / "umt5_config.json").write_text(json.dumps({**SIZES, "feed_forward_proj": "gated-gelu", "model_type": "umt5"}, indent=1) + "\n")

ids = torch.randint(4, 200, (2, 32))
mask = torch.zeros(2, 32, dtype=torch.long)
for row, length in enumerate((23, 9)):
    mask[row, :length] = 1
    ids[row, length - 1] = 1
    ids[row, length:] = 0
long_ids = torch.randint(4, 200, (1, 300))
with torch.no_grad():
    batch = model(ids, attention_mask=mask).last_hidden_state * mask.unsqueeze(-1)
    long = model(long_ids, attention_mask=torch.ones_like(long_ids)).last_hidden_state
save_file({"ids": ids, "mask": mask, "output": batch.contiguous(), "long_ids": long_ids, "long_output": long.contiguous()},
          HERE / "umt5_cases.safetensors")
print(sorted(weights), batch.abs().max(), long.abs().max())
