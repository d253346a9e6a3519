"""Tokenizers against ids that the originals gave, and against the `tokenizers` package over random strings."""

import json
import os
import random
import subprocess
from pathlib import Path

import pytest
from program import QUERN, ROOT, SMOLLM2, needs_smollm2

DATA = os.environ.get("QUERN_TOKENIZERS", ROOT.parent / "shared" / "tokenizers")
FAMILIES = ["llama-spm", "gpt-2", "deepseek-llm", "bert-bge"]
N_RANDOM = int(os.environ.get("QUERN_RANDOM_STRINGS", 20000))

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
GPT4O = (rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{CONTRACTIONS}"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK_CODER = [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", r"[一-龥ࠀ-一가-퟿]+"]


def run(arguments, lines):
    out = subprocess.run([str(QUERN), "tokenize", *arguments, "--jsonl"], input="\n".join(map(json.dumps, lines)), check=True, capture_output=True, text=True)
    return [json.loads(line) for line in out.stdout.removesuffix("\n").split("\n")]


def vocabulary_file(family):
    path = Path(DATA) / f"ggml-vocab-{family}.gguf"
    if not path.exists():
        pytest.skip(f"{path} is not there (QUERN_TOKENIZERS names its folder)")
    return path


@pytest.mark.parametrize("family", FAMILIES)
def test_ids_are_those_of_the_original(family):
    path = vocabulary_file(family)
    texts = path.with_suffix(".gguf.inp").read_text(encoding="utf-8").split("\n__ggml_vocab_test__\n")
    expected = [[int(i) for i in line.split()] for line in path.with_suffix(".gguf.out").read_text().splitlines()]
    texts = texts[:len(expected)]
    assert len(expected) > 40
    assert run(["-m", str(path), "--no-bos", "--no-parse-special"], texts) == expected


def random_text(rng):
    """Scripts, digits, runs of spaces and newlines, emoji, combining marks, contractions, controls: what pre-tokenizers trip over."""
    def letters(*ranges):
        return "".join(chr(rng.randint(*rng.choice(ranges))) for _ in range(rng.randint(1, 6)))

    makers = [
        lambda: letters((0x61, 0x7A), (0x41, 0x5A)), lambda: letters((0x61, 0x7A)), lambda: " " * rng.randint(1, 5), lambda: " ",
        lambda: letters((0x30, 0x39)), lambda: rng.choice(["\n", "\r\n", "\n\n", "\t", "\r", " \n ", "\u00a0", "\u3000", "\u2028", "\u0085", "\u200b"]),
        lambda: rng.choice(["'s", "'S", "'ll", "'LL", "'Ve", "'t", "'re", "'d", "'m", "’s", "'x"]),
        lambda: letters((0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E)), lambda: letters((0xC0, 0x24F)), lambda: letters((0x391, 0x3A1), (0x3B1, 0x3C9)),
        lambda: letters((0x410, 0x44F)), lambda: letters((0x4E00, 0x9FA5)), lambda: letters((0x3041, 0x3096), (0x30A1, 0x30FA)), lambda: letters((0xAC00, 0xD7A3)),
        lambda: letters((0x5D0, 0x5EA), (0x621, 0x64A)), lambda: letters((0x905, 0x939), (0x93E, 0x94C)), lambda: letters((0x660, 0x669), (0x966, 0x96F), (0xFF10, 0xFF19)),
        lambda: letters((0x1F600, 0x1F64F), (0x1F300, 0x1F5FF)), lambda: "e" + letters((0x300, 0x36F)), lambda: letters((0x2150, 0x2189), (0x2460, 0x249B), (0xB2, 0xB3)),
        lambda: letters((0x1, 0x8), (0xE, 0x1F), (0x7F, 0x7F)), lambda: letters((0xFF01, 0xFF0F), (0x3001, 0x3011), (0x2018, 0x201F)), lambda: letters((0x1C5, 0x1C5), (0x2B0, 0x2B8)),
        lambda: letters((0x10400, 0x1044F), (0x20000, 0x20100)),
    ]
    return "".join(rng.choice(makers)() for _ in range(rng.randint(1, 10)))


