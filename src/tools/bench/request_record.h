// What is noted of one request while a server is measured. Times are seconds since the measurement began.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace quern {

struct RequestRecord {
    double sent = 0, ended = 0;
    std::vector<double> pieces;  ///< when each piece of text arrived
    int64_t n_characters = 0;
    std::optional<int64_t> n_prompt_tokens, n_cached_tokens, n_output_tokens;  ///< as the server counts them, where it does
    std::string failure_kind, failure;                                         ///< "": it succeeded

    bool succeeded() const { return failure_kind.empty(); }
    /// The server's count, else one for each piece.
    int64_t output_tokens() const { return n_output_tokens.value_or(static_cast<int64_t>(pieces.size())); }
};

}  // namespace quern
