"""Adapters and learned words of text-to-image pipelines, by the code of diffusers, transformers and peft.

    build/peers/bin/python spec/peers/lora_text.py                  writes the fixture of spec/lora_text_spec.lua
    build/peers/bin/python spec/peers/lora_text.py run KIND FILE    the output of the denoiser with FILE's adapters
    build/peers/bin/python spec/peers/lora_text.py words KIND FILE WORD   the states of a text with FILE's word
    build/peers/bin/python spec/peers/lora_text.py peft KIND FOLDER       writes FOLDER with peft alone, and its output

The networks are those of make_text_pipelines.py, with the values of values.py. A file of adapters has such
values too, so that the fixture holds names and shapes alone, and outputs.
"""
import json
import os
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file

sys.path.insert(0, os.path.dirname(__file__))
import make_text_pipelines as tiny  # noqa: E402
import values  # noqa: E402
import diffusers  # noqa: E402
import transformers.integrations.peft  # noqa: E402
from peft import LoraConfig, get_peft_model  # noqa: E402
from peft.utils import get_peft_model_state_dict  # noqa: E402

# This version asks for a peft that isn't published yet, but runs with the present one.
transformers.integrations.peft.check_peft_version = lambda **_: None

HERE = tiny.HERE
# The config of SDXL's second encoder has eos_token_id = 2, with which transformers takes the token of the highest
# id for the end of a text. That is wrong with added tokens, so this one says the right token.
END = tiny.VOCABULARY - 1
KINDS = {"sd1": tiny.SD1, "xl": dict(tiny.XL, parts=dict(
    tiny.XL["parts"], text_encoder_2=dict(tiny.TEXT2, eos_token_id=END)))}
PROMPT = "a red cat on the mat"


def pipe_of(kind):
    pipe = tiny.made(dict(KINDS[kind], args={}, scheduler=KINDS[kind]["scheduler"]), 0, torch.float32)
    pipe.text_encoder.__dict__.pop("text_model", None)
    return pipe


def states(pipe, prompt):
    out = pipe.encode_prompt(prompt, device="cpu", num_images_per_prompt=1, do_classifier_free_guidance=False)
    if len(out) == 2:
        return out[0], {}
    return out[0], dict(text_embeds=out[2], time_ids=torch.tensor([[16.0, 24, 2, 3, 16, 16]]))


def output(pipe, prompt=PROMPT):
    """The denoiser's output for one input, conditioned on the states of a text."""
    x = values.uniform((1, 4, 8, 8), 3)
    with torch.no_grad():
        context, more = states(pipe, prompt)
        y = pipe.unet(x, 41, encoder_hidden_states=context, added_cond_kwargs=more or None).sample
    return y.permute(0, 2, 3, 1).contiguous()


# ---- files ------------------------------------------------------------------------------------------

def layers(model, wanted):
    """The products of a network whose paths have one of the words: {path: weight's shape}."""
    out = {}
    for path, m in model.named_modules():
        if isinstance(m, (torch.nn.Linear, torch.nn.Conv2d)) and any(w in path for w in wanted):
            out[path] = tuple(m.weight.shape)
    return out


def text_path(path):
    """The path of a layer in the text encoder as files name it."""
    return path if path.startswith("text_") else "text_model." + path


def factors(shape, rank):
    out = shape[0]
    if len(shape) == 2:
        return (rank, shape[1]), (out, rank)
    return (rank,) + tuple(shape[1:]), (out, rank, 1, 1)


UNET = ["attn1.to_q", "attn2.to_v", "to_out.0", "ff.net.0.proj", "proj_in", "resnets.0.conv1", "conv_shortcut",
        "time_emb_proj", "downsamplers.0.conv", "upsamplers.0.conv"]
# In the authors' names diffusers doesn't find the change of size of a level without attention.
XL = UNET[:-1] + ["conv_in", "conv_out", "add_embedding.linear_1", "time_embedding.linear_2"]
TEXT = ["q_proj", "out_proj", "fc1"]


def original(path, per_level):
    """The path of a layer of the denoiser in the network of the authors, by kohya's table."""
    part = path.split(".")
    inner = {"conv1": "in_layers.2", "conv2": "out_layers.3", "time_emb_proj": "emb_layers.1",
             "conv_shortcut": "skip_connection"}
    whole = {"conv_in": "input_blocks.0.0", "conv_out": "out.2", "time_embedding.linear_1": "time_embed.0",
             "time_embedding.linear_2": "time_embed.2", "add_embedding.linear_1": "label_emb.0.0",
             "add_embedding.linear_2": "label_emb.0.2"}
    if path in whole:
        return whole[path]
    if part[0] == "mid_block":
        stem = "middle_block.%d" % (1 if part[1] == "attentions" else 2 * int(part[2]))
        return ".".join([stem] + [inner.get(p, p) for p in part[3:]])
    level, kind, j = int(part[1]), part[2], int(part[3])
    if kind == "downsamplers":
        return "input_blocks.%d.0.op" % ((level + 1) * (per_level + 1))
    base = "input_blocks" if part[0] == "down_blocks" else "output_blocks"
    at = level * (per_level + 1) + j + (1 if part[0] == "down_blocks" else 0)
    return ".".join([base, str(at), "0" if kind == "resnets" else "1"] + [inner.get(p, p) for p in part[4:]])


