"""Embedders beside BERT: XLM-RoBERTa, RoBERTa, nomic-bert, decoder-only models; cross-encoders; cased vocabularies. Against transformers."""

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
from program import STORIES, complaint, quern  # noqa: E402
from serving import Server, error_of  # noqa: E402
from test_embed import TEXTS, check_close, unit, vectors  # noqa: E402
from test_embed import tokenizer as bert_tokenizer  # noqa: E402
from test_tokenizers import random_text, run  # noqa: E402
from test_unigram import as_xlm_roberta_is, train  # noqa: E402
from tokenizers import normalizers, processors  # noqa: E402

PEER = os.environ.get("QUERN_PEER")
WINDOW = 64
PAIRS = [("hello world", "the quick brown fox"), ("x", "other mothers bother with the theory"), ("wood", "thesis")]


@functools.cache
def xlm_tokenizer():
    import pathlib
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return as_xlm_roberta_is(train(pathlib.Path(folder)))


@functools.cache
def roberta_tokenizer():
    t = checkpoints.one_token_a_byte()
    begin, end = t.token_to_id("<|begin|>"), t.token_to_id("<|end|>")
    t.post_processor = processors.RobertaProcessing(("<|end|>", end), ("<|begin|>", begin), add_prefix_space=False)
    return t


def bert_pairs():
    t = bert_tokenizer()
    ids = [(piece, t.token_to_id(piece)) for piece in ("[CLS]", "[SEP]")]
    t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids)
    return t


def decoder_tokenizer():
    t = checkpoints.byte_level(checkpoints.QWEN2)
    t.post_processor = processors.TemplateProcessing(single="$A <|end|>", special_tokens=[("<|end|>", t.token_to_id("<|end|>"))])
    return t


SPECIALS = {
    "bert": dict(cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]", unk_token="[UNK]", mask_token="[MASK]"),
    "xlm-roberta": dict(bos_token="<s>", cls_token="<s>", eos_token="</s>", sep_token="</s>", pad_token="<pad>", unk_token="<unk>", mask_token="<mask>"),
    "roberta": dict(bos_token="<|begin|>", cls_token="<|begin|>", eos_token="<|end|>", sep_token="<|end|>", pad_token="<|pad|>"),
}
SIZES = dict(hidden_size=64, num_hidden_layers=3, num_attention_heads=4, intermediate_size=96, initializer_range=0.3)


def save(folder, kind, config, tokenizer, pooling=None, **specials):
    torch.manual_seed(11)
    model = kind(config).eval()
    for name, parameter in model.named_parameters():  # no norm or bias that does nothing
        if parameter.dim() == 1:
            parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(folder / "hf")
    checkpoints.save_tokenizer(tokenizer, folder / "hf", **specials)
    if pooling:
        (folder / "hf" / "1_Pooling").mkdir()
        (folder / "hf" / "1_Pooling" / "config.json").write_text(json.dumps({f"pooling_mode_{pooling}": True}))
    return model


def convert(folder):
    quern("convert", folder / "hf", "--outfile", folder / "out.gguf", "--outtype", "f32")
    return folder / "out.gguf"


def make_roberta(folder, kind=None, family="xlm-roberta", **config):
    t = xlm_tokenizer() if family == "xlm-roberta" else roberta_tokenizer()
    make, usual = {"xlm-roberta": (transformers.XLMRobertaConfig, transformers.XLMRobertaModel), "roberta": (transformers.RobertaConfig, transformers.RobertaModel)}[family]
    padding = 1 if family == "xlm-roberta" else t.token_to_id("<|pad|>")  # positions count from the id behind it
    config = make(vocab_size=t.get_vocab_size() + 3, max_position_embeddings=WINDOW + padding + 1, type_vocab_size=1, pad_token_id=padding, **SIZES, **config)
    return save(folder, kind or usual, config, t, None if kind else "mean_tokens", **SPECIALS[family]), t, convert(folder)


