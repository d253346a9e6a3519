// Which matmul kernel serves a weight format: rows for a few tokens, panels for many.
#pragma once

#include "kernels/matmul/panel.h"
#include "kernels/matmul/row_dot.h"
#include "kernels/token_kernels.h"

namespace quern {

template <template <typename> typename KernelOf, typename... Formats>
MatmulKernel find_kernel(DType dtype, FormatList<Formats...>) noexcept {
    MatmulKernel found = nullptr;
    ((Formats::dtype == dtype ? void(found = KernelOf<Formats>::run) : void()), ...);
    return found;
}

template <typename V>
struct RowKernels {
    template <typename Format>
    struct Of {
        static void run(const MatmulTask& task) noexcept { multiply_rows<V, Format>(task); }
    };
};

template <typename W>
struct PanelKernels {
    template <typename Format>
    struct Of {
        static void run(const MatmulTask& task) noexcept { multiply_panels<W, Format>(task); }
    };
};

template <typename V, typename... Formats>
int64_t rows_at_once(DType dtype, FormatList<Formats...>) noexcept {
    int64_t n = 1;
    ((Formats::dtype == dtype ? void(n = rows_at_once<V, Formats>()) : void()), ...);
    return n;
}

template <typename V>
MatmulChoice choose_rows(DType weights) noexcept {
    return {.kernel = find_kernel<RowKernels<V>::template Of>(weights, AllFormats{}),
            .activations = row_activations(weights),
            .row_multiple = rows_at_once<V>(weights, AllFormats{}),
            .waits_for_memory = true};
}

template <typename W>
MatmulChoice choose_kernel(DType weights, TokenKernels kernels) noexcept {
    if (kernels == TokenKernels::few) return choose_rows<typename W::Narrow>(weights);
    return {.kernel = find_kernel<PanelKernels<W>::template Of>(weights, AllFormats{}), .row_multiple = 2 * W::lanes};
}

}  // namespace quern
