// What the checkpoints of decoder-only families have in common: hyper-parameters, rotary scaling, names of tensors.
#pragma once

#include <span>
#include <string>

#include "models/checkpoint.h"
#include "models/layers/decoder.h"

namespace quern {

/// Before all names but the output matrix's; missing in checkpoints that were made for vectors alone.
inline constexpr std::string_view model_prefix[] = {"model."};

/// block_count, context_length, embedding_length, feed_forward_length, attention.*, rope.*, vocab_size.
/// @throws ModelError  also when the feed-forward layers have another activation than the family's
void set_decoder_keys(const CheckpointKeys& keys);
/// The same for a family with these activations, in the config's words.
void set_decoder_keys(const CheckpointKeys& keys, std::span<const std::string_view> activations);

/// What transformers calls the approximation by tanh, and what older configs of the same models say.
inline constexpr std::string_view tanh_gelu[] = {"gelu_pytorch_tanh", "gelu_new", "gelu"};

/// For families whose layers have no window here. @throws ModelError  when the config gives some of them one
void refuse_sliding_window(const CheckpointConfig& config);
/// For families that know which layers have a window. @throws ModelError  when the config says otherwise
void require_windowed_layers(const CheckpointConfig& config, bool (*is_windowed)(int layer));

/// attention.scale, where a config's query_pre_attn_scalar is not the width of a head.
void set_query_scale(const CheckpointKeys& keys);

/// rope_freqs.weight, for a config whose rope scaling is of the type "llama3". Source: Grattafiori et al. 2024 (Llama 3.1).
void add_llama3_frequencies(const GgufFile& keys, const CheckpointConfig& config, CheckpointTensors& tensors);

/// What the form of a row in a family's table asks for.
Transform transform_of(HfForm form, const DecoderConfig& config);

template <typename Owner>
void add_rows(std::span<const WeightRow<Owner>> rows, const DecoderConfig& config, const std::string& gguf_prefix,
              const std::string& hf_prefix, CheckpointTensors& tensors) {
    for (const WeightRow<Owner>& row : rows)
        tensors.add({.gguf = gguf_prefix + std::string(row.gguf),
                     .hf = hf_prefix + std::string(row.hf),
                     .shape = row.shape,
                     .presence = row.presence,
                     .transform = transform_of(row.form, config),
                     .values = {}});
}

/// What stands around the layers, then every layer's table.
template <typename Layer>
void list_decoder_tensors(const DecoderConfig& config, CheckpointTensors& tensors) {
    add_rows<DecoderWeights>(outer_table<Layer>(config), config, "", "", tensors);
    for (int layer = 0; layer < config.n_layers; ++layer) {
        const std::string number = std::to_string(layer) + ".";
        add_rows<Layer>(layer_table<Layer>(config, layer), config, "blk." + number, std::string(Layer::hf_prefix) + number, tensors);
    }
}

/// For CheckpointFormat::list_tensors of families that need no more than that.
template <typename Layer, RopeStyle style>
void list_plain_decoder(const GgufFile& keys, const CheckpointConfig&, CheckpointTensors& tensors) {
    list_decoder_tensors<Layer>(read_decoder_config(keys, style), tensors);
}

}  // namespace quern