class File:
    """Names with shapes, alphas, and a seed of values."""

    def __init__(self, seed):
        self.shapes, self.alphas, self.seed, self.count = {}, {}, seed, 0

    def add(self, down, up, shape, alpha_key=None, alpha=None):
        rank = 1 + self.count % 3
        self.shapes[down], self.shapes[up] = factors(shape, rank)
        if alpha_key:
            self.alphas[alpha_key] = alpha or [0.5, 1.0, 3.0][self.count % 3]
        self.count += 1

    def tensors(self):
        out = values.filled(self.shapes, self.seed)
        out.update({k: torch.tensor(v) for k, v in self.alphas.items()})
        return out

    def facts(self, metadata=None):
        return dict(shapes={k: list(v) for k, v in self.shapes.items()}, alphas=self.alphas, seed=self.seed,
                    metadata=metadata)


def kohya(pipe, kind, seed, authors):
    """Names of kohya's scripts. This diffusers loses the alphas of attention and of text encoders, and takes the
    first of the network for them. So these have one alpha, as the files of those scripts do."""
    f = File(seed)

    def add(prefix, path, shape):
        name = prefix + path.replace(".", "_")
        alpha = 2.0 if "_te" in prefix else 0.5 if "attn" in path else None
        f.add(name + ".lora_down.weight", name + ".lora_up.weight", shape, name + ".alpha", alpha)

    for path, shape in layers(pipe.unet, XL if authors else UNET).items():
        add("lora_unet_", original(path, 1) if authors else path, shape)
    for path, shape in layers(pipe.text_encoder, TEXT).items():
        add("lora_te1_" if kind == "xl" else "lora_te_", text_path(path), shape)
    if kind == "xl":
        for path, shape in layers(pipe.text_encoder_2, TEXT).items():
            if "text_projection" not in path:
                add("lora_te2_", path if path.startswith("text_model") else text_path(path), shape)
    return f


def older(pipe, seed, unet_ends, text_ends, prefix="unet."):
    """Names from before peft: how each of q, k, v and out ends."""
    f = File(seed)
    for path, shape in layers(pipe.unet, ["to_q", "to_k", "to_out.0"]).items():
        stem, end = path.rsplit(".to_", 1)
        name = prefix + stem + unet_ends % end.split(".")[0] if "processor" in unet_ends else prefix + path + unet_ends
        f.add(name + ".down.weight", name + ".up.weight", shape)
    for path, shape in (layers(pipe.text_encoder, ["v_proj", "out_proj"]) if text_ends else {}).items():
        name = "text_encoder." + text_path(path) + text_ends
        f.add(name + ".down.weight", name + ".up.weight", shape)
    return f


def peft_file(pipe, folder):
    """Adapters that peft makes, saved as diffusers does: their names, and the metadata."""
    config = LoraConfig(r=2, lora_alpha=3, rank_pattern={"conv_in": 3, "attn1.to_q": 1}, alpha_pattern={"conv_in": 1},
                        target_modules=["to_q", "to_v", "to_out.0", "conv1", "conv_in", "proj_in", "ff.net.2"])
    pipe.unet.add_adapter(config)
    text = LoraConfig(r=2, lora_alpha=1, target_modules=["q_proj", "fc2"])
    pipe.text_encoder.add_adapter(text)
    type(pipe).save_lora_weights(folder, unet_lora_layers=get_peft_model_state_dict(pipe.unet),
                                 text_encoder_lora_layers=get_peft_model_state_dict(pipe.text_encoder),
                                 unet_lora_adapter_metadata=config.to_dict(),
                                 text_encoder_lora_adapter_metadata=text.to_dict())
    return os.path.join(folder, "pytorch_lora_weights.safetensors")


def metadata_of(path):
    with open(path, "rb") as f:
        n = int.from_bytes(f.read(8), "little")
        return json.loads(f.read(n)).get("__metadata__", {})


def peft(seed):
    path = peft_file(pipe_of("sd1"), tempfile.mkdtemp())
    f = File(seed)
    f.shapes = {k: tuple(v.shape) for k, v in load_file(path).items()}
    return f, metadata_of(path)


# ---- words ------------------------------------------------------------------------------------------

WITH_WORD = "a <toy> on the mat, <toy>"


