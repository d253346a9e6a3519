// quern verify: whether a model file is sound, and how it differs from another.
#include <cstdio>
#include <memory>

#include <nlohmann/json.hpp>

#include "base/cpu_features.h"
#include "base/error.h"
#include "base/printable.h"
#include "convert/verify.h"
#include "tools/command_line.h"

namespace quern {
namespace {

using Json = nlohmann::ordered_json;

struct VerifyFlags {
    std::string file, against;
    bool json = false, list = false;
    int n_threads = 0;
};

std::string_view name_of(TensorDifference::Kind kind) {
    switch (kind) {
        case TensorDifference::Kind::only_here:
            return "missing in the other";
        case TensorDifference::Kind::only_there:
            return "only in the other";
        case TensorDifference::Kind::shape:
            return "other shape";
        case TensorDifference::Kind::format:
            return "other format";
        default:
            return "other values";
    }
}

Json to_json(const TensorCheck& check) {
    const TensorView& view = check.tensor->view;
    Json out{{"name", std::string(check.tensor->name)}, {"type", std::string(dtype_name(view.dtype))}, {"sha256", check.sha256}};
    if (!check.is_decoded) return out;
    out.update({{"not_finite", check.n_not_finite},
                {"min", check.least},
                {"max", check.most},
                {"rms", check.rms},
                {"constant", check.is_constant()},
                {"suspicious", check.is_suspicious()}});
    return out;
}

Json to_json(const TensorDifference& difference) {
    Json out{{"name", difference.name}, {"difference", std::string(name_of(difference.kind))}};
    if (difference.is_compared)
        out.update({{"values", difference.n_different},
                    {"max_difference", difference.max_difference},
                    {"rmse", difference.rmse},
                    {"relative_rmse", difference.rms > 0 ? difference.rmse / difference.rms : 0.0}});
    return out;
}

void print(const TensorCheck& check, bool list) {
    const std::string name = printable(check.tensor->name);
    if (check.is_broken())
        std::printf("BROKEN   %s: %lld values are not finite, the first at %lld\n", name.c_str(),
                    static_cast<long long>(check.n_not_finite), static_cast<long long>(check.first_bad));
    else if (check.is_suspicious())
        std::printf("SUSPECT  %s: values from %g to %g: a scale may be damaged\n", name.c_str(), static_cast<double>(check.least),
                    static_cast<double>(check.most));
    else if (check.is_constant())
        std::printf("note     %s: every value is %g\n", name.c_str(), static_cast<double>(check.least));
    if (!list) return;
    std::printf("%s  %-7s %s", check.sha256.c_str(), std::string(dtype_name(check.tensor->view.dtype)).c_str(), name.c_str());
    if (check.is_decoded)
        std::printf("  %g to %g, rms %.4g", static_cast<double>(check.least), static_cast<double>(check.most), check.rms);
    else
        std::printf("  (quern does not decode this format)");
    std::printf("\n");
}

void print(const TensorDifference& difference) {
    std::printf("%-20s %s", std::string(name_of(difference.kind)).c_str(), printable(difference.name).c_str());
    if (difference.kind == TensorDifference::Kind::shape)
        std::printf("  %s, %s there", to_string(difference.here->view.shape).c_str(), to_string(difference.there->view.shape).c_str());
    if (difference.kind == TensorDifference::Kind::format)
        std::printf("  %s, %s there", std::string(dtype_name(difference.here->view.dtype)).c_str(),
                    std::string(dtype_name(difference.there->view.dtype)).c_str());
    if (difference.is_compared)
        std::printf("  %lld values differ, by at most %.4g; RMSE %.4g, %.4f of the values' own rms",
                    static_cast<long long>(difference.n_different), difference.max_difference, difference.rmse,
                    difference.rms > 0 ? difference.rmse / difference.rms : 0.0);
    std::printf("\n");
}

int verify(const VerifyFlags& flags) {
    const auto file = GgufFile::open(flags.file);
    const auto other = flags.against.empty() ? nullptr : GgufFile::open(flags.against);
    ThreadPool pool(flags.n_threads > 0 ? flags.n_threads : usable_cores());
    const std::vector<TensorCheck> checks = check_tensors(*file, pool);
    const std::vector<TensorDifference> differences = other ? compare_tensors(*file, *other, pool) : std::vector<TensorDifference>();
    const std::vector<std::string> keys = other ? compare_keys(*file, *other) : std::vector<std::string>();
    size_t n_broken = 0, n_suspicious = 0, n_unread = 0;
    for (const TensorCheck& check : checks) {
        n_broken += check.is_broken();
        n_suspicious += check.is_suspicious();
        n_unread += !check.is_decoded;
    }
    if (flags.json) {
        Json out{{"file", flags.file}, {"broken", n_broken}, {"suspicious", n_suspicious}, {"tensors", Json::array()}};
        for (const TensorCheck& check : checks) out["tensors"].push_back(to_json(check));
        if (other) {
            out["against"] = flags.against;
            out["differences"] = Json::array();
            for (const TensorDifference& each : differences) out["differences"].push_back(to_json(each));
            out["keys"] = keys;
        }
        std::printf("%s\n", out.dump(2, ' ', true, Json::error_handler_t::replace).c_str());
    } else {
        for (const TensorCheck& check : checks) print(check, flags.list);
        for (const TensorDifference& each : differences) print(each);
        for (const std::string& key : keys) std::printf("%-20s %s\n", "other key", printable(key).c_str());
        std::printf("%zu tensors: %zu broken", checks.size(), n_broken);
        if (n_suspicious > 0) std::printf(", %zu suspicious", n_suspicious);
        if (n_unread > 0) std::printf(", %zu of formats that quern does not decode", n_unread);
        if (other) std::printf("; %zu tensors and %zu keys differ", differences.size(), keys.size());
        std::printf("\n");
    }
    return n_broken > 0 || n_suspicious > 0 || !differences.empty() || !keys.empty() ? 1 : 0;
}

Command setup(CLI::App& app) {
    const auto flags = std::make_shared<VerifyFlags>();
    app.add_option("file", flags->file, "GGUF file, or the first part of a split one")->required();
    app.add_option("--against", flags->against, "Another file: which tensors and keys differ, and by how much")->type_name("FILE");
    app.add_flag("--tensors", flags->list, "List every tensor with its SHA-256");
    app.add_flag("--json", flags->json, "Everything as one JSON object");
    app.add_option("-t,--threads", flags->n_threads, "Threads (0: the physical cores)")->check(CLI::Range(0, 1024));
    app.footer("Exit code 0: sound, and the same as the other file where one is given; 1: not so.");
    return [flags] { return verify(*flags); };
}

}  // namespace

const Subcommand verify_command{"verify", "Check every value of a model file, or compare two", setup};

}  // namespace quern
