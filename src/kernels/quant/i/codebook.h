// The entry of a code book that is nearest to a few values, with weights. Space is cut into cells by the nearest level of each value; for
// each cell the entries nearest to its middle are listed once, and only those are compared.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace quern {

/// How to read a book: its entry e's value j, and the level number l as a value.
struct CodebookLayout {
    float (*value)(int e, int j);
    float (*level)(int l);
};

/// @tparam n_levels  of each value: a cell is the number whose digits to that base are the levels
template <int dims, int n_levels, int n_entries, int n_near>
class Codebook {
    using Four [[gnu::vector_size(16)]] = float;
    static constexpr int parts = dims / 4;
    static constexpr int n_cells = [] {
        int out = 1;
        for (int j = 0; j < dims; ++j) out *= n_levels;
        return out;
    }();

  public:
    explicit Codebook(const CodebookLayout& layout) {
        for (int e = 0; e < n_entries; ++e)
            for (int j = 0; j < dims; ++j) entries_[e][j] = layout.value(e, j);
        for (int cell = 0; cell < n_cells; ++cell) list_nearest(layout, cell);
    }

    const float* entry(int e) const { return entries_[e]; }

    struct Found {
        int entry;
        float cost;  ///< sum w (g^2 - 2 t g): the squared error but for sum w t^2
    };
    /// @param t  dims targets  @param levels  the nearest level of each
    Found nearest(const float* t, const float* w, const int* levels) const {
        int cell = 0;
        for (int j = 0; j < dims; ++j) cell = cell * n_levels + levels[j];
        Four weight[parts], linear[parts];
        for (int p = 0; p < parts; ++p) {
            const Four target = load(t + 4 * p);
            weight[p] = load(w + 4 * p);
            linear[p] = weight[p] * (target + target);
        }
        Found best{0, 0.0f};
        for (int k = 0; k < n_near; ++k) {
            const int e = near_[cell][k];
            Four sum{};
            for (int p = 0; p < parts; ++p) {
                const Four g = load(entries_[e] + 4 * p);
                sum += g * (weight[p] * g - linear[p]);
            }
            const float cost = (sum[0] + sum[2]) + (sum[1] + sum[3]);
            if (k == 0 || cost < best.cost) best = {e, cost};
        }
        return best;
    }

  private:
    static Four load(const float* p) {
        Four out;
        std::memcpy(&out, p, sizeof out);
        return out;
    }

    void list_nearest(const CodebookLayout& layout, int cell) {
        float middle[dims];
        for (int j = dims - 1, rest = cell; j >= 0; --j, rest /= n_levels) middle[j] = layout.level(rest % n_levels);
        float distances[n_near];
        int n = 0;
        for (int e = 0; e < n_entries; ++e) {
            float distance = 0.0f;
            for (int j = 0; j < dims; ++j) distance += (entries_[e][j] - middle[j]) * (entries_[e][j] - middle[j]);
            if (n == n_near && !(distance < distances[n - 1])) continue;
            int at = n < n_near ? n++ : n - 1;
            for (; at > 0 && distance < distances[at - 1]; --at) {
                distances[at] = distances[at - 1];
                near_[cell][at] = near_[cell][at - 1];
            }
            distances[at] = distance;
            near_[cell][at] = static_cast<uint16_t>(e);
        }
    }

    alignas(16) float entries_[n_entries][dims];
    uint16_t near_[n_cells][n_near];
};

}  // namespace quern
