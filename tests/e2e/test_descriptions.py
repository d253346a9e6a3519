"""What the server tells about models, held against the file as the gguf package reads it; and FIM tokens that only metadata names."""

import os

import gguf
import ollama
import pytest

import tiny_bert
from program import SMOLLM2, STORIES, needs_smollm2
from serving import Server


@pytest.fixture(scope="module")
def smollm2_file():
    if not SMOLLM2.exists():
        pytest.skip(f"{SMOLLM2} is missing")
    return gguf.GGUFReader(SMOLLM2)


def value_of(reader, key):
    return reader.fields[key].contents()


@needs_smollm2
def test_ollama_show_says_what_the_file_says(smollm2_server, smollm2_file):
    client = ollama.Client(host=smollm2_server.url)
    shown = client.show("smollm2")
    n_params = sum(int(tensor.n_elements) for tensor in smollm2_file.tensors)
    assert shown.modelinfo["general.parameter_count"] == n_params
    for key in ("general.architecture", "llama.context_length", "llama.embedding_length", "llama.block_count", "llama.rope.freq_base", "tokenizer.ggml.model"):
        assert shown.modelinfo[key] == pytest.approx(value_of(smollm2_file, key)) if isinstance(shown.modelinfo[key], float) else shown.modelinfo[key] == value_of(smollm2_file, key)
    assert shown.modelinfo["tokenizer.ggml.tokens"] is None
    assert shown.template == value_of(smollm2_file, "tokenizer.chat_template")
    assert shown.details.format == "gguf" and shown.details.families == ["llama"]
    assert shown.details.quantization_level == "Q4_1" and shown.details.parameter_size.endswith("M")
    assert "completion" in shown.capabilities and "embedding" not in shown.capabilities
    assert shown.license and shown.license == value_of(smollm2_file, "general.license")
    verbose = smollm2_server.post("/api/show", {"model": "smollm2", "verbose": True}).json()
    assert verbose["model_info"]["tokenizer.ggml.tokens"][:3] == value_of(smollm2_file, "tokenizer.ggml.tokens")[:3]


@needs_smollm2
def test_ollama_lists_have_sizes_dates_and_digests(smollm2_server):
    client = ollama.Client(host=smollm2_server.url)
    [listed], [running] = client.list().models, client.ps().models
    assert listed.size == SMOLLM2.stat().st_size and len(listed.digest) == 64 and int(listed.digest, 16)
    assert abs(listed.modified_at.timestamp() - SMOLLM2.stat().st_mtime) < 2
    assert running.digest == listed.digest and running.size > listed.size and running.size_vram == 0
    assert running.context_length == 2048 and running.details.quantization_level == "Q4_1"
    assert smollm2_server.get("/api/version").json()["version"].count(".") == 2


def test_models_that_are_not_loaded_are_described_too(tmp_path):
    path = tmp_path / "bert.gguf"
    tiny_bert.write(path)
    with Server("-m", STORIES, "-m", path, "-c", 64) as server:
        tags = {tag["name"]: tag for tag in server.get("/api/tags").json()["models"]}
        assert [model["name"] for model in server.get("/api/ps").json()["models"]] == ["stories260K"]
        assert tags["bert"]["details"]["family"] == "bert" and tags["bert"]["details"]["quantization_level"] == "F32"
        assert tags["bert"]["digest"] != tags["stories260K"]["digest"]
        assert tags["bert"]["size"] == path.stat().st_size
        shown = server.post("/api/show", {"model": "bert"}).json()
        assert shown["capabilities"] == ["embedding"] and shown["license"] == "mit"
        vectors = ollama.Client(host=server.url).embed(model="bert", input=["hello", "world"])
        assert len(vectors.embeddings) == 2 and vectors.prompt_eval_count > 0
        os.remove(path)
        assert {tag["name"]: tag for tag in server.get("/api/tags").json()["models"]}["bert"]["size"] == 0


