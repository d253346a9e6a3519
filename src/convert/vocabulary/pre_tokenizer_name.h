// From the pre_tokenizer of a tokenizer.json to the patterns that it runs, and to the name that GGUF files give them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace quern {

/// The regular expressions of the steps, in order. Nothing if a step is none that patterns can express.
std::optional<std::vector<std::string>> pre_tokenizer_patterns(const nlohmann::json& pre_tokenizer);

/// `tokenizer.ggml.pre` for the patterns, or empty if none is known. @param takes_whole_words  the model's `ignore_merges`
std::string pre_tokenizer_name(const std::vector<std::string>& patterns, bool takes_whole_words);

}  // namespace quern
