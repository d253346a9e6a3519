"""Tokenizers against ids that the originals gave, and against the `tokenizers` package over random strings."""

import json
import os
import random
import subprocess
import unicodedata
from pathlib import Path

import pytest
from program import QUERN, ROOT, SMOLLM2, STORIES, needs_smollm2

DATA = os.environ.get("QUERN_TOKENIZERS", ROOT.parent / "shared" / "tokenizers")
FAMILIES = ["llama-spm", "gpt-2", "deepseek-llm", "bert-bge"]
N_RANDOM = int(os.environ.get("QUERN_RANDOM_STRINGS", 20000))

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
GPT4O = (rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{CONTRACTIONS}"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
TEKKEN = GPT4O.replace(CONTRACTIONS, "").replace(r"\p{N}{1,3}", r"\p{N}")
DEEPSEEK_V3 = [r"\p{N}{1,3}", r"[一-龥぀-ゟ゠-ヿ]+",
               r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""]
# The cased letters that DeepSeek LLM's tokenizer.json lists one by one.
DEEPSEEK_LETTERS = (
    r"\x{41}-\x{5A}\x{61}-\x{7A}\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293}"
    r"\x{295}-\x{2AF}\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C}\x{38E}-\x{3A1}"
    r"\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556}\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}"
    r"\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}\x{1D79}-\x{1D9A}"
    r"\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}"
    r"\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}"
    r"\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115}"
    r"\x{2119}-\x{211D}\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F}"
    r"\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4}\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}"
    r"\x{A640}-\x{A66D}\x{A680}-\x{A69B}\x{A722}-\x{A76F}\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}"
    r"\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}\x{104B0}-\x{104D3}"
    r"\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF}\x{1E900}-\x{1E943}"
)
DEEPSEEK_LLM = [r"[\r\n]", rf"\s?[{DEEPSEEK_LETTERS}]+", r"\s?[!-/:-~！-／：-～‘-‟\u3000-。]+".replace(r"\u3000", "\u3000"), r"\s+$", r"[一-龥ࠀ-一가-퟿]+"]
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
        lambda: rng.choice(["'s", "'S", "'ll", "'LL", "'Ve", "'t", "'re", "'d", "'m", "'ſ", "’s", "'x"]),
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

    def split(*patterns):
        return [p.Split(regex(pattern), "isolated") for pattern in patterns]

    words = p.ByteLevel(add_prefix_space=False)
    byte_level = p.ByteLevel(add_prefix_space=False, use_regex=False)
    digits = p.Digits(individual_digits=True)
    return {
        "gpt-2": [words],
        "smollm": [digits, words],
        "starcoder": [digits, words],
        "llama-bpe": [*split(LLAMA3), byte_level],
        "smaug-bpe": [*split(LLAMA3), byte_level],
        "qwen2": [*split(QWEN2), byte_level],
        "gpt-4o": [*split(GPT4O), byte_level],
        "tekken": [*split(TEKKEN), byte_level],
        "deepseek-llm": [*split(*DEEPSEEK_LLM), digits, byte_level],
        "deepseek-coder": [*split(*DEEPSEEK_CODER), digits, byte_level],
        "deepseek-v3": [*split(*DEEPSEEK_V3), byte_level],
        "falcon": [p.Punctuation("contiguous"), words, p.Digits(individual_digits=False), *split("[0-9][0-9][0-9]")],
    }[family]


BYTE_LEVEL_FAMILIES = ["smollm", "gpt-2", "starcoder", "llama-bpe", "smaug-bpe", "qwen2", "gpt-4o", "tekken", "deepseek-llm", "deepseek-coder",
                       "deepseek-v3", "falcon"]
TAKES_WHOLE_WORDS = ["llama-bpe", "tekken"]


def vocabulary_of(path, *keys):
    import gguf

    reader = gguf.GGUFReader(path)
    return [reader.get_field(f"tokenizer.ggml.{key}").contents() for key in keys]


@pytest.fixture(scope="module", params=BYTE_LEVEL_FAMILIES)
def byte_level(request, tmp_path_factory):
    """A family's pre-tokenizer on GPT-2's vocabulary (SmolLM2's on its own): its name, the file for quern, and the tokenizer of the package."""
    tokenizers, gguf = pytest.importorskip("tokenizers"), pytest.importorskip("gguf")
    family = request.param
    if family == "smollm" and not SMOLLM2.exists():
        pytest.skip(f"{SMOLLM2} is missing: scripts/fetch_default_model.py fetches it")
    pieces, merges, kinds = vocabulary_of(SMOLLM2 if family == "smollm" else vocabulary_file("gpt-2"), "tokens", "merges", "token_type")
    path = tmp_path_factory.mktemp("tokenizer") / f"{family}.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(family)
    writer.add_token_list(pieces)
    writer.add_token_merges(merges)
    writer.add_token_types(kinds)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    pairs = [tuple(merge.split(" ")) for merge in merges]
    oracle = tokenizers.Tokenizer(tokenizers.models.BPE({piece: i for i, piece in enumerate(pieces)}, pairs, ignore_merges=family in TAKES_WHOLE_WORDS))
    oracle.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(splitters(tokenizers, family))
    return family, path, oracle


def check_ids(path, texts, expected):
    ours = run(["-m", str(path), "--no-bos", "--no-parse-special"], texts)
    different = [(text, a, b) for text, a, b in zip(texts, ours, expected, strict=True) if a != b]
    assert not different, f"{len(different)} of {len(texts)} differ, the first is {different[0]}"
    return ours


def test_random_strings_have_the_ids_of_the_tokenizers_package(byte_level):
    family, path, oracle = byte_level
    rng = random.Random(family)
    texts = [random_text(rng) for _ in range(N_RANDOM)]
    ids = check_ids(path, texts, [encoding.ids for encoding in oracle.encode_batch(texts, add_special_tokens=False)])
    if family == "smollm":  # its vocabulary lacks the bytes of some control characters
        texts = [text for text in texts if not any(ord(c) < 32 or ord(c) == 127 for c in text)]
        ids = run(["-m", str(path), "--no-bos", "--no-parse-special"], texts)
    assert run(["-m", str(path), "--detokenize"], ids) == texts


def every_character():
    """All code points that Unicode assigned before version 14, which is what the regex libraries on both sides know."""
    return [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Co", "Cs")]


def test_every_character_is_classified_as_by_the_tokenizers_package(byte_level):
    family, path, oracle = byte_level
    characters = every_character()
    if family == "falcon":  # the package's Punctuation step knows Unicode 8; quern, the punctuation of today
        newer = {0x61D, 0x166D, 0x1B7D, 0x1B7E, *range(0x2E43, 0x2E5E)}
        characters = [c for c in characters if ord(c) not in newer]
    assert len(characters) > 140_000
    texts = ["".join(f"a{c}1{c}{c} {c}.{c}A" for c in characters[at:at + 16]) for at in range(0, len(characters), 16)]
    check_ids(path, texts, [encoding.ids for encoding in oracle.encode_batch(texts, add_special_tokens=False)])


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


def test_ids_outside_the_vocabulary_are_refused_by_line():
    for line in ("[99999999]", "[-5]", '["x"]', "3", "{"):
        done = subprocess.run([str(QUERN), "tokenize", "-m", str(STORIES), "--jsonl", "--detokenize"], input="[1]\n" + line + "\n", capture_output=True, text=True)
        assert done.returncode == 1 and "line 2" in done.stderr, line
