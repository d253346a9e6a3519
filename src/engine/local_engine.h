// The Engine of this process: one thread owns the device, the cache and all sequences.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "engine/adapter_set.h"
#include "engine/engine.h"
#include "engine/memory_budget.h"
#include "engine/scheduler.h"
#include "engine/speculation.h"
#include "engine/step_times.h"
#include "graph/executor.h"
#include "models/model.h"

namespace quern {

class LocalEngine final : public Engine {
  public:
    explicit LocalEngine(const EngineOptions& options);
    ~LocalEngine() override;

    const ModelInfo& info() const override { return info_; }
    const Tokenizer& tokenizer() const override { return *tokenizer_; }
    const ChatTemplate* chat_template() const override { return template_.get(); }
    std::vector<TokenId> tokenize_chat(const TemplateInput& input) const override;
    std::shared_ptr<Generation> submit(Request request) override;
    std::shared_ptr<Evaluation> start_evaluation(EvaluationRequest request) override;
    std::shared_ptr<Evaluation> start_embedding(EmbeddingRequest request) override;
    void observe_inputs(InputObserver observer) override;
    std::shared_ptr<Evaluation> start_scoring(ScoringRequest request) override;
    std::vector<AdapterSource> adapters() const override;
    void set_adapter_scales(std::span<const float> scales) override;
    EngineStats stats() const override;
    std::string failure() const override;

  private:
    void load_text(const EngineOptions& options);
    void load_draft_model(const KvBudget& budget);
    void make_cache(const KvBudget& budget);
    void fill_info(const KvBudget& budget);
    void check_weights(const Graph& graph) const;
    void check_tokens(std::span<const TokenId> tokens, const char* field) const;
    void require_predictions() const;
    void check_text(std::span<const TokenId> tokens) const;
    std::unique_ptr<Sequence> make_sequence(Request& request) const;
    std::vector<float> default_scales() const;
    std::function<void()> waker() const;
    void enqueue(std::unique_ptr<Sequence> sequence, bool goes_on = false);
    std::shared_ptr<Evaluation> start_reading(Reading reading, const std::vector<TokenId>& tokens, std::function<void()> on_done,
                                              bool goes_on);
    void run_between_steps(const std::function<void()>& job);

    // On the engine thread.
    void serve();
    bool take_submissions();
    void step();
    void propose_drafts();
    void run_answers(std::span<const Work> step);
    void check_draft(const Work& work, std::span<const float> logits);
    bool begin_chunk(bool answers_wait);
    void advance_prompts(bool answers_wait);
    void finish_chunk();
    void fail_all(const char* error);
    void require_intact_files() const;
    void hand_over(Sequence& sequence, int64_t first, std::span<const float> logits);
    StepTimes& chunk_times() { return chunk_reading_ ? reading_times_ : times_; }
    Executor& chunk_executor() { return chunk_reading_ && chunk_reading_->makes_vectors && vectors_ ? *vectors_ : *prompts_; }
    void fail(std::vector<Work> works, const std::exception& error);
    template <typename Act>
    void for_one(Sequence* sequence, Act act);
    bool sample(Sequence& sequence, std::span<const float> logits);
    void finish(Sequence* sequence, FinishReason reason, std::string error = {});
    void publish_stats();

    bool speculates() const noexcept { return options_.draft_ngram > 0 || draft_model_; }

    std::shared_ptr<const GgufFile> file_;
    std::unique_ptr<const Model> model_;
    const EngineOptions options_;
    const AdapterSet adapters_;
    std::shared_ptr<const Tokenizer> tokenizer_;  // shared with the consumers, and with it the file
    std::unique_ptr<const ChatTemplate> template_;
    bool template_adds_bos_ = false;
    std::vector<TokenId> never_sampled_;
    std::unique_ptr<Device> device_;
    std::unique_ptr<Executor> prompts_, answers_;  // the same graph with the kernels for many tokens, and for few
    std::unique_ptr<Executor> vectors_;            // up to the vectors; nullptr where prompts_ makes those, or nobody wants any
    ModelInfo info_;

    // Engine thread only.
    std::unique_ptr<KvCache> cache_;
    std::unique_ptr<PagePool> pool_, window_pool_;  // the latter only where layers are windowed
    std::unique_ptr<PrefixCache> prefixes_;
    std::unique_ptr<Scheduler> scheduler_;
    std::unique_ptr<DraftModel> draft_model_;
    /// What an executor reads while it runs.
    struct BatchMemory {
        std::vector<int32_t> tokens, outputs;
        std::vector<SequenceSpan> sequences;
        std::vector<int32_t> types;  // empty, or one for each token
        std::vector<float> adapter_scales;
        TokenKernels output_kernels = TokenKernels::few;
        void clear();
        void add(const Work& work);
        Batch batch() const {
            return {.tokens = tokens,
                    .sequences = sequences,
                    .outputs = outputs,
                    .types = types,
                    .output_kernels = output_kernels,
                    .adapter_scales = adapter_scales};
        }
    };
    BatchMemory answers_batch_, prompts_batch_;
    StepTimes times_, reading_times_;               // of chunks of prompts, and of texts that are only read: those want more rows of logits
    std::shared_ptr<const Reading> chunk_reading_;  // of a chunk of such texts
    EngineStats totals_;                            // the counters of stats_
    // So that those who wait cost the steps of others nothing:
    bool has_cancelled_ = false;            // somebody may have gone since the last look
    Sequence::Clock::time_point listed_{};  // when the waiting ones were last listed in stats_

    /// Outlives the engine where a consumer does.
    struct Doorbell {
        std::mutex mutex;
        std::condition_variable rung;
        bool cancelled = false;  // guarded by mutex
    };
    const std::shared_ptr<Doorbell> bell_ = std::make_shared<Doorbell>();
    std::mutex& mutex_ = bell_->mutex;
    std::deque<std::unique_ptr<Sequence>> submitted_;  // guarded by mutex_, like all below
    std::deque<std::function<void()>> jobs_;           // run between steps
    bool stopping_ = false;
    EngineStats stats_;
    std::vector<float> adapter_scales_;  // of requests that do not say
    uint64_t last_id_ = 0;

    std::thread thread_;  // last: starts when everything else is there
};

}  // namespace quern
