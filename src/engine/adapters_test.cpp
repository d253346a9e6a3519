// Adapters in the engine: each request has its own scales, whatever runs beside it and whatever was cached before.
#include "engine/adapter_set.h"
#include "engine/tiny_engine_test.h"

using namespace quern;

namespace {

/// A random adapter for the tiny model, removed at the end of its scope.
class TemporaryAdapter {
  public:
    explicit TemporaryAdapter(unsigned seed, int64_t rank = 3, const char* architecture = "llama")
        : path_((std::filesystem::temp_directory_path() / concat("quern_adapter_", getpid(), "_", seed, ".gguf")).string()) {
        GgufWriter writer;
        writer.set("general.architecture", std::string_view(architecture));
        writer.set("general.type", std::string_view("adapter"));
        writer.set("adapter.type", std::string_view("lora"));
        writer.set("adapter.lora.alpha", 4.0f);
        const TinyModel m;
        for (int64_t layer = 0; layer < m.n_layers; ++layer)
            for (const auto& [name, n_out, n_in] : {std::tuple("attn_q", m.n_heads * m.head_dim, m.n_embd),
                                                    {"attn_output", m.n_embd, m.n_embd},
                                                    {"ffn_gate", m.n_ff, m.n_embd},
                                                    {"ffn_down", m.n_embd, m.n_ff}}) {
                const std::string full = concat("blk.", layer, ".", name, ".weight");
                writer.add_tensor(full + ".lora_a", DType::f32, {rank, n_in});
                writer.add_tensor(full + ".lora_b", DType::f32, {n_out, rank});
            }
        writer.open(path_);
        std::mt19937 random(seed);
        std::normal_distribution<float> normal(0.0f, 0.3f);
        const std::vector<GgufWriter::Tensor> tensors(writer.tensors().begin(), writer.tensors().end());
        for (const GgufWriter::Tensor& tensor : tensors) {
            std::vector<float> data(static_cast<size_t>(tensor.shape.n_values()));
            for (float& each : data) each = normal(random);
            writer.write(std::as_bytes(std::span(data)));
        }
        writer.finish();
    }
    ~TemporaryAdapter() { std::filesystem::remove(path_); }
    TemporaryAdapter(const TemporaryAdapter&) = delete;
    TemporaryAdapter& operator=(const TemporaryAdapter&) = delete;
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

const std::string text(100, 'a');  // more than a page

Request with_scales(std::vector<float> scales) {
    Request request = greedy(text, 40);
    request.adapter_scales = std::move(scales);
    return request;
}

}  // namespace

TEST_CASE("a request gets its own adapters in any company, and a cached prefix of no others") {
    const TemporaryModel model{TinyModel{}};
    const TemporaryAdapter a(11), b(12, 5);
    const std::vector<std::vector<float>> scales{{0, 0}, {1, 0}, {0, 1}, {0.5f, -2}};
    std::vector<std::vector<int32_t>> alone;
    for (const auto& each : scales) {
        EngineOptions options = options_for(model);
        options.adapters = {{a.path()}, {b.path()}};
        alone.push_back(generate(*Engine::load(options), with_scales(each)).tokens);
    }
    for (size_t i = 1; i < alone.size(); ++i) CHECK(alone[i] != alone[0]);
    CHECK(generate(*Engine::load(options_for(model)), greedy(text, 40)).tokens == alone[0]);

    EngineOptions options = options_for(model);
    options.adapters = {{a.path()}, {b.path(), 0.0f}};
    const auto engine = Engine::load(options);
    CHECK(generate(*engine, greedy(text, 40)).tokens == alone[1]);  // the scales of the options
    std::vector<std::shared_ptr<Generation>> running;
    for (size_t i = 0; i < 24; ++i) running.push_back(engine->submit(with_scales(scales[i % 4])));
    for (size_t i = 0; i < running.size(); ++i) CHECK(collect(*running[i]).tokens == alone[i % 4]);
    CHECK(engine->stats().n_cached_tokens > 0);

    engine->set_adapter_scales(std::vector<float>{0, 1});
    CHECK(generate(*engine, greedy(text, 40)).tokens == alone[2]);
    CHECK(engine->adapters()[1].scale == 1.0f);
    wait_until_idle(*engine);
}

TEST_CASE("scales that do not fit the adapters are refused") {
    const TemporaryModel model{TinyModel{}};
    const TemporaryAdapter a(13);
    EngineOptions options = options_for(model);
    options.adapters = {{a.path(), std::numeric_limits<float>::quiet_NaN()}};
    CHECK_THROWS_AS(Engine::load(options), InvalidInput);
    options.adapters = {{a.path()}};
    const auto engine = Engine::load(options);
    CHECK_THROWS_AS(engine->submit(with_scales({1, 1})), InvalidInput);
    CHECK_THROWS_AS(engine->submit(with_scales({std::numeric_limits<float>::infinity()})), InvalidInput);
    CHECK_THROWS_AS(engine->set_adapter_scales({}), InvalidInput);
    CHECK(memory_need(options).workspace_bytes > memory_need(options_for(model)).workspace_bytes);
    CHECK(memory_need(options).workspace_bytes == engine->info().workspace_bytes);  // without reading the factors
}

TEST_CASE("an adapter of another architecture is refused") {
    const TemporaryModel model{TinyModel{}};
    const TemporaryAdapter a(14, 3, "qwen2");
    EngineOptions options = options_for(model);
    options.adapters = {{a.path()}};
    CHECK_THROWS_AS(Engine::load(options), ModelError);
}

TEST_CASE("the salt of the prefix cache tells scales apart and keeps a request's own salt") {
    const TemporaryModel model{TinyModel{}};
    const TemporaryAdapter a(15), b(16);
    const auto file = GgufFile::open(model.path());
    const std::vector<AdapterSource> sources{{a.path()}, {b.path()}};
    const AdapterSet set(sources, *file);
    const auto salt = [&](std::vector<float> scales, const char* own) { return set.salt(scales, own); };
    CHECK(salt({1, 0}, "") != salt({0, 1}, ""));
    CHECK(salt({1, 0}, "x") != salt({1, 0}, "y"));
    CHECK(salt({-0.0f, 1}, "x") == salt({0, 1}, "x"));
    CHECK(AdapterSet({}, *file).salt({}, "x") == "x");
}
