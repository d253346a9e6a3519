#include "server/generation/wording.h"

#include "server/generation/prompt_reader.h"

namespace quern {
namespace {

class WholeAnswer final : public PendingResponse {
  public:
    WholeAnswer(ChoiceOrder order, std::unique_ptr<Wording> wording, const Waker& wake)
        : wording_(std::move(wording)), choices_(std::move(order), wake), whole_(choices_.size()) {
        for (size_t i = 0; i < whole_.size(); ++i) whole_[i].index = i;
    }

    std::optional<HttpResponse> poll() override {
        for (ChoiceUpdate& update : choices_.poll()) {
            ChoiceUpdate& whole = whole_[update.index];
            whole.text += update.text;
            if (choices_.wants_logprobs()) std::move(update.tokens.begin(), update.tokens.end(), std::back_inserter(whole.tokens));
            whole.finish = update.finish;
            whole.stop = update.stop;
        }
        if (!choices_.is_done()) return std::nullopt;
        return json_response(wording_->response(choices_, whole_));
    }

  private:
    const std::unique_ptr<Wording> wording_;
    ChoiceSet choices_;
    std::vector<ChoiceUpdate> whole_;
};

class StreamedAnswer final : public EventSource {
  public:
    StreamedAnswer(ChoiceOrder order, std::unique_ptr<Wording> wording, const Waker& wake)
        : wording_(std::move(wording)), choices_(std::move(order), wake) {}

    EventBatch poll() override {
        EventBatch batch;
        if (!has_begun_) {
            has_begun_ = true;
            batch.text = wording_->begin(choices_);
        }
        for (const ChoiceUpdate& update : choices_.poll()) batch.text += wording_->piece(choices_, update);
        if (!choices_.is_done()) return batch;
        batch.text += wording_->end(choices_);
        batch.is_last = true;
        return batch;
    }

    const char* content_type() const override { return wording_->stream_type(); }
    std::string keep_alive() const override { return wording_->keep_alive(); }
    std::string error_text(std::exception_ptr error, std::string_view request_id) const override {
        return wording_->error_text(std::move(error), request_id);
    }

  private:
    const std::unique_ptr<Wording> wording_;
    ChoiceSet choices_;
    bool has_begun_ = false;
};

}  // namespace

Answer answer_generation(ChoiceOrder order, std::unique_ptr<Wording> wording, bool is_stream, const Waker& wake) {
    require_generation(*order.model);
    if (is_stream) return std::make_unique<StreamedAnswer>(std::move(order), std::move(wording), wake);
    return std::make_unique<WholeAnswer>(std::move(order), std::move(wording), wake);
}

}  // namespace quern
