// An engine without a model, for the tests of the server: it says what it is told to, a byte a token, at the pace it is told.
#pragma once

#include <atomic>
#include <chrono>
#include <list>
#include <mutex>
#include <string>
#include <thread>

#include "engine/engine.h"
#include "engine/output_channel.h"

namespace quern {

class FakeEngine : public Engine {
  public:
    struct Script {
        std::string text = "Hello, world";
        bool is_endless = false;             ///< says the text again and again
        std::chrono::milliseconds pause{0};  ///< before each token
        std::string error;                   ///< fails with it after the text
        bool is_busy = false;
    };

    FakeEngine() : FakeEngine(Script{}) {}
    explicit FakeEngine(Script script) : script_(std::move(script)) {
        info_.name = "fake";
        info_.path = "models/fake.gguf";
        info_.n_vocab = 259;
        info_.n_ctx = info_.n_ctx_train = 1 << 20;
        info_.device = "none";
        Vocabulary vocabulary{.model = TokenizerModel::spm};
        static constexpr std::string_view digits = "0123456789ABCDEF";
        for (int byte = 0; byte < 256; ++byte)
            names_.push_back(concat("<0x", digits[static_cast<size_t>(byte) / 16], digits[static_cast<size_t>(byte) % 16], ">"));
        vocabulary.pieces = {"<unk>", "<s>", "</s>"};
        vocabulary.kinds = {TokenKind::unknown, TokenKind::control, TokenKind::control};
        for (const std::string& name : names_) {
            vocabulary.pieces.push_back(name);
            vocabulary.kinds.push_back(TokenKind::byte);
        }
        vocabulary.scores.assign(vocabulary.pieces.size(), 0.0f);
        vocabulary.bos = TokenId{1};
        vocabulary.eos = TokenId{2};
        vocabulary.unk = TokenId{0};
        vocabulary.add_bos = true;
        vocabulary.add_space_prefix = false;
        tokenizer_ = Tokenizer::create(std::move(vocabulary));
        template_ = ChatTemplate::named("chatml", {.bos = "<s>", .eos = "</s>"});
    }

    const ModelInfo& info() const override { return info_; }
    const Tokenizer& tokenizer() const override { return *tokenizer_; }
    const ChatTemplate* chat_template() const override { return template_.get(); }
    std::vector<TokenId> tokenize_chat(const TemplateInput& input) const override {
        return tokenizer_->tokenize(template_->render_text(input));
    }

    std::shared_ptr<Generation> submit(Request request) override {
        if (script_.is_busy) throw EngineBusy("too many requests wait already");
        if (static_cast<int64_t>(request.prompt.size()) >= info_.n_ctx)
            throw ContextOverflow(concat("the window is ", info_.n_ctx, " tokens, but the prompt has ", request.prompt.size()), "prompt");
        auto channel = std::make_shared<OutputChannel>(request.on_output);
        auto generation = std::make_shared<ChannelGeneration>(channel, tokenizer_, OutputEnds{.stops = request.stop}, false, [] {});
        const std::lock_guard lock(mutex_);
        requests_.push_back(request);
        threads_.emplace_back([this, channel, request](const std::stop_token& stop) { speak(*channel, request, stop); });
        return generation;
    }

    std::shared_ptr<Evaluation> start_evaluation(EvaluationRequest request) override {
        struct Done final : Evaluation {
            bool is_done() override { return true; }
            void wait() override {}
        };
        if (request.on_done) request.on_done();
        return std::make_shared<Done>();
    }
    void observe_inputs(InputObserver) override {}
    EngineStats stats() const override { return {.n_running = n_running_}; }

    void set_window(int64_t n_ctx) { info_.n_ctx = n_ctx; }
    void set_memory(uint64_t file_bytes) { info_.file_bytes = file_bytes; }
    void set_places(int n_sequences) { info_.n_sequences = n_sequences; }
    std::vector<Request> requests() const {
        const std::lock_guard lock(mutex_);
        return requests_;
    }
    std::string prompt_text(size_t i) const { return tokenizer_->detokenize(requests().at(i).prompt); }
    int n_running() const { return n_running_; }
    int n_cancelled() const { return n_cancelled_; }

  private:
    void speak(OutputChannel& channel, const Request& request, const std::stop_token& stop) {
        ++n_running_;
        GenerationStats stats{.n_prompt_tokens = static_cast<int64_t>(request.prompt.size())};
        const int64_t limit = request.max_tokens.value_or(1 << 20);
        FinishReason reason = FinishReason::stop;
        for (int64_t i = 0;; ++i) {
            if (channel.cancelled() || stop.stop_requested()) reason = FinishReason::cancelled;
            if (reason == FinishReason::cancelled) break;
            if (i == limit) reason = FinishReason::length;
            if (i == limit || (!script_.is_endless && i == static_cast<int64_t>(script_.text.size()))) break;
            if (script_.pause.count() > 0) std::this_thread::sleep_for(script_.pause);
            const TokenId token{static_cast<uint8_t>(script_.text[static_cast<size_t>(i) % script_.text.size()]) + 3};
            OutputChannel::Event event{.token = token, .logprobs = {}};
            if (request.n_logprobs >= 0) event.logprobs = logprobs_of(token, request.n_logprobs);
            ++stats.n_generated_tokens;
            channel.push(std::move(event), stats);
        }
        if (reason == FinishReason::cancelled) ++n_cancelled_;
        --n_running_;
        if (!script_.error.empty() && reason != FinishReason::cancelled)
            return channel.finish(FinishReason::error, stats, std::make_exception_ptr(ModelError(script_.error)));
        channel.finish(reason, stats);
    }

    static TokenLogprobs logprobs_of(TokenId token, int n_top) {
        TokenLogprobs out{.logprob = -0.5f};
        if (n_top > 0) out.top.push_back({token, -0.5f});
        for (int i = 1; i < n_top; ++i) out.top.push_back({TokenId{i + 100}, -1.0f - static_cast<float>(i)});
        return out;
    }

    const Script script_;
    std::list<std::string> names_;
    ModelInfo info_;
    std::shared_ptr<const Tokenizer> tokenizer_;
    std::unique_ptr<const ChatTemplate> template_;
    std::atomic<int> n_running_{0}, n_cancelled_{0};
    mutable std::mutex mutex_;
    std::vector<Request> requests_;
    std::list<std::jthread> threads_;  // last: they end before what they use
};

}  // namespace quern
