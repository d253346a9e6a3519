// The fields that /v1/completions and /v1/chat/completions share: sampling, length, stop strings, streaming.
#pragma once

#include <string>
#include <vector>

#include "engine/engine.h"
#include "server/fields.h"

namespace quern {

/// Rules of the shared fields, for RequestFields.
std::span<const FieldRule> generation_field_rules();
/// Rules of the samplers beyond OpenAI's.
std::span<const FieldRule> sampler_field_rules();

/// What the shared fields ask for.
struct GenerationFields {
    Request request;          ///< without its prompt
    bool until_full = false;  ///< max_tokens is -1, as llama.cpp's clients say it
    int n_choices = 1;        ///< of each prompt
    bool stream = false;
    bool include_usage = false;  ///< in the stream's last chunk
    int n_probs = 0;             ///< llama.cpp's name for the likeliest tokens to tell of; 0: none
};

/// Stop strings: a list, or one where that may be. @throws ApiError  naming `field`
std::vector<std::string> read_stops(const Json& value, const char* field, bool may_be_one);

/// @throws ApiError
GenerationFields read_generation_fields(const RequestFields& fields, const Engine& engine);

/// Sampling parameters of the i-th choice: the same, with a seed of its own.
SamplingParams sampling_of_choice(const SamplingParams& sampling, int i);

}  // namespace quern
