// The command line of `quern quantize`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "convert/imatrix.h"
#include "convert/quantize_plan.h"
#include "gguf/gguf_writer.h"

namespace quern {

/// As they were written.
struct QuantizeFlags {
    std::vector<std::string> words;  ///< IN [OUT] TYPE [THREADS]
    std::vector<std::string> tensor_types, key_overrides;
    std::string output_type, embedding_type;
    std::string imatrix;
    std::vector<std::string> included_weights, excluded_weights;
    bool pure = false, leave_output = false, allow_requantize = false, keep_split = false, dry_run = false;
    int n_threads = 0;
};
void add_quantize_flags(CLI::App& app, QuantizeFlags& flags);

/// As they were meant.
struct QuantizeRequest {
    std::string in, out;
    int n_threads = 1;
    std::optional<Imatrix> imatrix;
    Importance importance;  ///< of the matrix, for the options
    QuantizeOptions options;
};
/// @throws InvalidInput  naming the word at fault
QuantizeRequest read_quantize_request(const QuantizeFlags& flags);

/// "KEY=int:5", "KEY=float:0.5", "KEY=bool:true" or "KEY=str:text". @throws InvalidInput
void override_key(GgufWriter& writer, const std::string& text);

}  // namespace quern