@needs_smollm2
def test_props_and_models(smollm2_server, smollm2_file):
    props = smollm2_server.get("/props").json()
    assert props["chat_template"] == value_of(smollm2_file, "tokenizer.chat_template")
    params = props["default_generation_settings"]["params"]
    assert (params["temperature"], params["top_k"]) == (pytest.approx(0.8), 40)
    assert {"seed", "min_p", "typical_p", "repeat_penalty", "dry_multiplier", "mirostat", "samplers", "n_predict", "stop"} <= set(params)
    assert props["default_generation_settings"]["n_ctx"] == 2048 and props["build_info"].startswith("quern ")
    assert props["modalities"]["vision"] is False and props["total_slots"] >= 1
    meta = smollm2_server.get("/v1/models/smollm2").json()["meta"]
    assert meta == {"n_ctx": 2048, "n_ctx_train": value_of(smollm2_file, "llama.context_length"), "n_vocab": len(value_of(smollm2_file, "tokenizer.ggml.tokens")),
                    "n_embd": value_of(smollm2_file, "llama.embedding_length"), "n_params": sum(int(tensor.n_elements) for tensor in smollm2_file.tensors),
                    "size": SMOLLM2.stat().st_size}


def test_slots_show_what_runs():
    with Server("-m", STORIES, "--draft-ngram", 3, "--parallel", 3) as server:
        with server.client().completions.create(model="", prompt="Once", max_tokens=400, temperature=0.5, seed=7, stream=True, extra_body={"ignore_eos": True}) as stream:
            next(iter(stream))
            slots = server.get("/slots").json()
            assert len(slots) == 3 and all(slot["speculative"] for slot in slots) and [slot["id"] for slot in slots] == [0, 1, 2]
            busy = [slot for slot in slots if slot["is_processing"]]
            if busy:  # else it was done before it was looked at
                assert busy[0]["params"]["seed"] == 7 and busy[0]["params"]["temperature"] == 0.5
                assert busy[0]["next_token"]["n_decoded"] + busy[0]["next_token"]["n_remain"] == busy[0]["params"]["n_predict"] == 400
        for action, status in (("save", 501), ("restore", 501), ("erase", 501), ("x", 400), ("", 400)):
            response = server.post(f"/slots/0?action={action}", {})
            assert response.status_code == status and response.json()["error"]["param"] == "action"


def test_filling_in_with_tokens_that_only_metadata_names(tmp_path):
    """The tokens of the file have no name that anybody knows; the prompt is what they say."""
    path = tmp_path / "fim.gguf"
    reader = gguf.GGUFReader(STORIES)
    writer = gguf.GGUFWriter(path, "llama")
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        kind = field.types[0]
        writer.add_key_value(field.name, field.contents(), kind, sub_type=field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
    writer.add_uint32("tokenizer.ggml.fim_pre_token_id", 300)
    writer.add_uint32("tokenizer.ggml.fim_suf_token_id", 301)
    writer.add_uint32("tokenizer.ggml.fim_mid_token_id", 302)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with Server("-m", path) as server:
        def ids(text):
            return server.post("/tokenize", {"content": text}).json()["tokens"]

        prefix, suffix = ids("Once upon"), [token for token in ids("x.") if token != ids("x")[0]]
        assert "insert" in server.post("/api/show", {"model": "fim"}).json()["capabilities"]
        filled = server.post("/infill", {"input_prefix": "Once upon", "input_suffix": ".", "n_predict": 8, "temperature": 0}).json()
        by_hand = server.post("/completion", {"prompt": [1, 300, *prefix, 301, *suffix[-1:], 302], "n_predict": 8, "temperature": 0}).json()
        assert filled["tokens_evaluated"] == by_hand["tokens_evaluated"] and filled["content"] == by_hand["content"]
        completed = server.post("/v1/completions", {"prompt": "Once upon", "suffix": ".", "max_tokens": 8, "temperature": 0}).json()
        assert completed["choices"][0]["text"] == filled["content"]
    with Server("-m", STORIES) as server:
        for route, body in (("/v1/completions", {"prompt": "Once", "suffix": "."}), ("/infill", {"input_prefix": "x", "input_suffix": "y"})):
            response = server.post(route, body)
            assert response.status_code == 400 and "no tokens for prefix" in response.json()["error"]["message"]
