"""A GGUF file of every type that is read, written and expanded by the package gguf, for spec/gguf_spec.lua.

    PYTHON spec/peers/gguf_file.py

PYTHON has the packages gguf 0.19 and safetensors. `make peers` doesn't install gguf.
"""
import os

import gguf
import numpy as np
from safetensors.numpy import save_file

HERE = os.path.join(os.path.dirname(__file__), "..", "fixtures", "peers")
TYPES = ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"]


def main():
    rng = np.random.default_rng(0)
    writer = gguf.GGUFWriter(os.path.join(HERE, "types.gguf"), "spec")
    writer.add_string("spec.text", "naïve")
    writer.add_array("spec.list", [1.5, -2.0])
    writer.add_array("spec.words", ["a", "", "b"])
    writer.add_bool("spec.yes", True)
    writer.add_int64("spec.low", -(2**62))
    want = {}
    for i, name in enumerate(TYPES):
        kind = gguf.GGMLQuantizationType[name]
        x = (rng.standard_normal((3, 64 + 32 * (i % 2))) * 2.0 ** rng.integers(-6, 3, (3, 1))).astype(np.float32)
        x[0, :32] = 0
        data = x.astype(np.float16) if name == "F16" else gguf.quants.quantize(x, kind)
        writer.add_tensor(name, data, raw_dtype=kind)
        want[name] = gguf.quants.dequantize(data, kind).astype(np.float32)
    for name, x in (("I8", np.int8([-128, 127, 3])), ("I16", np.int16([-300, 300])), ("I32", np.int32([[70000]])),
                    ("I64", np.int64([-(2**40)])), ("F64", np.float64([np.pi]))):
        writer.add_tensor(name, x)
    writer.add_tensor("Q6_K", rng.integers(0, 255, (1, 210), dtype=np.uint8), raw_dtype=gguf.GGMLQuantizationType.Q6_K)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_file(want, os.path.join(HERE, "types_gguf.safetensors"))


if __name__ == "__main__":
    main()
