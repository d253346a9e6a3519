"""A BERT of random numbers that makes vectors, written with the gguf package alone: for tests of clients, where the values do not matter."""

import string

import gguf
import numpy as np

SIZE, LAYERS, HEADS, FEED_FORWARD, WINDOW = 32, 2, 4, 64, 64


def write(path):
    """A WordPiece vocabulary of letters, digits and marks, whole and as continuations."""
    letters = string.ascii_lowercase + string.digits + ".,-'"
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + ["▁" + c for c in letters] + list(letters)
    random = np.random.default_rng(1)
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_name("tiny")
    writer.add_license("mit")
    writer.add_block_count(LAYERS)
    writer.add_context_length(WINDOW)
    writer.add_embedding_length(SIZE)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_tokenizer_model("bert")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * 5 + [1] * (len(tokens) - 5))
    writer.add_token_type_count(2)
    for name, token in (("unk", 1), ("sep", 3), ("pad", 0), ("mask", 4), ("bos", 2), ("eos", 3)):
        getattr(writer, f"add_{name}_token_id")(token)

    writer.add_uint32("tokenizer.ggml.cls_token_id", 2)

    def add(name, *shape):
        values = random.normal(1 if "norm.weight" in name else 0, 0.3, shape)
        writer.add_tensor(name, values.astype(np.float32))

    add("token_embd.weight", len(tokens), SIZE)
    add("position_embd.weight", WINDOW, SIZE)
    add("token_types.weight", 2, SIZE)
    for name in ("token_embd_norm", *(f"blk.{i}.{norm}_output_norm" for i in range(LAYERS) for norm in ("attn", "layer"))):
        add(name + ".weight", SIZE)
        add(name + ".bias", SIZE)
    for i in range(LAYERS):
        for name, rows, columns in (("attn_q", SIZE, SIZE), ("attn_k", SIZE, SIZE), ("attn_v", SIZE, SIZE), ("attn_output", SIZE, SIZE),
                                    ("ffn_up", FEED_FORWARD, SIZE), ("ffn_down", SIZE, FEED_FORWARD)):
            add(f"blk.{i}.{name}.weight", rows, columns)
            add(f"blk.{i}.{name}.bias", rows)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
