"""References of DiTTransformer2DModel: spec/fixtures/peers/dit.safetensors.

PEERS/bin/python spec/peers/dit.py                     writes the fixture
PEERS/bin/python spec/peers/dit.py cases.json records  records other cases
"""
from diffusers import DiTTransformer2DModel

from record import main
from values import uniform
import torch

SMALL = {"num_attention_heads": 2, "attention_head_dim": 8, "num_layers": 1, "sample_size": 4,
         "num_embeds_ada_norm": 10}


def case(x=(2, 4, 4, 4), t=(0, 999), labels=(3, 10), **config):
    return {"class": "DiTTransformer2DModel", "config": {**SMALL, **config}, "x": list(x),
            "t": list(t), "labels": list(labels)}


CASES = [
    case(),
    case(num_layers=2, out_channels=8),
    case(num_layers=3, t=(17, 500)),
    case(in_channels=3, out_channels=6, x=(2, 3, 4, 4)),
    case(patch_size=1, sample_size=3, x=(2, 4, 3, 3)),
    case(patch_size=4, sample_size=8, x=(1, 4, 8, 8), t=(321,), labels=(0,)),
    case(sample_size=8, x=(1, 4, 4, 4), t=(5,), labels=(9,)),
    case(sample_size=4, x=(1, 4, 8, 8), t=(750,), labels=(1,)),
    case(sample_size=6, x=(1, 4, 10, 10), t=(999.5,), labels=(2,)),
    case(sample_size=5, x=(1, 4, 6, 6), t=(1,), labels=(2,)),
    case(attention_bias=False),
    case(activation_fn="gelu"),
    case(activation_fn="geglu"),
    case(activation_fn="geglu-approximate"),
    case(activation_fn="swiglu"),
    case(activation_fn="linear-silu"),
    case(norm_elementwise_affine=True),
    case(norm_eps=1e-2, num_layers=2),
    case(num_attention_heads=1, attention_head_dim=20),
    case(num_attention_heads=4, attention_head_dim=3),
    case(num_embeds_ada_norm=1, labels=(0, 1)),
    case(dropout=0.1, upcast_attention=True, norm_num_groups=8),
    case(activation_fn="swiglu", attention_bias=False, norm_elementwise_affine=True, num_layers=2),
]


def make(case):
    return DiTTransformer2DModel(**case["config"])


def run(model, case):
    x = uniform(case["x"], 1).requires_grad_()
    t = torch.tensor(case["t"])
    y = model(x, t, class_labels=torch.tensor(case["labels"])).sample
    return {"y": y}, {"x": x}


def passes(model, case, dtype):
    x, t = uniform(case["x"], 1).to(dtype), torch.tensor(case["t"])
    labels = torch.tensor(case["labels"])
    return {"forward": lambda: model(x, t, class_labels=labels)}


if __name__ == "__main__":
    main(make, run, passes, CASES, "spec/fixtures/peers/dit.safetensors")