def splitters(tokenizers, family):
    p, regex = tokenizers.pre_tokenizers, tokenizers.Regex
    split = lambda pattern: p.Split(regex(pattern), "isolated")
    byte_level = p.ByteLevel(add_prefix_space=False, use_regex=False)
    return {
        "gpt-2": [p.ByteLevel(add_prefix_space=False)],
        "smollm": [p.Digits(individual_digits=True), p.ByteLevel(add_prefix_space=False)],
        "llama-bpe": [split(LLAMA3), byte_level],
        "qwen2": [split(QWEN2), byte_level],
        "gpt-4o": [split(GPT4O), byte_level],
        "deepseek-coder": [*map(split, DEEPSEEK_CODER), p.Digits(individual_digits=True), byte_level],
        "falcon": [p.Punctuation("contiguous"), p.ByteLevel(add_prefix_space=False), split("[0-9][0-9][0-9]")],
    }[family]


def vocabulary_of(path):
    import gguf

    reader = gguf.GGUFReader(path)
    return [reader.get_field(f"tokenizer.ggml.{key}").contents() for key in ("tokens", "merges", "token_type")]


@pytest.mark.parametrize("family", ["smollm", "gpt-2", "llama-bpe", "qwen2", "gpt-4o", "deepseek-coder"])
@needs_smollm2
def test_random_strings_have_the_ids_of_the_tokenizers_package(family, tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    import gguf

    pieces, merges, kinds = vocabulary_of(SMOLLM2 if family == "smollm" else vocabulary_file("gpt-2"))
    path = tmp_path / "vocabulary.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(family)
    writer.add_token_list(pieces)
    writer.add_token_merges(merges)
    writer.add_token_types(kinds)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    whole_words = family == "llama-bpe"
    model = tokenizers.models.BPE({piece: i for i, piece in enumerate(pieces)}, [tuple(m.split(" ")) for m in merges], ignore_merges=whole_words)
    oracle = tokenizers.Tokenizer(model)
    oracle.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(splitters(tokenizers, family))
    rng = random.Random(family)
    texts = [random_text(rng) for _ in range(N_RANDOM)]
    ours = run(["-m", str(path), "--no-bos", "--no-parse-special"], texts)
    theirs = [encoding.ids for encoding in oracle.encode_batch(texts, add_special_tokens=False)]
    different = [(text, a, b) for text, a, b in zip(texts, ours, theirs) if a != b]
    assert not different, f"{len(different)} of {len(texts)} differ, the first is {different[0]}"
    if family == "smollm":  # its vocabulary lacks the bytes of some control characters
        texts = [text for text in texts if not any(ord(c) < 32 or ord(c) == 127 for c in text)]
        ours = run(["-m", str(path), "--no-bos", "--no-parse-special"], texts)
    assert run(["-m", str(path), "--detokenize"], ours) == texts


@needs_smollm2
def test_control_tokens_in_text_are_text_unless_asked_for():
    text = "<|im_start|>user"
    with_special, = run(["-m", str(SMOLLM2), "--no-bos"], [text])
    without, = run(["-m", str(SMOLLM2), "--no-bos", "--no-parse-special"], [text])
    assert with_special[0] == 1 and len(with_special) == 2
    assert 1 not in without
    assert run(["-m", str(SMOLLM2), "--detokenize"], [without]) == [text]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("what", ["a", " ", "\n", "1", "中", "🙂", "ab ", "!", "é"])
def test_a_megabyte_takes_less_than_two_seconds(family, what, tmp_path):
    path = tmp_path / "text"
    path.write_text(what * (1_000_000 // len(what.encode())), encoding="utf-8")
    subprocess.run([str(QUERN), "tokenize", "-m", str(vocabulary_file(family)), "-f", str(path), "--ids", "--no-escape"], check=True, capture_output=True, timeout=2.0 + 1.0)
