// Importance matrices: how large the inputs of each weight's columns are, summed over a text. Errors in columns that see large inputs cost
// more.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "convert/quantize_plan.h"

namespace quern {

/// What one tensor's inputs added up to.
struct ImatrixEntry {
    std::vector<double> sums;    ///< of squared inputs: [n_matrices, n_cols]; a stack of experts has a row for each
    std::vector<double> counts;  ///< how many inputs each matrix has seen, or one number for all

    int64_t n_cols() const noexcept { return counts.empty() ? 0 : static_cast<int64_t>(sums.size() / counts.size()); }
};

struct Imatrix {
    std::map<std::string, ImatrixEntry, std::less<>> entries;
    std::vector<std::string> datasets;  ///< the texts, by file name
    int64_t chunk_size = 512;           ///< tokens

    /// Windows of chunk_size tokens that went into it: from the counts, for files disagree about them.
    int64_t n_chunks() const noexcept;
    /// Adds another one's sums and counts. @throws InvalidInput  when a tensor has another size there
    void add(const Imatrix& other);
};

/// Mean squares by column. An expert that has seen nothing gets the mean of those that have; an entry without any is left out.
Importance importance_of(const Imatrix& imatrix);

/// Keeps the entries in whose names one of `included` is found (all of them if there is none), and none with one of `excluded`.
void choose_entries(Imatrix& imatrix, const std::vector<std::string>& included, const std::vector<std::string>& excluded);

/// @throws ModelError  when no entry belongs to the model, or one has another size than the tensor: names it
void check_imatrix(const Imatrix& imatrix, const std::string& path, const GgufFile& model);

}  // namespace quern
