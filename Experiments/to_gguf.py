#!/usr/bin/env python3
"""Writes an adapter of train_dpo.py as a GGUF file that llama.cpp and transferq read.

    Experiments/to_gguf.py off-policy-2.pt --model SmolLM2-135M-Instruct.F32.gguf --output off-policy.gguf

llama.cpp keeps the rows of W_q and W_k in another order than transformers, because each rotates other pairs of elements
by position; the rows of B are reordered in the same way.
"""
import argparse

import gguf
import torch

NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def rotary_rows(b, heads):
    """Rows of each head from halves (transformers) to alternating pairs (llama.cpp)."""
    rows, rank = b.shape
    return b.reshape(heads, 2, rows // heads // 2, rank).swapaxes(1, 2).reshape(rows, rank)


def number(reader, key):
    return int(reader.fields[key].parts[-1][0])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("adapter", help="a .pt file of train_dpo.py")
    parser.add_argument("--model", required=True, help="the GGUF file that it was trained for")
    parser.add_argument("--output", required=True)
    options = parser.parse_args()

    model = gguf.GGUFReader(options.model)
    heads = {
        "attn_q": number(model, "llama.attention.head_count"), "attn_k": number(model, "llama.attention.head_count_kv")}
    kept = torch.load(options.adapter)
    writer = gguf.GGUFWriter(options.output, "llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(kept["alpha"]))
    for name, tensor in kept["tensors"].items():
        _, _, layer, part, projection, side = name.split(".")
        target = NAMES[f"{part}.{projection}"]
        if side == "b" and target in heads:
            tensor = rotary_rows(tensor, heads[target])
        writer.add_tensor(f"blk.{layer}.{target}.weight.lora_{side}", tensor.to(torch.float16).contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
