// quern quantize: a model file made small.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>

#include "base/error.h"
#include "convert/quantize.h"
#include "convert/split_files.h"
#include "tools/command_line.h"
#include "tools/environment.h"
#include "tools/progress_line.h"
#include "tools/quantities.h"
#include "tools/quantize/fit.h"
#include "tools/quantize/options.h"

namespace quern {
namespace {

using Clock = std::chrono::steady_clock;

struct Totals {
    uint64_t read = 0, written = 0, values = 0;
    size_t fallbacks = 0;
    std::map<DType, size_t> formats;
};

Totals total_of(std::span<const PlannedTensor> plan) {
    Totals totals;
    for (const PlannedTensor& each : plan) {
        totals.read += each.source->view.bytes();
        totals.written += each.bytes();
        totals.values += static_cast<uint64_t>(each.source->view.shape.n_values());
        totals.fallbacks += each.fell_back;
        ++totals.formats[each.dtype];
    }
    return totals;
}

void print_plan(std::span<const PlannedTensor> plan, const Totals& totals) {
    size_t width = 0;
    for (const PlannedTensor& each : plan) width = std::max(width, each.source->name.size());
    for (size_t i = 0; i < plan.size(); ++i) {
        const PlannedTensor& each = plan[i];
        std::printf("[%4zu/%4zu] %-*s %-16s %-5s -> %-7s %10s%s\n", i + 1, plan.size(), static_cast<int>(width),
                    std::string(each.source->name).c_str(), to_string(each.source->view.shape).c_str(),
                    std::string(dtype_name(each.source->view.dtype)).c_str(), std::string(dtype_name(each.dtype)).c_str(),
                    human_bytes(each.bytes()).c_str(),
                    each.fell_back ? concat("  (", dtype_name(each.wanted), " does not divide its rows)").c_str() : "");
    }
    std::string formats;
    for (const auto& [dtype, n] : totals.formats) formats += concat(formats.empty() ? "" : ", ", n, " ", dtype_name(dtype));
    std::printf("%s -> %s, %.2f bits per weight; tensors: %s\n", human_bytes(totals.read).c_str(), human_bytes(totals.written).c_str(),
                totals.values == 0 ? 0.0 : 8.0 * static_cast<double>(totals.written) / static_cast<double>(totals.values), formats.c_str());
    if (totals.fallbacks > 0)
        std::printf("%zu of %zu tensors have rows that the wanted format does not divide, and fell back to another\n", totals.fallbacks,
                    plan.size());
    std::fflush(stdout);
}

/// What the importance matrix says nothing of. The embeddings and the output are usually not in it, nor experts that no text has reached.
void print_unweighted(std::span<const PlannedTensor> plan) {
    constexpr size_t most_named = 4;
    size_t n = 0;
    std::string names;
    for (const PlannedTensor& each : plan) {
        if (each.is_copied() || dtype_info(each.dtype).block_size == 1 || !each.importance.empty()) continue;
        if (n++ < most_named) names += concat(n == 1 ? "" : ", ", each.source->name);
    }
    if (n > 0)
        std::printf("%zu of %zu tensors are not in the importance matrix, and all their columns count alike: %s%s\n", n, plan.size(),
                    names.c_str(), n > most_named ? ", ..." : "");
    std::fflush(stdout);
}

// Under the names that llama.cpp gives them.
void set_imatrix_keys(GgufWriter& writer, const Imatrix& imatrix, const std::string& path) {
    writer.set("quantize.imatrix.file", std::string_view(path));
    if (!imatrix.datasets.empty()) writer.set("quantize.imatrix.dataset", std::string_view(imatrix.datasets.front()));
    writer.set("quantize.imatrix.entries_count", static_cast<uint32_t>(imatrix.entries.size()));
    writer.set("quantize.imatrix.chunks_count", static_cast<uint32_t>(std::min<int64_t>(imatrix.n_chunks(), UINT32_MAX)));
}

void set_keys(GgufWriter& writer, const GgufFile& file, const QuantizeRequest& request, const QuantizeFlags& flags) {
    writer.set_all(file.metadata());
    if (request.imatrix) set_imatrix_keys(writer, *request.imatrix, flags.imatrix);
    if (!request.options.copy) {
        writer.set("general.quantization_version", uint32_t{2});
        writer.set("general.file_type", static_cast<uint32_t>(request.options.type.file_type));
    }
    for (const std::string& text : flags.key_overrides) override_key(writer, text);
}

/// What stands before the tensors' data in the file that will be written.
uint64_t header_bytes(const GgufFile& file, const QuantizeRequest& request, const QuantizeFlags& flags) {
    GgufWriter writer;
    set_keys(writer, file, request, flags);
    for (const GgufTensor& each : file.tensors()) writer.add_tensor(each.name, each.view.dtype, each.view.shape);
    return writer.header().size();
}

/// What the choice is expected to cost, and where.
void print_fit(const Fit& fit) {
    constexpr size_t most_named = 5;
    std::vector<std::pair<double, std::string_view>> costs;
    for (const auto& [name, cost] : fit.costs) costs.emplace_back(cost, name);
    std::stable_sort(costs.begin(), costs.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    std::string text = fit.is_measured ? "expected KL divergence" : "relative errors of the weights";
    char number[32];
    std::snprintf(number, sizeof number, " %.4f, most of it by ", fit.cost());
    text += number;
    for (size_t i = 0; i < std::min(most_named, costs.size()); ++i) {
        std::snprintf(number, sizeof number, " (%.4f)", costs[i].first);
        text += concat(i == 0 ? "" : ", ", costs[i].second, number);
    }
    std::printf("%s\n", text.c_str());
    std::fflush(stdout);
}

void write_parts(const GgufFile& file, std::span<const PlannedTensor> plan, const QuantizeRequest& request, const QuantizeFlags& flags) {
    ThreadPool pool(request.n_threads);
    const EncodeResources resources(pool, isa_from_environment().value_or(best_isa()));
    ProgressLine line;
    uint64_t n_done = 0;
    const auto n_all = static_cast<double>(std::max<uint64_t>(1, total_of(plan).read));
    const auto progress = [&](const PlannedTensor& done, uint64_t n_read, uint64_t) {
        n_done += n_read;
        const auto rate = static_cast<uint64_t>(static_cast<double>(n_done) / std::max(line.seconds(), 1e-3));
        line.show(static_cast<double>(n_done) / n_all, concat(human_bytes(rate), "/s  ", done.source->name));
    };
    const int n_parts = flags.keep_split ? static_cast<int>(file.n_parts()) : 1;
    if (n_parts == 1) {
        refuse_own_parts(file, {&request.out, 1});
        GgufWriter writer;
        set_keys(writer, file, request, flags);
        return write_quantized(plan, writer, request.out, resources, progress);
    }
    const std::string prefix = split_prefix(request.out).value_or(std::filesystem::path(request.out).replace_extension().string());
    std::vector<std::string> paths;
    for (int part = 0; part < n_parts; ++part) paths.push_back(split_part_path(prefix, part + 1, n_parts));
    refuse_own_parts(file, paths);
    PartFiles written;
    for (int part = 0; part < n_parts; ++part) {
        const auto in_part = [part](const PlannedTensor& each) { return static_cast<int>(each.source->part) == part; };
        std::vector<PlannedTensor> share;
        std::copy_if(plan.begin(), plan.end(), std::back_inserter(share), in_part);
        GgufWriter writer;
        if (part == 0) set_keys(writer, file, request, flags);
        set_split_keys(writer, part + 1, n_parts, plan.size());
        write_quantized(share, writer, paths[static_cast<size_t>(part)], resources, progress);
        written.add(paths[static_cast<size_t>(part)]);
    }
    written.keep();
}

int quantize(const QuantizeFlags& flags) {
    QuantizeRequest request = read_quantize_request(flags);
    const auto file = GgufFile::open(request.in);
    if (request.imatrix) {
        check_imatrix(*request.imatrix, flags.imatrix, *file);
        request.importance = importance_of(*request.imatrix);
        request.options.importance = &request.importance;
    }
    std::error_code error;
    if (!flags.dry_run && std::filesystem::equivalent(request.in, request.out, error))
        throw InvalidInput(concat(request.out, " is the file to read; give another name to write"));
    std::optional<Fit> fit;
    if (request.fit) {
        fit = fit_formats(*file, request, header_bytes(*file, request, flags));
        request.options.chosen = &fit->formats;
        request.options.type = fit->type;
    }
    const std::vector<PlannedTensor> plan = plan_quantize(*file, request.options);
    const Totals totals = total_of(plan);
    print_plan(plan, totals);
    if (fit) print_fit(*fit);
    if (request.imatrix) print_unweighted(plan);
    if (flags.dry_run) return 0;
    const auto start = Clock::now();
    write_parts(*file, plan, request, flags);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    std::printf("%s written in %.1f s (%s/s read, %d threads)\n", request.out.c_str(), seconds,
                human_bytes(static_cast<uint64_t>(static_cast<double>(totals.read) / seconds)).c_str(), request.n_threads);
    return 0;
}

Command setup(CLI::App& app) {
    const auto flags = std::make_shared<QuantizeFlags>();
    add_quantize_flags(app, *flags);
    return [flags] { return quantize(*flags); };
}

}  // namespace

const Subcommand quantize_command{"quantize", "Make a model file small", setup};

}  // namespace quern