def make_nomic(folder):
    t = bert_tokenizer()
    config = transformers.NomicBertConfig(vocab_size=t.get_vocab_size() + 3, max_position_embeddings=WINDOW, **SIZES)
    return save(folder, transformers.NomicBertModel, config, t, "mean_tokens", **SPECIALS["bert"]), t, convert(folder)


def rows_of(model, tokenizer, text):
    with torch.no_grad():
        return model(torch.tensor([tokenizer.encode(text).ids])).last_hidden_state[0].numpy()


MAKERS = {"xlm-roberta": make_roberta, "roberta": lambda folder: make_roberta(folder, family="roberta"), "nomic-bert": make_nomic}


@pytest.mark.parametrize("name", MAKERS)
def test_vectors_of_an_encoder_are_those_of_transformers(name, tmp_path):
    model, tokenizer, path = MAKERS[name](tmp_path)
    assert run(["-m", str(path)], TEXTS) == [tokenizer.encode(text).ids for text in TEXTS]
    for text, actual in zip(TEXTS, vectors(path, "--pooling", "none", "--embd-normalize", "-1")):
        check_close(actual, rows_of(model, tokenizer, text))
    for text, actual in zip(TEXTS, vectors(path)):
        assert unit(rows_of(model, tokenizer, text).mean(axis=0)) @ actual > 0.999999
    long = "x " * (WINDOW // 2 - 2)
    check_close(vectors(path, "--embd-normalize", "-1", texts=[long])[0], rows_of(model, tokenizer, long).mean(axis=0))


def peer_vector(path, text, n):
    out = subprocess.run([PEER, "embed", path, "-t", "2", "-x", text], capture_output=True, text=True, check=True)
    return unit(np.array(out.stdout.split()[-n:], dtype=float))


@pytest.mark.skipif(not PEER, reason="QUERN_PEER names no llama.cpp driver")
@pytest.mark.parametrize("name", MAKERS)
def test_llama_cpp_makes_about_the_same_vectors(name, tmp_path):
    model, _, path = MAKERS[name](tmp_path)
    for text, ours in zip(TEXTS, vectors(path)):
        assert peer_vector(path, text, len(ours)) @ ours > (0.9999 if name == "nomic-bert" else 0.999)  # GELU by a table of 16 bits


def test_a_nomic_checkpoint_in_its_own_words_is_read_too(tmp_path):
    model, tokenizer, path = make_nomic(tmp_path)
    expected = vectors(path)
    config = dict(architectures=["NomicBertModel"], n_embd=64, n_layer=3, n_head=4, n_inner=96, n_positions=4 * WINDOW, max_trained_positions=WINDOW, activation_function="swiglu",
                  layer_norm_epsilon=1e-12, rotary_emb_base=1000, rotary_emb_fraction=1.0, prenorm=False, qkv_proj_bias=False, type_vocab_size=2, vocab_size=tokenizer.get_vocab_size() + 3)
    (tmp_path / "hf" / "config.json").write_text(json.dumps(config))
    assert all((a == b).all() for a, b in zip(vectors(convert(tmp_path)), expected))
    (tmp_path / "hf" / "config.json").write_text(json.dumps({**config, "qkv_proj_bias": True}))
    assert "qkv_proj_bias" in complaint("convert", tmp_path / "hf", "--outfile", tmp_path / "no.gguf")


# Cross-encoders.

def make_cross_encoder(folder, family, n_labels=1):
    if family == "xlm-roberta":
        return make_roberta(folder, transformers.XLMRobertaForSequenceClassification, num_labels=n_labels)
    t = bert_pairs()
    config = transformers.BertConfig(vocab_size=t.get_vocab_size() + 3, max_position_embeddings=WINDOW, num_labels=n_labels, **SIZES)
    return save(folder, transformers.BertForSequenceClassification, config, t, **SPECIALS["bert"]), t, convert(folder)


def scores_of(model, tokenizer, query, document):
    encoded = tokenizer.encode(query, document)
    types = {"token_type_ids": torch.tensor([encoded.type_ids])} if model.config.type_vocab_size > 1 else {}
    with torch.no_grad():
        return model(torch.tensor([encoded.ids]), **types).logits[0].numpy()


@pytest.mark.parametrize("n_labels", [1, 3])
@pytest.mark.parametrize("family", ["bert", "xlm-roberta"])
def test_scores_of_a_cross_encoder_are_those_of_transformers(family, n_labels, tmp_path):
    model, tokenizer, path = make_cross_encoder(tmp_path, family, n_labels)
    texts = [word for query, document in PAIRS for word in ("-p", f"{query}\t{document}")]
    expected = np.array([scores_of(model, tokenizer, *pair) for pair in PAIRS])
    for flags in [[], ["--pooling", "rank"]]:
        results = json.loads(quern("embed", "-m", path, "--json", *texts, *flags).stdout)["results"]
        actual = np.array([each["scores"] if n_labels > 1 else [each["relevance_score"]] for each in results])
        assert np.abs(actual - expected).max() < 2e-4 * (1 + np.ptp(expected))
    assert quern("embed", "-m", path, *texts).stdout.startswith("rerank score 0: ")
    assert "--cls-separator" in complaint("embed", "-m", path, "-p", "alone")
    quern("embed", "-m", path, "-p", "alone", "--pooling", "cls")
    quern("quantize", path, tmp_path / "q8.gguf", "q8_0")
    assert quern("embed", "-m", tmp_path / "q8.gguf", *texts).stdout.startswith("rerank score 0: ")


@pytest.fixture(scope="module")
def reranker(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reranker")
    model, tokenizer, path = make_cross_encoder(folder, "bert")
    with Server("-m", path, "--model-alias", "reranker") as server:
        yield server, model, tokenizer


@pytest.mark.parametrize("route", ["/v1/rerank", "/rerank"])
def test_rerank_orders_by_the_scores_of_a_cross_encoder(reranker, route):
    server, model, tokenizer = reranker
    documents = [document for _, document in PAIRS] + ["hello", "the lazy dog"]
    expected = np.array([scores_of(model, tokenizer, "hello world", document)[0] for document in documents])
    answer = server.post(route, {"model": "reranker", "query": "hello world", "documents": documents, "top_n": 4}).json()
    assert [each["index"] for each in answer["results"]] == list(np.argsort(-expected)[:4])
    for each in answer["results"]:
        assert abs(each["relevance_score"] - expected[each["index"]]) < 2e-4 * (1 + np.ptp(expected))
    assert answer["usage"]["prompt_tokens"] == sum(len(tokenizer.encode("hello world", document).ids) for document in documents)
    squashed = server.post(route, {"query": "hello world", "texts": documents}).json()
    assert all(abs(each["score"] - 1 / (1 + np.exp(-expected[each["index"]]))) < 1e-3 for each in squashed)


def test_a_pair_that_is_too_long_is_refused_or_cut(reranker):
    server, *_ = reranker
    body = {"query": "hello", "documents": ["x", "x " * WINDOW]}
    refusal = server.post("/v1/rerank", body)
    assert refusal.status_code == 400
    assert error_of(refusal)["code"] == "context_length_exceeded" and "document 1" in error_of(refusal)["message"] and "truncate" in error_of(refusal)["message"]
    assert len(server.post("/v1/rerank", {**body, "truncate": True}).json()["results"]) == 2


def test_a_cross_encoder_makes_no_vectors_unless_asked(reranker):
    refusal = reranker[0].post("/v1/embeddings", {"input": "x"})
    assert refusal.status_code == 400 and "/v1/rerank" in error_of(refusal)["message"]


def test_a_classifier_is_no_reranker(tmp_path):
    _, _, path = make_cross_encoder(tmp_path, "bert", 3)
    with Server("-m", path) as server:
        refusal = server.post("/v1/rerank", {"query": "x", "documents": ["y"]})
        assert refusal.status_code == 400 and "3 scores" in error_of(refusal)["message"]


# Servers of vectors.

@pytest.fixture(scope="module")
def xlm_server(tmp_path_factory):
    model, tokenizer, path = make_roberta(tmp_path_factory.mktemp("xlm"))
    with Server("-m", path, "--model-alias", "xlm") as server:
        yield server, model, tokenizer


def test_the_openai_client_gets_the_vectors_of_xlm_roberta(xlm_server):
    server, model, tokenizer = xlm_server
    client = server.client()
    expected = [unit(rows_of(model, tokenizer, text).mean(axis=0)) for text in TEXTS]
    for format in ("float", "base64", None):
        answer = client.embeddings.create(model="xlm", input=TEXTS, **({"encoding_format": format} if format == "float" else {}))
        for each, e in zip(answer.data, expected, strict=True):
            assert np.abs(np.array(each.embedding) - e).max() < 1e-4
    cut = np.array(client.embeddings.create(model="xlm", input=TEXTS[0], dimensions=16).data[0].embedding)
    assert np.abs(cut - unit(expected[0][:16])).max() < 1e-4


def test_a_text_longer_than_the_window_is_refused_or_cut(xlm_server):
    server, model, tokenizer = xlm_server
    text = "hello " * WINDOW
    with pytest.raises(openai.BadRequestError) as caught:
        server.client().embeddings.create(model="xlm", input=text)
    assert caught.value.code == "context_length_exceeded" and f"{WINDOW} tokens" in caught.value.message
    several = error_of(server.post("/v1/embeddings", {"input": ["x", text]}))["message"]
    assert several.startswith("text 1: ") and "`truncate`" in several
    ids = tokenizer.encode(text).ids
    ids = ids[:WINDOW - 1] + ids[-1:]
    with torch.no_grad():
        expected = unit(model(torch.tensor([ids])).last_hidden_state[0].numpy().mean(axis=0))
    answer = server.client().embeddings.create(model="xlm", input=text, encoding_format="float", extra_body={"truncate": True})
    assert np.abs(np.array(answer.data[0].embedding) - expected).max() < 1e-4 and answer.usage.prompt_tokens == WINDOW
    ollama = server.post("/api/embed", {"model": "xlm", "input": text})  # cuts unless told not to
    assert np.abs(np.array(ollama.json()["embeddings"][0]) - expected).max() < 1e-4
    assert server.post("/api/embed", {"model": "xlm", "input": text, "truncate": False}).status_code == 400


# Vectors of models that predict tokens.

DECODERS = {
    "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM, {}),
    "qwen2": (transformers.Qwen2Config, transformers.Qwen2Model, {}),
    "qwen3": (transformers.Qwen3Config, transformers.Qwen3Model, dict(head_dim=16)),
}


def make_decoder(folder, name, pooling="lasttoken"):
    config, kind, more = DECODERS[name]
    t = decoder_tokenizer()
    config = config(vocab_size=t.get_vocab_size(), num_key_value_heads=2, max_position_embeddings=256, tie_word_embeddings=True, pad_token_id=None, bos_token_id=None, eos_token_id=None,
                    **{**SIZES, **more})
    model = save(folder, kind, config, t, pooling, eos_token="<|end|>")
    return getattr(model, "model", model), t, convert(folder)


@pytest.mark.parametrize("name", DECODERS)
def test_vectors_of_a_decoder_are_its_last_hidden_states(name, tmp_path):
    model, tokenizer, path = make_decoder(tmp_path, name)
    texts = TEXTS + ["the theory of the thesis " * 20]
    for flags, pool in [(["--pooling", "none"], lambda rows: rows), ([], lambda rows: rows[-1]), (["--pooling", "mean", "-b", "16"], lambda rows: rows.mean(axis=0))]:
        for text, actual in zip(texts, vectors(path, "--embd-normalize", "-1", *flags, texts=texts)):
            check_close(actual, pool(rows_of(model, tokenizer, text)))


@pytest.mark.skipif(not PEER, reason="QUERN_PEER names no llama.cpp driver")
@pytest.mark.parametrize("name", DECODERS)
def test_llama_cpp_makes_the_same_vectors_with_a_decoder(name, tmp_path):
    _, _, path = make_decoder(tmp_path, name)
    for text, ours in zip(TEXTS, vectors(path)):
        assert peer_vector(path, text, len(ours)) @ ours > 0.9999


def test_one_process_makes_vectors_and_chats(tmp_path):
    config = {"models": [{"model": str(STORIES), "model_alias": "both", "embedding": True}, {"model": str(STORIES), "model_alias": "chat", "n_ctx": 256}]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    expected = vectors(STORIES, texts=["Once upon a time"])[0]
    with Server("--config_file", tmp_path / "config.json") as server:
        alone = server.post("/v1/completions", {"model": "chat", "prompt": "Once upon", "max_tokens": 20, "temperature": 0}).json()["choices"][0]["text"]
        for _ in range(2):
            vector = server.post("/v1/embeddings", {"model": "both", "input": "Once upon a time"}).json()["data"][0]["embedding"]
            assert unit(np.array(vector)) @ expected > 0.99999
            assert server.post("/v1/completions", {"model": "both", "prompt": "Once upon", "max_tokens": 20, "temperature": 0}).json()["choices"][0]["text"] == alone
        assert server.post("/api/show", {"model": "both"}).json()["capabilities"] == ["completion", "embedding"]
    with Server("-m", STORIES, "--embeddings", "--pooling", "mean") as server:
        vector = np.array(server.post("/v1/embeddings", {"input": "Once upon a time"}).json()["data"][0]["embedding"])
        assert vector @ vectors(STORIES, "--pooling", "mean", texts=["Once upon a time"])[0] > 0.99999
    assert "none" in complaint("serve", "-m", STORIES, "--pooling", "none")
    assert "cross-encoder" in complaint("embed", "-m", STORIES, "-p", "x", "--pooling", "rank")


def test_answers_go_on_while_long_texts_become_vectors(tmp_path):
    """And are the same, as are the vectors."""
    import threading

    with Server("-m", STORIES, "--embeddings", "-c", "512", "--parallel", "8") as server:
        prompts = [f"Once upon a time there were {i}" for i in range(6)]
        text = "a little girl and her dog " * 40
        ask = lambda prompt: server.post("/v1/completions", {"prompt": prompt, "max_tokens": 150, "temperature": 0}).json()["choices"][0]["text"]  # noqa: E731
        embed = lambda: server.post("/v1/embeddings", {"input": [text, "short"]}).json()["data"]  # noqa: E731
        alone, vector = [ask(prompt) for prompt in prompts], embed()
        answers, made = {}, []
        threads = [threading.Thread(target=lambda p=p: answers.update({p: ask(p)})) for p in prompts]
        threads += [threading.Thread(target=lambda: [made.append(embed()) for _ in range(5)]) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [answers[prompt] for prompt in prompts] == alone
        assert len(made) == 15 and all(each == vector for each in made)


# Vocabularies and checkpoints.

@pytest.mark.parametrize("rules", [dict(lowercase=False), dict(lowercase=False, strip_accents=True), dict(lowercase=True, strip_accents=False), dict(lowercase=True, handle_chinese_chars=False), {}])
@pytest.mark.parametrize("file", ["tokenizer.json", "vocab.txt"])
def test_wordpiece_cleans_texts_as_its_vocabulary_says(rules, file, tmp_path):
    import random

    from test_convert import vocabulary_of

    t = checkpoints.wordpiece(900)
    t.normalizer = normalizers.BertNormalizer(**rules)
    t.train_from_iterator(checkpoints.TEXT, checkpoints.trainers.WordPieceTrainer(vocab_size=900, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
    ids = [(piece, t.token_to_id(piece)) for piece in ("[CLS]", "[SEP]")]
    t.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ids)
    if file == "tokenizer.json":
        checkpoints.save_tokenizer(t, tmp_path, **SPECIALS["bert"])
    else:
        (tmp_path / "vocab.txt").write_text("\n".join(sorted(t.get_vocab(), key=t.get_vocab().get)) + "\n", encoding="utf-8")
        names = {"lowercase": "do_lower_case", "handle_chinese_chars": "tokenize_chinese_chars"}
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({**SPECIALS["bert"], **{names.get(rule, rule): value for rule, value in rules.items()}}))
    vocabulary_of(tmp_path, tmp_path / "out.gguf")
    rng = random.Random(9)
    texts = [random_text(rng) for _ in range(3000)] + checkpoints.TEXT + ["İstanbul İ", "ÉTÉ Été", "ΣΑΣ", "中文字"]
    assert run(["-m", str(tmp_path / "out.gguf"), "--no-parse-special"], texts) == [t.encode(text).ids for text in texts]


def test_a_checkpoint_with_the_old_names_of_norms_is_read(tmp_path):
    from safetensors.torch import load_file
    from safetensors.torch import save_file as save_tensors

    config = transformers.BertConfig(vocab_size=bert_tokenizer().get_vocab_size(), max_position_embeddings=WINDOW, **SIZES)
    save(tmp_path, transformers.BertModel, config, bert_tokenizer(), **SPECIALS["bert"])
    expected = vectors(convert(tmp_path))
    path = tmp_path / "hf" / "model.safetensors"
    tensors = {name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor for name, tensor in load_file(path).items()}
    assert any(name.endswith("gamma") for name in tensors)
    save_tensors(tensors, path)
    assert all((a == b).all() for a, b in zip(vectors(convert(tmp_path)), expected))


@pytest.mark.parametrize("module, ends", [("Normalize", "well"), ("Dense", "badly")])
def test_the_modules_of_sentence_transformers_are_known_or_refused(module, ends, tmp_path):
    config = transformers.BertConfig(vocab_size=bert_tokenizer().get_vocab_size(), max_position_embeddings=WINDOW, **SIZES)
    save(tmp_path, transformers.BertModel, config, bert_tokenizer(), **SPECIALS["bert"])
    modules = [{"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"}, {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
               {"idx": 2, "path": f"2_{module}", "type": f"sentence_transformers.models.{module}"}]
    (tmp_path / "hf" / "modules.json").write_text(json.dumps(modules))
    if ends == "well":
        convert(tmp_path)
    else:
        assert "2_Dense" in complaint("convert", tmp_path / "hf", "--outfile", tmp_path / "out.gguf")


def test_a_head_that_does_not_fit_is_refused(tmp_path):
    _, _, path = make_cross_encoder(tmp_path, "bert")
    config = json.loads((tmp_path / "hf" / "config.json").read_text())
    (tmp_path / "hf" / "config.json").write_text(json.dumps({**config, "id2label": {"0": "A", "1": "B", "2": "C"}}))
    assert "classifier" in complaint("convert", tmp_path / "hf", "--outfile", tmp_path / "no.gguf")
    quern("quantize", path, tmp_path / "nine.gguf", "COPY", "--override-kv", "bert.pooling_type=int:9")
    assert "pooling_type" in complaint("embed", "-m", tmp_path / "nine.gguf", "-p", "x")


def test_a_model_that_ranks_without_a_head_is_refused(tmp_path):
    _, _, path = make_nomic(tmp_path)
    quern("quantize", path, tmp_path / "ranks.gguf", "COPY", "--override-kv", "nomic-bert.pooling_type=int:4")
    assert "cls.output.weight" in complaint("embed", "-m", tmp_path / "ranks.gguf", "-p", "x")
