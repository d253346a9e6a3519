// Matmul for many tokens: weights of one row in each lane, unpacked once into a panel, and tokens broadcast from memory.
// A panel is n_rows rows (a multiple of W::lanes) by up to max_columns columns: vector j of it holds columns 4 j .. 4 j + 3 of every row,
// as bytes. The dot product instruction then needs no shuffle: it multiplies a panel vector by four bytes of one token, which it reads as a
// broadcast operand. max_columns bounds the scratch memory on the stack to some 50 KiB; a longer row is a sum over panels.
#pragma once

#include "kernels/matmul/row_dot.h"

namespace quern {

/// Where a tile of the result goes: element (t, lane) at out + t * stride + lane, for the first n_rows lanes.
struct PanelOutput {
    float* out;
    int64_t stride;
    int n_rows;
    bool add;  ///< to what earlier panels left there
};

/// Tokens of one tile: token t at x + t * stride.
struct PanelTokens {
    const std::byte* x;
    int64_t stride;
};

/// Writes the lanes of the panel's rows first_row .. first_row + W::lanes, as far as there are such rows.
template <typename W>
QUERN_INLINE void write_lanes(const PanelOutput& output, int64_t t, int first_row, typename W::Floats v) {
    float* const out = output.out + t * output.stride + first_row;
    const int n_left = output.n_rows - first_row;
    const int n = n_left < 0 ? 0 : n_left < W::lanes ? n_left : W::lanes;
    if (output.add)
        W::add_floats(out, v, n);
    else
        W::store_floats(out, v, n);
}

/// All tokens of a task against one panel, in tiles of max_tokens, and 12, 8 or 4 at the end. REQUIRES: task.n_tokens is a multiple of 4.
template <typename W, typename Panel>
QUERN_INLINE void multiply_panel(const Panel& panel, const MatmulTask& task, int64_t column, PanelOutput output) {
    PanelTokens tokens{task.activations + activation_row_bytes(Panel::activations, column), task.activation_row_bytes};
    int64_t left = task.n_tokens;
    const auto tile = [&]<int n_tokens>() {
        panel.template multiply<n_tokens>(tokens, output);
        tokens.x += n_tokens * tokens.stride;
        output.out += n_tokens * output.stride;
        left -= n_tokens;
    };
    while (left >= Panel::max_tokens) tile.template operator()<Panel::max_tokens>();
    if constexpr (Panel::max_tokens > 12)
        if (left == 12) tile.template operator()<12>();
    if (left == 8) tile.template operator()<8>();
    if (left == 4) tile.template operator()<4>();
}

/// The MatmulKernel with panels; tokens that fill no tile of 4 go to the row kernel.
template <typename W, typename Format, template <typename, typename> typename PanelOf>
void multiply_panels(const MatmulTask& whole) noexcept {
    using Panel = PanelOf<W, Format>;
    MatmulTask task = whole;
    task.n_tokens = whole.n_tokens / 4 * 4;
    Panel panel;
    for (int64_t row = 0; row < task.n_rows; row += Panel::n_rows) {
        const int64_t rows_left = task.n_rows - row;
        const int n_rows = rows_left < Panel::n_rows ? static_cast<int>(rows_left) : Panel::n_rows;
        for (int64_t column = 0; column < task.n_in; column += Panel::max_columns) {
            const int64_t n_columns = task.n_in - column < Panel::max_columns ? task.n_in - column : Panel::max_columns;
            const std::byte* weights = task.weights + row * task.weight_row_bytes +
                                       column / Format::block_values * static_cast<int64_t>(sizeof(typename Format::Block));
            panel.fill(weights, task.weight_row_bytes, n_rows, n_columns);
            multiply_panel<W>(panel, task, column, {task.out + row, task.out_stride, n_rows, column > 0});
        }
    }
    if (task.n_tokens == whole.n_tokens) return;
    MatmulTask rest = whole;
    rest.n_tokens = whole.n_tokens - task.n_tokens;
    rest.activations += task.n_tokens * whole.activation_row_bytes;
    rest.out += task.n_tokens * whole.out_stride;
    multiply_rows<typename W::Narrow, Format>(rest);
}

}  // namespace quern
