// The public face of the engine: load a model, submit requests, read their output.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/cpu_features.h"
#include "base/error.h"
#include "engine/evaluation.h"
#include "engine/request.h"
#include "gguf/metadata_override.h"
#include "kernels/attention/kv_type.h"
#include "models/pooling.h"
#include "text/chat/chat_template.h"
#include "text/tokenizer/tokenizer.h"

namespace quern {

/// Rotary embedding other than the file has it; nothing: as the file has it.
struct RopeOverride {
    std::string scaling;  ///< "none", "linear", "yarn", "longrope"; "": the file's
    std::optional<double> freq_base, freq_scale;
    std::optional<int64_t> original_context;                  ///< the window that YaRN starts from
    std::optional<double> yarn_ext_factor, yarn_attn_factor;  ///< the latter is multiplied with the file's
    std::optional<double> yarn_beta_fast, yarn_beta_slow;

    /// Says something that means nothing without YaRN; llama-cpp-python's defaults do not.
    bool is_about_yarn() const {
        return original_context || yarn_ext_factor || yarn_beta_fast.value_or(32) != 32 || yarn_beta_slow.value_or(1) != 1;
    }
    bool operator==(const RopeOverride&) const = default;
};

/// A LoRA adapter beside a model.
struct AdapterSource {
    std::string path;
    float scale = 1;  ///< for requests that do not say; 0: not applied
    bool operator==(const AdapterSource&) const = default;
};

struct EngineOptions {
    std::string model_path;
    std::vector<MetadataOverride> kv_overrides;  ///< read in place of the file's own keys
    RopeOverride rope;
    bool lock_memory = false;           ///< keep the weights in memory; a warning when the system does not allow it
    int64_t n_ctx = 0;                  ///< window of every request; 0: the model's own, shrunk to what the memory holds
    int n_threads = 0;                  ///< 0: usable_cores()
    int n_gpu_layers = 0;               ///< -1: all. Without a GPU the model runs on the CPU and the log says so once
    int64_t n_batch = 512;              ///< most tokens in one step
    int n_sequences = 32;               ///< most requests that run at once
    int64_t n_outputs = 0;              ///< most rows of logits in one step; 0: enough for the sequences
    int n_queue = 256;                  ///< most requests that wait beyond those that run
    KvType cache_type_k = KvType::f16;  ///< how keys are kept: f32 (exact), f16, q8_0, q4_0
    KvType cache_type_v = KvType::f16;  ///< how values are kept
    uint64_t kv_bytes = 0;              ///< budget of the KV cache, a draft model's included; 0: what is useful, as far as the memory goes
    uint64_t memory_bytes = 0;          ///< budget of weights, cache and workspace together; 0: what this machine and its cgroup have free
    uint64_t cache_bytes = 0;           ///< of the KV cache, beyond what running requests need: for prefixes of finished ones
    bool prefix_cache = true;           ///< keep the pages of finished requests for those that begin alike
    static constexpr int usual_draft = 8;
    std::string draft_model_path;  ///< a small model of the same vocabulary that guesses ahead; "": none
    int draft_ngram = 0;           ///< without one: longest run of last tokens that is looked up in the text so far; 0: nothing is guessed
    int n_draft = usual_draft;     ///< most tokens guessed ahead

    std::vector<AdapterSource> adapters;

    bool embeddings = false;         ///< make vectors of texts with a model that predicts tokens, too
    std::optional<Pooling> pooling;  ///< how; nothing: as the file says, else the last token's vector, of encoders the mean

