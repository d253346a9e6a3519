// Test driver: encodes raw rows for scripts/compare_encoders.py.
//   encode_rows FORMAT ISA N_COLS VALUES IMPORTANCE OUT [REPEATS]
// VALUES is a file of f32 rows; IMPORTANCE one of n_cols f32, or "-"; the blocks go to OUT, the least time of one pass in seconds to
// stdout.
#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "base/cpu_features.h"
#include "kernels/quant/encode.h"

namespace {

std::vector<float> read_floats(const std::string& path) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    std::vector<float> out(static_cast<size_t>(file.tellg()) / sizeof(float));
    file.seekg(0);
    file.read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(out.size() * sizeof(float)));
    return out;
}

}  // namespace

int main(int argc, char** argv) {
    using namespace quern;
    if (argc < 7) {
        std::cerr << "encode_rows FORMAT ISA N_COLS VALUES IMPORTANCE|- OUT [REPEATS]\n";
        return 1;
    }
    const std::optional<Isa> isa = isa_from_name(argv[2]);
    const auto dtype = static_cast<DType>(std::stoi(argv[1]));
    const int64_t n_cols = std::stoll(argv[3]);
    const EncodeKernel encode = isa && *isa <= best_isa() ? encode_for(dtype, *isa) : nullptr;
    if (encode == nullptr || n_cols < 1) {
        std::cerr << "no such encoder\n";
        return 1;
    }
    const std::vector<float> x = read_floats(argv[4]);
    std::vector<float> importance;
    if (std::strcmp(argv[5], "-") != 0) importance = read_floats(argv[5]);
    const auto n_rows = static_cast<int64_t>(x.size()) / n_cols;
    const auto row = row_bytes(dtype, static_cast<uint64_t>(n_cols));
    std::vector<std::byte> out(static_cast<size_t>(n_rows) * row);
    double least = 1e9;
    for (int repeat = 0; repeat < (argc > 7 ? std::stoi(argv[7]) : 1); ++repeat) {
        const auto start = std::chrono::steady_clock::now();
        for (int64_t r = 0; r < n_rows; ++r)
            encode(x.data() + r * n_cols, importance.empty() ? nullptr : importance.data(), n_cols,
                   out.data() + static_cast<size_t>(r) * row);
        least = std::min(least, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    std::ofstream(argv[6], std::ios::binary).write(reinterpret_cast<const char*>(out.data()), static_cast<std::streamsize>(out.size()));
    std::cout << least << "\n";
    return 0;
}