def word_files(folder):
    """A file of each form: {name: (kind, path)}."""
    one, two = values.uniform((8,), 11), values.uniform((3, 8), 12)
    large = values.uniform((2, 12), 13)
    forms = {"learned_embeds.bin": ("sd1", {"<toy>": one}), "embedding.pt": ("sd1", dict(
        string_to_token={"*": 265}, string_to_param={"*": two}, name="<toy>", step=500, sd_checkpoint=None,
        sd_checkpoint_name=None)), "learned_embeds.safetensors": ("sd1", {"<toy>": two}),
        "both.safetensors": ("xl", {"clip_l": two[:2].contiguous(), "clip_g": large})}
    for name, (_, content) in forms.items():
        (save_file if name.endswith("safetensors") else torch.save)(content, os.path.join(folder, name))
    return {name: kind for name, (kind, _) in forms.items()}


def with_word(pipe, path, word="<toy>"):
    if type(pipe).__name__.startswith("StableDiffusionXL"):
        both = load_file(path)
        pipe.load_textual_inversion(both["clip_l"], token=word, text_encoder=pipe.text_encoder, tokenizer=pipe.tokenizer)
        pipe.load_textual_inversion(both["clip_g"], token=word, text_encoder=pipe.text_encoder_2,
                                    tokenizer=pipe.tokenizer_2)
        return pipe
    folder, name = os.path.split(path)
    pipe.load_textual_inversion(folder, weight_name=name, token=word)
    return pipe


# ---- outputs ----------------------------------------------------------------------------------------

def loaded(pipe, path, name="a"):
    folder, file = os.path.split(path)
    pipe.load_lora_weights(folder, weight_name=file, adapter_name=name)
    return pipe


def written(f, metadata=None):
    path = os.path.join(tempfile.mkdtemp(), "adapters.safetensors")
    save_file(f.tensors(), path, metadata=metadata or {"format": "pt"})
    return path


def fixture():
    files, out, kinds = {}, {}, {}

    def add(name, kind, f, metadata=None):
        path = written(f, metadata)
        y = output(loaded(pipe_of(kind), path))
        out[name], files[name], kinds[name] = y, f.facts(metadata), kind
        gap = (y - out[kind]).abs().max() / out[kind].abs().max()
        print("%-18s %3d layers, moves the output by %.2g of it" % (name, len(f.shapes) // 2, gap), flush=True)
        return path

    for kind in KINDS:
        out[kind] = output(pipe_of(kind))
    f, metadata = peft(1)
    first = add("peft", "sd1", f, metadata)
    second = add("kohya", "sd1", kohya(pipe_of("sd1"), "sd1", 2, False))
    add("kohya_authors", "xl", kohya(pipe_of("xl"), "xl", 3, True))
    add("kohya_xl", "xl", kohya(pipe_of("xl"), "xl", 4, False))
    add("processors", "sd1", older(pipe_of("sd1"), 5, ".processor.to_%s_lora", None))
    add("linear_layers", "sd1", older(pipe_of("sd1"), 6, ".lora", ".lora_linear_layer"))
    both = loaded(loaded(pipe_of("sd1"), first, "a"), second, "b")
    both.set_adapters(["a", "b"], [0.5, -0.75])
    out["both"] = output(both)
    words = os.path.join(HERE, "words")
    os.makedirs(words, exist_ok=True)
    for name, kind in word_files(words).items():
        out[name] = output(with_word(pipe_of(kind), os.path.join(words, name)), WITH_WORD)
        kinds[name] = kind
    save_file(out, os.path.join(HERE, "lora_text.safetensors"), metadata={"diffusers": diffusers.__version__})
    with open(os.path.join(HERE, "lora_text.json"), "w") as f:
        json.dump(dict(files=files, kinds=kinds, prompt=WITH_WORD), f, sort_keys=True)


def run(kind, path):
    save_file({"y": output(loaded(pipe_of(kind), path))}, path + ".out")


def peft_folder(kind, path):
    pipe = pipe_of(kind)
    torch.manual_seed(0)
    pipe.unet = get_peft_model(pipe.unet, LoraConfig(
        r=3, lora_alpha=7, use_rslora=kind == "xl", rank_pattern={"attn2.to_q": 1}, alpha_pattern={"to_v": 2},
        target_modules=["to_q", "to_v", "conv1", "conv_in"], init_lora_weights=False))
    pipe.unet.save_pretrained(path)
    save_file({"y": output(pipe)}, path + ".out")


def word(kind, path, word):
    save_file({"y": output(with_word(pipe_of(kind), path, word), WITH_WORD.replace("<toy>", word))}, path + ".out")


if __name__ == "__main__":
    {"run": run, "word": word, "peft": peft_folder}[sys.argv[1]](*sys.argv[2:]) if len(sys.argv) > 1 else fixture()
