#include "models/smollm3.h"

#include "base/error.h"
#include "models/layers/decoder_checkpoint.h"

namespace quern {
namespace {

constexpr int still_layer_step = 4;

constexpr std::string_view smollm3_classes[] = {"SmolLM3ForCausalLM"};

bool layer_turns(int layer) { return (layer + 1) % still_layer_step != 0; }

// GGUF has no key for which layers turn.
void set_smollm3_keys(const CheckpointKeys& keys) {
    set_decoder_keys(keys);
    refuse_sliding_window(keys.config);
    const std::vector<int64_t> turning = keys.config.integers({"no_rope_layers"});
    for (size_t i = 0; i < turning.size(); ++i)
        if ((turning[i] != 0) != layer_turns(static_cast<int>(i)))
            keys.config.fail(concat("no_rope_layers: quern knows models where each fourth layer has no RoPE, and layer ", i, " differs"));
    if (turning.empty() && keys.config.integer({"no_rope_layer_interval"}).value_or(still_layer_step) != still_layer_step)
        keys.config.fail("no_rope_layer_interval is not 4");
}

}  // namespace

bool SmolLm3::turns(int layer) const { return layer_turns(layer); }

const CheckpointFormat SmolLm3::checkpoint{.classes = smollm3_classes,
                                           .set_keys = set_smollm3_keys,
                                           .list_tensors = list_plain_decoder<LlamaLayer, RopeStyle::adjacent>,
                                           .optional_prefixes = model_prefix};

}  // namespace quern
