#include "server/model_wait.h"

namespace quern {
namespace {

class ConditionalAnswer final : public DeferredAnswer {
  public:
    ConditionalAnswer(std::function<bool()> is_ready, std::function<Answer()> make, bool is_stream)
        : is_ready_(std::move(is_ready)), make_(std::move(make)), is_stream_(is_stream) {}

    bool is_ready() override { return is_ready_(); }
    Answer make() override { return make_(); }
    bool is_stream() const override { return is_stream_; }

  private:
    const std::function<bool()> is_ready_;
    const std::function<Answer()> make_;
    const bool is_stream_;
};

}  // namespace

Answer answer_when(std::function<bool()> is_ready, std::function<Answer()> make, bool is_stream) {
    return std::make_unique<ConditionalAnswer>(std::move(is_ready), std::move(make), is_stream);
}

Answer answer_with_model(ModelStore& models, ModelQuestion question) {
    const auto ticket = models.request(question.model, question.wake);
    if (ticket->is_ready()) return question.make(ticket->take());
    return answer_when([ticket] { return ticket->is_ready(); }, [ticket, make = std::move(question.make)] { return make(ticket->take()); },
                       question.is_stream);
}

}  // namespace quern
