"""SentencePiece's Unigram: converted vocabularies give the ids of the packages `tokenizers` and `sentencepiece`."""

import base64
import json
import random
import unicodedata

import pytest

pytest.importorskip("torch")
spm = pytest.importorskip("sentencepiece")
import checkpoints  # noqa: E402
from program import complaint, quern  # noqa: E402
from test_convert import vocabulary_of  # noqa: E402
from test_tokenizers import N_RANDOM, random_text, run  # noqa: E402
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers  # noqa: E402


def train(folder, **options):
    (folder / "text").write_text("\n".join(checkpoints.TEXT * 4), encoding="utf-8")
    spm.SentencePieceTrainer.train(**{**dict(
        input=str(folder / "text"), model_prefix=str(folder / "tokenizer"), model_type="unigram", vocab_size=300, character_coverage=0.98,
        hard_vocab_limit=False, minloglevel=2, num_threads=1), **options})
    model = spm.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    pieces = [(model.id_to_piece(i), model.get_score(i)) for i in range(len(model))]
    return pieces, field(field((folder / "tokenizer.model").read_bytes(), 3), 2)


def field(message, wanted):
    """The bytes of a protocol buffer's field."""
    at = 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            at += 1
            value |= (message[at - 1] & 0x7F) << shift
            shift += 7
            if message[at - 1] < 0x80:
                return value

    while at < len(message):
        tag = number()
        size = {0: None, 1: 8, 2: None, 5: 4}[tag & 7]
        if tag & 7 == 0:
            number()
            continue
        size = number() if size is None else size
        if tag == wanted << 3 | 2:
            return message[at:at + size]
        at += size
    raise AssertionError(wanted)


def as_xlm_roberta_is(trained, byte_fallback=False):
    """What transformers builds of such a model: its own special tokens, the map of characters, words at white space."""
    pieces, charsmap = trained
    vocab = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)] + pieces[3:] + [("<mask>", 0.0)]
    t = Tokenizer(models.Unigram(vocab, unk_id=3, byte_fallback=byte_fallback))
    t.normalizer = normalizers.Precompiled(charsmap)
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")])
    t.decoder = decoders.Metaspace()
    t.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    t.post_processor = processors.TemplateProcessing(single=["<s>", "$A", "</s>"], pair=["<s>", "$A", "</s>", "</s>", "$B", "</s>"],
                                                     special_tokens=[("<s>", 0), ("</s>", 2)])
    return t


def as_t5_is(trained):
    t = as_xlm_roberta_is(trained)
    t.normalizer = normalizers.Sequence([t.normalizer, normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), "▁")])
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    return t


def trained_by_tokenizers():
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.Replace(Regex(" {2,}"), " ")
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    t.train_from_iterator(checkpoints.TEXT, trainers.UnigramTrainer(vocab_size=300, special_tokens=["<unk>", "</s>"], unk_token="<unk>", show_progress=False))
    return t


def check(path, texts, expected):
    ours = run(["-m", str(path), "--no-parse-special"], texts)
    different = [(text, a, b) for text, a, b in zip(texts, ours, expected, strict=True) if a != b]
    assert not different, f"{len(different)} of {len(texts)} differ, the first is {different[0]}"


