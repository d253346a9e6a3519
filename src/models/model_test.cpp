#include "models/model.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "models/tiny_model_test.h"

using namespace quern;

namespace {

std::string load_error(const TinyModel& model) {
    const TemporaryModel temporary(model);
    const auto file = GgufFile::open(temporary.path());
    try {
        load_model(*file);
    } catch (const ModelError& error) {
        CHECK(std::string(error.what()).starts_with(temporary.path()));
        return error.what();
    }
    return "";
}

bool mentions(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a model's sizes come from its file") {
    const TemporaryModel temporary({});
    const auto file = GgufFile::open(temporary.path());
    const auto model = load_model(*file);
    CHECK(model->n_embd() == 32);
    CHECK(model->n_vocab() == 259);
    CHECK(model->n_ctx_train() == 256);
    CHECK(model->kv_shape().n_layers == 2);
    CHECK(model->kv_shape().n_kv_heads == 2);
    CHECK(model->kv_shape().head_dim == 8);
}

TEST_CASE("tied embeddings are the output matrix") {
    const TemporaryModel temporary({});
    const auto file = GgufFile::open(temporary.path());
    const Graph graph = load_model(*file)->build(256);
    CHECK(graph.node(graph.result()).weight.data == file->find_tensor("token_embd.weight")->view.data);
}

TEST_CASE("an unknown architecture names the known ones") {
    const std::string error = load_error({.architecture = "frobnicator"});
    CHECK(mentions(error, "'frobnicator'"));
    CHECK(mentions(error, "llama, smollm3, qwen2"));
}

TEST_CASE("a missing tensor is named") {
    CHECK(mentions(load_error({.skip_tensor = "blk.1.ffn_up.weight"}), "tensor blk.1.ffn_up.weight is missing"));
}

TEST_CASE("qwen2 asks for the biases that llama can do without") {
    CHECK(mentions(load_error({.architecture = "qwen2"}), "tensor blk.0.attn_q.bias is missing"));
}

TEST_CASE("a tensor of another shape than the keys ask for is refused with both shapes") {
    const std::string error =
        load_error({.change_keys = [](GgufWriter& writer) { writer.set("llama.feed_forward_length", uint32_t{65}); }});
    CHECK(mentions(error, "blk.0.ffn_gate.weight is [64, 32]"));
    CHECK(mentions(error, "[65, 32]"));
}

TEST_CASE("impossible hyper-parameters are refused by name") {
    struct Case {
        const char* key;
        MetadataValue value;
    };
    const Case cases[] = {
        {"llama.block_count", uint32_t{0}},
        {"llama.block_count", uint32_t{4000000000u}},
        {"llama.block_count", std::string_view("two")},
        {"llama.attention.head_count", uint32_t{0}},
        {"llama.attention.head_count", uint32_t{5}},
        {"llama.attention.head_count_kv", uint32_t{3}},
        {"llama.attention.head_count_kv", uint32_t{8}},
        {"llama.attention.key_length", uint32_t{12}},
        {"llama.attention.value_length", uint32_t{16}},
        {"llama.embedding_length", int32_t{-32}},
        {"llama.context_length", uint32_t{0}},
        {"llama.attention.layer_norm_rms_epsilon", -1.0f},
        {"llama.attention.layer_norm_rms_epsilon", std::numeric_limits<float>::quiet_NaN()},
        {"llama.rope.dimension_count", uint32_t{7}},
        {"llama.rope.dimension_count", uint32_t{64}},
        {"llama.rope.freq_base", std::numeric_limits<float>::infinity()},
        {"llama.rope.scaling.type", std::string_view("magic")},
        {"llama.expert_count", uint32_t{8}},
        {"llama.expert_count", uint32_t{1000000}},
        {"llama.attention.scale", -1.0f},
        {"llama.final_logit_softcapping", std::numeric_limits<float>::quiet_NaN()},
        {"llama.attention.sliding_window", int32_t{-5}},
    };
    for (const Case& each : cases) {
        CAPTURE(each.key);
        const std::string error = load_error({.change_keys = [&](GgufWriter& writer) { writer.set(each.key, each.value); }});
        CHECK(!error.empty());
        CHECK(!mentions(error, "\n"));
    }
}

TEST_CASE("a mixture of experts with keys that do not fit together is refused by name") {
    struct Case {
        const char* key;
        uint32_t value;
        const char* named;
    };
    const Case cases[] = {
        {"llama.expert_used_count", 0, "expert_used_count"},
        {"llama.expert_used_count", 5, "expert_used_count"},
        {"llama.expert_group_count", 3, "groups"},
        {"llama.expert_group_used_count", 2, "expert_group_used_count"},
        {"llama.expert_feed_forward_length", 0, "expert_feed_forward_length"},
        {"llama.expert_gating_func", 9, "expert_gating_func"},
        {"llama.vocab_size", 259, "tensor blk.0.ffn_gate_inp.weight is missing"},
    };
    for (const Case& each : cases) {
        CAPTURE(each.key);
        const std::string error = load_error({.change_keys = [&](GgufWriter& writer) {
            writer.set("llama.expert_count", uint32_t{4});
            writer.set("llama.expert_used_count", uint32_t{2});
            writer.set(each.key, each.value);
        }});
        CHECK(mentions(error, each.named));
    }
}

TEST_CASE("families refuse what they cannot be") {
    const auto error_of = [](const char* architecture, const char* key, uint32_t value) {
        return load_error(
            {.architecture = architecture, .change_keys = [&](GgufWriter& writer) { writer.set(std::string(architecture) + key, value); }});
    };
    CHECK(mentions(error_of("qwen3moe", ".expert_count", 0), "expert_count"));
    CHECK(mentions(error_of("qwen", ".attention.head_count_kv", 2), "head_count_kv"));
    CHECK(mentions(error_of("qwen", ".feed_forward_length", 63), "even"));
    CHECK(mentions(error_of("gpt2", ".context_length", 256), "position_embd.weight is missing"));
    CHECK(mentions(error_of("gemma2", ".attention.value_length", 16), "heads of one size"));
    CHECK(mentions(error_of("deepseek2", ".attention.kv_lora_rank", 24), "convert the model again"));
    CHECK(mentions(error_of("deepseek2", ".attention.kv_lora_rank", 0), "kv_lora_rank"));
    for (const char* architecture : {"qwen3", "gemma2", "gemma3", "phi3", "starcoder2", "gpt-oss", "qwen2moe", "qwen3moe"})
        CHECK(!error_of(architecture, ".context_length", 256).empty());
}
