// The Engine of this process: loads a model and takes requests for it, which a loop on a thread of its own serves.
#pragma once

#include <functional>
#include <mutex>
#include <thread>

#include "engine/adapter_set.h"
#include "engine/engine.h"
#include "engine/engine_inbox.h"
#include "engine/engine_loop.h"
#include "engine/memory_budget.h"
#include "models/model.h"

namespace quern {

/// Knows the model and checks what is asked of it, on the callers' threads; what it accepts goes through the inbox to the loop, which
/// computes. After the constructor only the adapters' scales change, and what stands in inbox and loop.
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
    EngineParts make_parts(const Graph& graph, const KvBudget& budget) const;
    std::unique_ptr<DraftModel> load_draft_model(const KvBudget& budget) const;
    void fill_info(const KvBudget& budget);
    void check_weights(const Graph& graph) const;
    void check_tokens(std::span<const TokenId> tokens, const char* field) const;
    void require_predictions() const;
    void check_text(std::span<const TokenId> tokens) const;
    std::unique_ptr<Sequence> make_sequence(Request& request) const;
    std::vector<float> default_scales() const;
    std::function<void()> waker() const;
    std::shared_ptr<Evaluation> start_reading(TextReading asked, const std::vector<TokenId>& tokens, std::function<void()> on_done,
                                              bool goes_on);

    std::shared_ptr<const GgufFile> file_;
    std::unique_ptr<const Model> model_;
    const EngineOptions options_;
    const AdapterSet adapters_;
    std::shared_ptr<const Tokenizer> tokenizer_;  // shared with the consumers, and with it the file
    std::unique_ptr<const ChatTemplate> template_;
    bool template_adds_bos_ = false;
    std::vector<TokenId> never_sampled_;
    std::unique_ptr<Device> device_;
    ModelInfo info_;

    mutable std::mutex mutex_;
    std::vector<float> adapter_scales_;  // of requests that do not say; guarded by mutex_

    const std::shared_ptr<EngineInbox> inbox_;  // outlives the engine where a consumer does
    std::unique_ptr<EngineLoop> loop_;          // works with all above
    std::thread thread_;                        // runs it: last, so that everything else is there
};

}  // namespace quern
