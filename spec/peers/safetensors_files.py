"""Files of the safetensors library, for spec/safetensors_spec.lua and check_safetensors.lua.

python safetensors_files.py make FOLDER    writes the fixtures
python safetensors_files.py again FOLDER   loads each NAME.safetensors there and writes its
                                           tensors and metadata again as NAME.again
python safetensors_files.py judge FOLDER   prints a line for each file in FOLDER/cases, which
                                           has a u32 length before each: ok, or the fault
python safetensors_files.py wide FOLDER    writes one tensor of each type to FOLDER/types, and
                                           their values in double to FOLDER/wide
python safetensors_files.py split FOLDER   splits whole.safetensors into shards in FOLDER/theirs
"""
import os
import sys
import torch
from safetensors import SafetensorError, deserialize, safe_open
from safetensors.torch import load_file, save, save_file
from huggingface_hub import save_torch_state_dict

WIDE = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
WHOLE = [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8]
UNSIGNED = [torch.uint64, torch.uint32, torch.uint16]
EIGHT = ["float8_e5m2fnuz", "float8_e4m3fnuz", "float8_e8m0fnu", "float8_e4m3fn", "float8_e5m2"]


def types():
    """One tensor of each type. Names fall while types narrow, so order is by type."""
    out = {"bool": torch.tensor([True, False, True]), "c64": torch.tensor([1 + 2j])}
    for t in WIDE:
        out["f." + str(t)[6:]] = torch.tensor([[1.5, -2.0, 0.25]]).to(t)
    for t in WHOLE:
        out["i." + str(t)[6:]] = torch.tensor([1, 100, 127]).to(t)
    for t in UNSIGNED:
        out["u." + str(t)[6:]] = torch.tensor([1, 100, 255], dtype=torch.int64).to(t)
    for t in EIGHT:
        out["e." + t] = torch.arange(256).to(torch.uint8).view(getattr(torch, t))
    out["f4"] = torch.arange(8).to(torch.uint8).view(torch.float4_e2m1fn_x2)
    return out


def ours():
    """Types that d.save writes, with names and metadata that need care."""
    names = ["b", "a", "A", "é", "\U0001f600", 'quo"te\\', "line\n\t\r\b\f\x01\x7f", "a.b", "a-b", "a/b", ""]
    made = [torch.float32, torch.int64, torch.float16, torch.uint8, torch.bfloat16, torch.float64]
    out = {}
    for k, name in enumerate(names):
        x = torch.arange(k % 4 * 3).reshape(k % 4, 3)
        out[name] = x.to(made[k % 6])
    out["scalar"] = torch.tensor(2.5)
    return out


NOTE = {'é"\U0001f600': 'x"\\/\n\x1f\x7f'}  # several would come in the random order of a hash table


def make(folder):
    save_file(types(), f"{folder}/safetensors_types.safetensors")
    save_file(ours(), f"{folder}/safetensors_ours.safetensors", metadata=NOTE)


def again(folder):
    for name in sorted(f for f in os.listdir(folder) if f.endswith(".safetensors")):
        with safe_open(f"{folder}/{name}", "pt") as f:
            tensors, note = {k: f.get_tensor(k) for k in f.keys()}, f.metadata()
        with open(f"{folder}/{name[:-12]}.again", "wb") as out:
            out.write(save(tensors, metadata=note))


def verdict(data):
    try:
        deserialize(data)
        return "ok"
    except SafetensorError as error:
        return " ".join(str(error).split())


def judge(folder):
    with open(f"{folder}/cases", "rb") as f:
        while length := f.read(4):
            print(verdict(f.read(int.from_bytes(length, "little"))))


def wide(folder):
    kept = {k: x for k, x in types().items() if k not in ("c64", "f4", "u.uint64")}
    save_file(types(), f"{folder}/types")
    save_file({k: x.to(torch.float32).to(torch.float64) for k, x in kept.items()}, f"{folder}/wide")


def split(folder):
    tensors = load_file(f"{folder}/whole.safetensors")
    save_torch_state_dict({k: tensors[k] for k in sorted(tensors)}, f"{folder}/theirs",
                          filename_pattern="m{suffix}.safetensors", max_shard_size=300)


{"wide": wide, "split": split, "make": make, "again": again, "judge": judge}[sys.argv[1]](sys.argv[2])