def random_texts(n=N_RANDOM, seed=3):
    rng = random.Random(seed)
    words = [word for line in checkpoints.TEXT for word in line.split()]
    return ([random_text(rng) for _ in range(n // 2)] + checkpoints.TEXT +
            [" ".join(rng.choice([rng.choice(words), random_text(rng)]) for _ in range(rng.randint(1, 8))) for _ in range(n // 2)])


@pytest.mark.parametrize("kind", ["xlm-roberta", "byte-fallback", "t5"])
def test_a_converted_tokenizer_json_gives_the_ids_of_the_tokenizers_package(kind, tmp_path):
    trained = train(tmp_path, byte_fallback=kind == "byte-fallback", vocab_size=600 if kind == "byte-fallback" else 300)
    (tmp_path / "tokenizer.model").unlink()
    tokenizer = as_t5_is(trained) if kind == "t5" else as_xlm_roberta_is(trained, kind == "byte-fallback")
    checkpoints.save_tokenizer(tokenizer, tmp_path, unk_token="<unk>")
    found = vocabulary_of(tmp_path, tmp_path / "out.gguf")
    assert found["tokenizer.ggml.model"] == "t5" and found["tokenizer.ggml.remove_extra_whitespaces"] and found["tokenizer.ggml.add_bos_token"]
    assert bytes(found["tokenizer.ggml.precompiled_charsmap"]) == trained[1]
    texts = random_texts()
    if kind == "t5":  # what is white space but for the map is a word here
        texts = [text.replace("\x85", "") for text in texts]
    check(tmp_path / "out.gguf", texts, [tokenizer.encode(text).ids for text in texts])


def test_every_character_becomes_what_the_map_of_the_tokenizers_package_makes_of_it(tmp_path):
    trained = train(tmp_path)
    (tmp_path / "tokenizer.model").unlink()
    tokenizer = as_xlm_roberta_is(trained, False)
    checkpoints.save_tokenizer(tokenizer, tmp_path, unk_token="<unk>")
    vocabulary_of(tmp_path, tmp_path / "out.gguf")
    texts = [f"a{chr(c)}b {chr(c)}c" for c in range(1, 0x30000) if unicodedata.category(chr(c)) not in ("Cn", "Co", "Cs")]
    check(tmp_path / "out.gguf", texts, [tokenizer.encode(text).ids for text in texts])


def test_a_vocabulary_that_tokenizers_trained_gives_its_ids(tmp_path):
    tokenizer = trained_by_tokenizers()
    checkpoints.save_tokenizer(tokenizer, tmp_path, unk_token="<unk>")
    vocabulary_of(tmp_path, tmp_path / "out.gguf")
    texts = [" ".join(text.split()) for text in random_texts(4000)]
    check(tmp_path / "out.gguf", texts, [tokenizer.encode(text).ids for text in texts])


@pytest.mark.parametrize("what", ["a", " ", "\n", "the ", "中", "e\u0301", "x"])
def test_a_megabyte_takes_less_than_two_seconds(what, tmp_path):
    trained = train(tmp_path)
    (tmp_path / "tokenizer.model").unlink()
    checkpoints.save_tokenizer(as_xlm_roberta_is(trained), tmp_path, unk_token="<unk>")
    vocabulary_of(tmp_path, tmp_path / "out.gguf")
    (tmp_path / "long").write_text(what * (1_000_000 // len(what.encode())), encoding="utf-8")
    quern("tokenize", "-m", tmp_path / "out.gguf", "-f", tmp_path / "long", "--ids", "--no-escape", timeout=2.0 + 1.0)


def plain_texts(n):
    """Without what the two packages normalize differently: marks that combine, and \\r\\n."""
    texts = [unicodedata.normalize("NFKC", text) for text in random_texts(n)]
    return ["".join(c for c in text if unicodedata.category(c) not in ("Mn", "Mc", "Me") and c not in "\r\x85\n\t") for text in texts]


@pytest.mark.parametrize("options", [dict(), dict(byte_fallback=True, vocab_size=600), dict(remove_extra_whitespaces=False, add_dummy_prefix=False)])
def test_a_sentencepiece_model_gives_its_own_ids(options, tmp_path):
    train(tmp_path, **options)
    found = vocabulary_of(tmp_path, tmp_path / "out.gguf")
    assert found["tokenizer.ggml.model"] == "t5"
    original = spm.SentencePieceProcessor(model_file=str(tmp_path / "tokenizer.model"))
    texts = plain_texts(4000)
    ours = run(["-m", str(tmp_path / "out.gguf"), "--no-parse-special", "--no-bos"], texts)
    eos = [found["tokenizer.ggml.eos_token_id"]] if found.get("tokenizer.ggml.add_eos_token") else []
    expected = [original.encode(text) + eos for text in texts]
    # Sums in other precision: some texts have two ways of the same score.
    different = [(t, a, b) for t, a, b in zip(texts, ours, expected) if a != b]
    assert len(different) <= len(texts) // 500, different[0]


def test_fairseq_shifts_the_ids_of_a_sentencepiece_model(tmp_path):
    trained = train(tmp_path)
    (tmp_path / "tokenizer.model").rename(tmp_path / "sentencepiece.bpe.model")
    tokenizer = as_xlm_roberta_is(trained)
    (tmp_path / "tokenizer_config.json").write_text("{}")
    vocabulary_of(tmp_path, tmp_path / "out.gguf")
    texts = random_texts(2000)
    check(tmp_path / "out.gguf", texts, [tokenizer.encode(text).ids for text in texts])


@pytest.mark.parametrize("map, said", [("?", "base64"), (base64.b64encode(b"\xff\xff\xff\xff").decode(), "map")])
def test_a_broken_map_is_refused(map, said, tmp_path):
    trained = train(tmp_path)
    (tmp_path / "tokenizer.model").unlink()
    checkpoints.save_tokenizer(as_xlm_roberta_is(trained), tmp_path, unk_token="<unk>")
    data = json.loads((tmp_path / "tokenizer.json").read_text())
    data["normalizer"]["precompiled_charsmap"] = map
    (tmp_path / "tokenizer.json").write_text(json.dumps(data))
    config = dict(architectures=["LlamaForCausalLM"], num_hidden_layers=1, max_position_embeddings=64, hidden_size=32, intermediate_size=32, num_attention_heads=1)
    (tmp_path / "config.json").write_text(json.dumps(config))
    if said == "base64":
        assert said in complaint("convert", tmp_path, "--vocab-only", "--outfile", tmp_path / "out.gguf")
    else:
        vocabulary_of(tmp_path, tmp_path / "out.gguf")
        assert said in complaint("tokenize", "-m", tmp_path / "out.gguf", "-p", "x")
