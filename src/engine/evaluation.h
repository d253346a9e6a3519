// Texts that are only read: their logits are wanted, and no answer.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "text/token.h"

namespace quern {

/// Logits [n_positions, n_vocab] of neighbouring positions from `first_position` on; valid during the call only. On the engine thread.
using LogitsSink = std::function<void(int64_t first_position, std::span<const float> logits)>;

struct EvaluationRequest {
    std::vector<TokenId> tokens;
    int64_t first_wanted = 0;  ///< position of the first token whose logits are wanted
    LogitsSink sink;           ///< called for all positions from there on, in order, a portion at a time. Must not own the engine
    bool goes_on = false;      ///< with a request that was let in: the length of the queue is no reason to refuse it
    /// Called on the engine thread when it is over, one way or another; must return at once. May be empty.
    std::function<void()> on_done;
};

/// A text on its way through the model, beside the answers of others. Dropping the last reference cancels it: its pages are free before the
/// engine's next step. One consumer thread at a time. May outlive its engine.
class Evaluation {
  public:
    virtual ~Evaluation() = default;
    /// Once true, the sink is not called any more.
    virtual bool is_done() = 0;
    /// Waits for the end. @throws what went wrong: DeviceError, what the sink threw, EngineBusy when the engine was stopped meanwhile
    virtual void wait() = 0;
};

}  // namespace quern