    std::string
        chat_format;  ///< "": the file's own template; else a name that ChatTemplate::named knows, or chat_template.NAME of the file
    std::string chat_template;         ///< the source of one that takes the place of the file's; "": none
    std::optional<uint64_t> seed;      ///< of requests that name none; nothing: a new one for each
    std::optional<int> repeat_last_n;  ///< likewise: how many tokens back their penalties look
    std::optional<Isa> isa;            ///< nothing: the best of this machine
    bool operator==(const EngineOptions&) const = default;
};

/// Facts of the loaded model.
struct ModelInfo {
    std::string name;  ///< general.name, else the file's name
    std::string architecture;
    std::string path;
    uint64_t file_bytes = 0;
    uint64_t n_params = 0;
    int64_t n_layers = 0, n_embd = 0, n_vocab = 0;
    int64_t n_ctx_train = 0;               ///< the model's own window
    int64_t n_ctx = 0;                     ///< the window of a request here
    bool generates = true;                 ///< false: it makes vectors of texts, or scores pairs of them, and nothing else
    std::optional<Pooling> pooling;        ///< of a model that makes vectors of texts
    int64_t n_labels = 0;                  ///< scores that it gives to a pair of texts; 0: it cannot
    std::vector<std::string> label_names;  ///< of these, where the file says
    uint64_t weight_bytes_per_token = 0;   ///< weights read to generate one token
    uint64_t kv_bytes_per_token = 0;       ///< KV cache that one token of context takes, as long as no window leaves it behind
    uint64_t kv_bytes = 0;                 ///< KV cache as a whole
    int64_t n_kv_tokens = 0;               ///< tokens of context that it holds, of all requests
    int64_t n_windowed_layers = 0;         ///< layers that keep only the last kv_window tokens of each request
    int64_t kv_window = 0;                 ///< 0: all layers keep all tokens
    uint64_t workspace_bytes = 0;          ///< activations, scratch and adapters
    int64_t n_batch = 0;
    int n_sequences = 0;
    KvType cache_type_k = KvType::f16, cache_type_v = KvType::f16;
    std::string draft_model;           ///< its path; "" if none
    bool is_speculative = false;       ///< tokens are guessed ahead
    uint64_t draft_file_bytes = 0;     ///< its weights
    uint64_t draft_kv_bytes = 0;       ///< its KV cache
    std::string chat_template_error;   ///< why the file's chat template cannot be used; "": it can, or there is none
    std::optional<uint64_t> seed;      ///< of requests that name none
    std::optional<int> repeat_last_n;  ///< likewise
    int n_threads = 0;
    Isa isa = Isa::scalar;
    std::string device;  ///< "CPU (avx512, 2 threads)"
};

/// A request in the engine.
struct SequenceStats {
    enum class State : uint8_t { waiting, prompt, generating };

    uint64_t id = 0;  ///< counts requests from 1
    State state = State::waiting;
    int64_t n_prompt = 0;     ///< tokens of the prompt
    int64_t n_generated = 0;  ///< tokens generated so far
    int64_t n_cached = 0;     ///< of the prompt, found in the prefix cache
    int64_t n_computed = 0;   ///< tokens whose keys and values are there
    int64_t n_limit = 0;      ///< ends with so many tokens, prompt included
    std::shared_ptr<const SamplingParams> sampling;
};

struct EngineStats {
    int n_running = 0, n_waiting = 0;
    /// Pages of a part of the KV cache, each of kv_page_tokens tokens.
    struct Pages {
        int64_t n = 0;
        int64_t n_free = 0;     ///< those that the prefix cache would give up at once count as well
        int64_t n_cached = 0;   ///< of the free ones, those that hold a prefix
        int64_t n_evicted = 0;  ///< times since the start that a prefix gave one up for something new
    };
    Pages pages;         ///< of the layers that keep all tokens: what a text takes grows with its length
    Pages window_pages;  ///< of the layers that keep only a window of them; none where all keep all

    int64_t n_steps = 0;           ///< batches run since the start
    int64_t n_batched_tokens = 0;  ///< tokens in those batches

