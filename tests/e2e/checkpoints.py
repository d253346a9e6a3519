"""Hugging Face folders made on the spot: tiny random models of transformers, tokenizers trained on a few sentences."""

import json

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXT = [
    "The quick brown fox jumps over the lazy dog, and it isn't the first time: they've done so 1234 times.",
    "Zażółć gęślą jaźń. Der Fluß fließt über die Brücke. L'été à la plage; ça va bien?",
    "мама мыла раму, а папа читал газету. 你好，世界！今天天气很好。 こんにちは、世界",
    "def main():\n    return [x ** 2 for x in range(10)]\n\n\nprint(main())  # 100 + 23.5 = 123.5",
    "hello hello world world the the theory of the thesis that other mothers bother with",
]
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
UNKNOWN = r"\p{Lu}\p{Ll}*|\p{Ll}{1,4}|\p{N}{2}|[^\p{L}\p{N}]+|\p{L}|\p{N}"


def byte_level(pattern=None, vocab_size=600, ignore_merges=False, nfc=False, bos=False):
    """BPE of bytes; the pattern None is GPT-2's own."""
    t = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if nfc:
        t.normalizer = normalizers.NFC()
    if pattern is None:
        t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    else:
        split = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
        t.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=["<|begin|>", "<|end|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    t.train_from_iterator(TEXT, trainer)
    t.post_processor = processors.TemplateProcessing("<|begin|> $A", special_tokens=[("<|begin|>", 0)]) if bos else processors.ByteLevel()
    return t


def sentencepiece_style(vocab_size=700, metaspace=False):
    """BPE of characters with bytes for what it does not know, as converted SentencePiece models have it."""
    t = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    if metaspace:
        t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=True)
    else:
        t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    specials = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    t.train_from_iterator([w for line in TEXT for w in line.split(" ")], trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=specials, show_progress=False))
    data = json.loads(t.to_str())
    data["added_tokens"] = data["added_tokens"][:3]  # bytes are pieces like others
    t = Tokenizer.from_str(json.dumps(data))
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return t


def wordpiece(vocab_size=500):
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    t.train_from_iterator(TEXT, trainers.WordPieceTrainer(vocab_size=vocab_size, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
    return t


def one_token_a_byte():
    """259 tokens, for models whose vocabulary has as many."""
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator([], trainers.BpeTrainer(special_tokens=["<|begin|>", "<|end|>", "<|pad|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    return t


def save_tokenizer(tokenizer, folder, **config):
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def save(model, folder, tokenizer=None, torch_file=False, **options):
    """As save_pretrained() does, or as it did before safetensors."""
    model.save_pretrained(folder, **options)
    if torch_file:
        (folder / "model.safetensors").unlink()
        torch.save(model.state_dict(), folder / "pytorch_model.bin")
    save_tokenizer(tokenizer or one_token_a_byte(), folder)
