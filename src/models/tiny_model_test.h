// A random two-layer Llama with a vocabulary of bytes, written to a temporary file: for the tests of models/ and engine/.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "gguf/gguf_writer.h"

namespace quern {

/// Sizes of the model; tests change one and see what happens.
struct TinyModel {
    std::string architecture = "llama";
    int64_t n_layers = 2, n_embd = 32, n_ff = 64, n_heads = 4, n_kv_heads = 2, head_dim = 8, n_vocab = 259, n_ctx = 256;
    int64_t window = 0;  ///< of all layers in "llama", of every other one in "gemma2", whose norms come with it
    unsigned seed = 1;
    bool vocabulary = true;
    std::string skip_tensor;  ///< left out
    std::function<void(GgufWriter&)> change_keys = [](GgufWriter&) {};
};

/// A file that is removed at the end of its scope.
class TemporaryModel {
  public:
    explicit TemporaryModel(const TinyModel& model) {
        static int n_made = 0;
        path_ =
            (std::filesystem::temp_directory_path() / ("quern_tiny_" + std::to_string(getpid()) + "_" + std::to_string(n_made++) + ".gguf"))
                .string();
        write(model);
    }
    ~TemporaryModel() { std::filesystem::remove(path_); }
    TemporaryModel(const TemporaryModel&) = delete;
    TemporaryModel& operator=(const TemporaryModel&) = delete;
    const std::string& path() const { return path_; }

  private:
    static void add_keys(GgufWriter& writer, const TinyModel& m) {
        const auto key = [&](const char* name, int64_t value) { writer.set(m.architecture + "." + name, static_cast<uint32_t>(value)); };
        writer.set("general.architecture", std::string_view(m.architecture));
        writer.set("general.name", std::string_view("tiny"));
        key("block_count", m.n_layers);
        key("context_length", m.n_ctx);
        key("embedding_length", m.n_embd);
        key("feed_forward_length", m.n_ff);
        key("attention.head_count", m.n_heads);
        key("attention.head_count_kv", m.n_kv_heads);
        writer.set(m.architecture + ".attention.layer_norm_rms_epsilon", 1e-5f);
        if (m.window > 0) key("attention.sliding_window", m.window);
        if (m.vocabulary) add_vocabulary(writer, m);
    }

    // Three control tokens, then the 256 bytes.
    static void add_vocabulary(GgufWriter& writer, const TinyModel& m) {
        std::vector<std::string> pieces{"<unk>", "<s>", "</s>"};
        std::vector<int32_t> kinds{2, 3, 3};
        static constexpr char digits[] = "0123456789ABCDEF";
        for (int byte = 0; byte < 256; ++byte) {
            pieces.push_back(std::string("<0x") + digits[byte / 16] + digits[byte % 16] + ">");
            kinds.push_back(6);
        }
        pieces.resize(static_cast<size_t>(m.n_vocab));
        kinds.resize(static_cast<size_t>(m.n_vocab), 1);
        writer.set("tokenizer.ggml.model", std::string_view("llama"));
        writer.set_strings("tokenizer.ggml.tokens", std::span<const std::string>(pieces));
        writer.set_reals("tokenizer.ggml.scores", std::vector<float>(pieces.size()));
        writer.set_integers("tokenizer.ggml.token_type", kinds);
        writer.set("tokenizer.ggml.bos_token_id", uint32_t{1});
        writer.set("tokenizer.ggml.eos_token_id", uint32_t{2});
        writer.set("tokenizer.ggml.unknown_token_id", uint32_t{0});
        writer.set("tokenizer.ggml.add_space_prefix", false);
    }

    static void add_tensors(GgufWriter& writer, const TinyModel& m) {
        const auto add = [&](const std::string& name, Shape shape) {
            if (name != m.skip_tensor) writer.add_tensor(name, DType::f32, shape);
        };
        const int64_t q = m.n_heads * m.head_dim, kv = m.n_kv_heads * m.head_dim;
        add("token_embd.weight", {m.n_vocab, m.n_embd});
        add("output_norm.weight", {m.n_embd});
        for (int64_t layer = 0; layer < m.n_layers; ++layer) {
            const std::string at = "blk." + std::to_string(layer) + ".";
            add(at + "attn_norm.weight", {m.n_embd});
            add(at + "attn_q.weight", {q, m.n_embd});
            add(at + "attn_k.weight", {kv, m.n_embd});
            add(at + "attn_v.weight", {kv, m.n_embd});
            add(at + "attn_output.weight", {m.n_embd, q});
            add(at + "ffn_norm.weight", {m.n_embd});
            add(at + "ffn_gate.weight", {m.n_ff, m.n_embd});
            add(at + "ffn_up.weight", {m.n_ff, m.n_embd});
            add(at + "ffn_down.weight", {m.n_embd, m.n_ff});
            if (m.architecture != "gemma2" || m.window == 0) continue;
            add(at + "post_attention_norm.weight", {m.n_embd});
            add(at + "post_ffw_norm.weight", {m.n_embd});
        }
    }

    void write(const TinyModel& m) {
        GgufWriter writer;
        add_keys(writer, m);
        m.change_keys(writer);
        add_tensors(writer, m);
        writer.open(path_);
        std::mt19937 random(m.seed);
        std::normal_distribution<float> normal(0.0f, 0.3f);
        const std::vector<GgufWriter::Tensor> tensors(writer.tensors().begin(), writer.tensors().end());
        for (const GgufWriter::Tensor& tensor : tensors) {
            std::vector<float> data(static_cast<size_t>(tensor.shape.n_values()));
            for (float& each : data) each = normal(random) + (tensor.shape.rank() == 1 ? 1.0f : 0.0f);
            writer.write(std::as_bytes(std::span(data)));
        }
        writer.finish();
    }

    std::string path_;
};

}  // namespace quern
