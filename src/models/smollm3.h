// SmolLM3: Llama's shape, where q and k of each fourth layer do not turn. Source: Bakouch et al. 2025 (SmolLM3), after Yang et al. 2025
// (RNoPE).
#pragma once

#include "models/llama.h"

namespace quern {

class SmolLm3 final : public Llama {
  public:
    using Llama::Llama;
    static const CheckpointFormat checkpoint;

  private:
    bool turns(int layer) const override;
};

}  // namespace quern
