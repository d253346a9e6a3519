// What the checkpoints of decoder-only families have in common: hyper-parameters, rotary scaling, names of tensors.
#pragma once

#include <string>

#include "models/checkpoint.h"
#include "models/layers/decoder.h"

namespace quern {

/// block_count, context_length, embedding_length, feed_forward_length, attention.*, rope.*, vocab_size.
void set_decoder_keys(const CheckpointKeys& keys);

/// rope_freqs.weight, for a config whose rope scaling is of the type "llama3". Source: Grattafiori et al. 2024 (Llama 3.1).
void add_llama3_frequencies(const GgufFile& keys, const CheckpointConfig& config, CheckpointTensors& tensors);

/// What stands around the layers, and Layer::table() for each. @param hf_layers  what stands before a layer's number
template <typename Layer>
void list_decoder_tensors(const GgufFile& keys, RopeStyle rope_style, CheckpointTensors& tensors,
                          const std::string& hf_layers = "model.layers.") {
    const DecoderConfig config = read_decoder_config(keys, rope_style);
    tensors.add<DecoderWeights>(outer_table<Layer>(config), "", "");
    for (int layer = 0; layer < config.n_layers; ++layer)
        tensors.add<Layer>(layer_table<Layer>(config, layer), "blk." + std::to_string(layer) + ".",
                           hf_layers + std::to_string(layer) + ".");
}

}  // namespace quern
