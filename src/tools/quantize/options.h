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
    std::vector<std::string> included_weights, excluded_weights, fit_types;
    std::string fit, fit_text;
    int64_t fit_tokens = 64;
    bool pure = false, leave_output = false, allow_requantize = false, keep_split = false, dry_run = false;
    int n_threads = 0;
};
void add_quantize_flags(CLI::App& app, QuantizeFlags& flags);

/// "3.2GiB", "900MB": of the file; "4.1bpw": bits for each weight.
struct FitBudget {
    uint64_t file_bytes = 0;  ///< 0: bits_per_weight counts
    double bits_per_weight = 0;
};
/// @throws InvalidInput
FitBudget parse_fit_budget(const std::string& text);

/// What --fit is to do.
struct FitRequest {
    FitBudget budget;
    std::vector<DType> formats;  ///< to choose from; empty: all
    std::string text_file;       ///< to measure on; empty: a text of quern's own
    int64_t n_tokens = 64;       ///< most of it
};

/// As they were meant.
struct QuantizeRequest {
    std::string in, out;
    int n_threads = 1;
    std::optional<Imatrix> imatrix;
    Importance importance;          ///< of the matrix, for the options
    std::optional<FitRequest> fit;  ///< then the options' type is only known once it is done
    QuantizeOptions options;
};
/// @throws InvalidInput  naming the word at fault
QuantizeRequest read_quantize_request(const QuantizeFlags& flags);

/// "KEY=int:5", "KEY=float:0.5", "KEY=bool:true" or "KEY=str:text". @throws InvalidInput
void override_key(GgufWriter& writer, const std::string& text);

}  // namespace quern
