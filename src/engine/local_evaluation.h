// A text that is read, as the engine thread and its consumer see it.
#pragma once

#include <exception>
#include <memory>
#include <optional>

#include "engine/evaluation.h"
#include "engine/output_channel.h"

namespace quern {

/// Belongs to the engine thread until the channel says that it is over.
struct TextReading {
    LogitsSink sink;
    int64_t first_wanted = 0;          ///< rises as logits are handed over, so that none comes twice when the text is computed anew
    int64_t second_begin = INT64_MAX;  ///< tokens from here on are of type 1
    bool makes_vectors = false;        ///< the rows are vectors instead of logits
    bool in_one_chunk = false;         ///< its tokens look in both directions
};

class LocalEvaluation final : public Evaluation {
  public:
    LocalEvaluation(std::shared_ptr<OutputChannel> channel, std::function<void()> wake_engine)
        : channel_(std::move(channel)), wake_engine_(std::move(wake_engine)) {}
    ~LocalEvaluation() override;

    bool is_done() override;
    void wait() override;

  private:
    const std::shared_ptr<OutputChannel> channel_;
    const std::function<void()> wake_engine_;
    std::optional<FinishReason> finish_;
};

}  // namespace quern