    int64_t n_requests = 0;          ///< submitted and accepted since the start
    int64_t n_prompt_tokens = 0;     ///< of prompts, computed or found in the prefix cache
    int64_t n_cached_tokens = 0;     ///< of these, found
    int64_t n_generated_tokens = 0;  ///< given out
    int64_t n_preemptions = 0;       ///< times a sequence gave up its pages
    int64_t n_drafted_tokens = 0, n_accepted_tokens = 0;
    double prompt_seconds = 0, generation_seconds = 0;  ///< of steps, shared out by tokens
    std::vector<SequenceStats> sequences;               ///< running, then waiting, in order
};

/// The queue is full: try again later.
class EngineBusy : public Error {
  public:
    using Error::Error;
};

/// What a model takes, in bytes, from the plans that loading it would follow; a draft model included.
struct MemoryNeed {
    int64_t n_ctx = 0;                ///< the window it is for: that of the options, or the model's own
    int64_t n_ctx_train = 0;          ///< the model's own window
    uint64_t weight_bytes = 0;        ///< the mapped files
    uint64_t kv_bytes = 0;            ///< keys and values of one sequence that fills the window
    uint64_t kv_window_bytes = 0;     ///< of these, what is the same for all long windows: some layers keep only their last tokens
    uint64_t useful_kv_bytes = 0;     ///< of all sequences that may run at once, and of EngineOptions::cache_bytes
    uint64_t workspace_bytes = 0;     ///< of the forward pass, for batches as in the options; adapters as well
    uint64_t draft_weight_bytes = 0;  ///< the draft model's part of weight_bytes
};
/// Reads no weights but those of adapters, and keeps none of that memory. @throws ModelError, InvalidInput
MemoryNeed memory_need(const EngineOptions& options);

/// Rows that matrices of the model are multiplied with: what an importance matrix is made of.
struct MatmulInput {
    std::span<const std::string_view> tensors;  ///< names of the matrices that read them
    int64_t expert = 0, n_experts = 1;          ///< which of the matrices of a stack
    const float* rows = nullptr;                ///< [n_rows, n_cols], `stride` values from one to the next; valid during the call
    int64_t n_rows = 0, n_cols = 0, stride = 0;
};
/// Called on the engine thread for every matrix product of a step.
using InputObserver = std::function<void(const MatmulInput&)>;

struct EmbeddingRequest {
    std::vector<TokenId> tokens;
    std::optional<Pooling> pooling;                ///< nothing: the model's own
    std::function<void(std::vector<float>)> take;  ///< called once with the vector, on the engine thread. Must not own the engine
    bool goes_on = false;                          ///< as in EvaluationRequest
    std::function<void()> on_done;                 ///< as in EvaluationRequest
};

struct ScoringRequest {
    Tokenizer::Pair pair;
    std::function<void(std::vector<float>)> take;  ///< as in EmbeddingRequest, with the scores as the model gives them
    bool goes_on = false;
    std::function<void()> on_done;
};

/// One model on one device with one engine thread. All methods are safe from any thread. What submit() and the start_ methods hand out may
/// outlive the engine, whose end cancels it.
class Engine {
  public:
    /// @throws ModelError, InvalidInput (options), DeviceError (memory)
    static std::unique_ptr<Engine> load(const EngineOptions& options);
    virtual ~Engine() = default;

    virtual const ModelInfo& info() const = 0;
    virtual const Tokenizer& tokenizer() const = 0;
    /// nullptr when the file brings no template and none was named.
    virtual const ChatTemplate* chat_template() const = 0;

    /// Renders the chat template and tokenizes the result; control tokens are recognised in template text, never in message text.
    /// @throws InvalidInput  when there is no template or the messages do not fit it
    virtual std::vector<TokenId> tokenize_chat(const TemplateInput& input) const = 0;

    /// Queues a request. @throws InvalidInput (field names as in OpenAI's API), ContextOverflow, EngineBusy
    virtual std::shared_ptr<Generation> submit(Request request) = 0;

    /// Queues a text whose logits are wanted: it is computed in chunks between the steps of the answers, as prompts are.
    /// @throws InvalidInput, ContextOverflow, EngineBusy
    virtual std::shared_ptr<Evaluation> start_evaluation(EvaluationRequest request) = 0;
    /// The same, and waits for its end. @throws also DeviceError, and what `sink` throws
    void evaluate(std::span<const TokenId> tokens, int64_t first_wanted, const LogitsSink& sink);

    /// Shows `observer` what the model's matrices are multiplied with, from now on; an empty one ends that, and then it costs nothing.
    /// What it throws comes out of evaluate(). Blocks until the engine has taken notice.
    virtual void observe_inputs(InputObserver observer) = 0;

    /// Queues a text, of any length but 0, of which the model's vector is wanted; with Pooling::none, one after the other, those of its
    /// tokens. @throws InvalidInput  this model has none, ContextOverflow, EngineBusy
    virtual std::shared_ptr<Evaluation> start_embedding(EmbeddingRequest request);
    /// The same, and waits for the vector. @throws also DeviceError
    std::vector<float> embed(std::span<const TokenId> tokens, std::optional<Pooling> pooling = std::nullopt);

    /// Queues a pair of texts for a cross-encoder's scores, one for each label. @throws InvalidInput  this model has none, ContextOverflow,
    /// EngineBusy
    virtual std::shared_ptr<Evaluation> start_scoring(ScoringRequest request);
    /// The same, and waits for them. @throws also DeviceError
    std::vector<float> score(const Tokenizer::Pair& pair);

    /// The adapters in the order of the options, with the scales of requests that do not say.
    virtual std::vector<AdapterSource> adapters() const { return {}; }
    /// For requests from now on. @param scales  one for each adapter @throws InvalidInput
    virtual void set_adapter_scales(std::span<const float> scales) {
        if (!scales.empty()) throw InvalidInput("this model has no adapters", "lora");
    }

    virtual EngineStats stats() const = 0;

    /// Why this engine answers no more: its file has been cut short or overwritten, or a mistake of ours has cost it the account of its
    /// pages. All requests fail then; only loading it anew helps.
    /// Empty while it works.
    virtual std::string failure() const { return {}; }
};

}  // namespace quern
