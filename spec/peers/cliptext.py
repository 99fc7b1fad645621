"""References of CLIPTextModel and CLIPTextModelWithProjection: spec/fixtures/peers/cliptext.safetensors.

PEERS/bin/python spec/peers/cliptext.py                     writes the fixture
PEERS/bin/python spec/peers/cliptext.py cases.json records  records other cases
"""
import torch
import transformers
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from record import main

transformers.logging.set_verbosity_error()

SMALL = {"vocab_size": 30, "hidden_size": 12, "intermediate_size": 20, "projection_dim": 5, "num_hidden_layers": 2,
         "num_attention_heads": 2, "max_position_embeddings": 9, "bos_token_id": 28, "eos_token_id": 29}
IDS = [[28, 4, 9, 29, 29, 29], [28, 1, 0, 17, 3, 29]]


def plain(ids=None, skip=1, **config):
    return {"class": "CLIPTextModel", "config": {**SMALL, **config}, "ids": ids or IDS, "skip": skip}


def projected(**config):
    return {**plain(**config), "class": "CLIPTextModelWithProjection"}


ACTS = ["gelu", "gelu_new", "gelu_fast", "gelu_accurate", "gelu_pytorch_tanh", "gelu_python", "gelu_python_tanh",
        "silu", "swish", "relu", "mish", "tanh", "linear"]

CASES = [plain()] + [plain(hidden_act=act, num_hidden_layers=1) for act in ACTS] + [
    plain(skip=2, layer_norm_eps=1e-3),
    plain(skip=0, ids=[[7]], num_attention_heads=1),
    plain(ids=[[3, 29, 5, 28, 29, 2, 29, 8, 29]], eos_token_id=29, num_hidden_layers=3),
    plain(ids=[[3, 27, 5, 29, 29, 2]], eos_token_id=2, pad_token_id=0),
    plain(ids=[[28, 5, 2], [28, 29, 1]], eos_token_id=29),
    projected(),
    projected(eos_token_id=2, hidden_act="gelu", num_attention_heads=4, num_hidden_layers=3, skip=2),
    projected(projection_dim=20, hidden_size=8, intermediate_size=6),
]


class Prefixed(torch.nn.Module):
    """CLIPTextModel with the keys that files have."""

    def __init__(self, config):
        super().__init__()
        self.text_model = CLIPTextModel(config)

    def forward(self, **given):
        return self.text_model(**given)


def make(case):
    classes = {"CLIPTextModel": Prefixed, "CLIPTextModelWithProjection": CLIPTextModelWithProjection}
    return classes[case["class"]](CLIPTextConfig(**case["config"]))


def run(model, case):
    got = model(input_ids=torch.tensor(case["ids"]), output_hidden_states=True)
    raw = got.hidden_states[-(case["skip"] + 1)]
    norm = model.text_model.final_layer_norm
    pooled = got.text_embeds if hasattr(got, "text_embeds") else got.pooler_output
    return {"last": got.last_hidden_state, "raw": raw, "normed": norm(raw), "pooled": pooled}, {}


def passes(model, case, dtype):
    return {"forward": lambda: model(input_ids=torch.tensor(case["ids"]))}


if __name__ == "__main__":
    main(make, run, passes, CASES, "spec/fixtures/peers/cliptext.safetensors")
