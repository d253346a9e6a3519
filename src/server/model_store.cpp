#include "server/model_store.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iomanip>

#include "base/utf8.h"
#include "server/http/errors.h"

namespace quern {
namespace {

int64_t seconds_now() {
    return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Changes when an answer to the same seed may: with the model and with the kernels. FNV-1a.
std::string fingerprint_of(const ModelInfo& info) {
    uint64_t hash = 14695981039346656037ull;
    for (const char c : concat(info.name, '|', info.architecture, '|', info.file_bytes, '|', info.n_params, '|', info.device)) {
        hash ^= static_cast<uint8_t>(c);
        hash *= 1099511628211ull;
    }
    std::ostringstream text;
    text << "fp_" << std::hex << std::setw(10) << std::setfill('0') << (hash & 0xffffffffff);
    return text.str();
}

}  // namespace

void ModelStore::add(std::unique_ptr<Engine> engine, const std::string& path, const std::string& alias) {
    const std::filesystem::path file(path);
    const std::string stem = file.extension() == ".gguf" ? file.stem().string() : file.filename().string();
    ServedModel model{.id = alias.empty() ? repair_utf8(stem) : alias, .created = seconds_now()};
    for (const ServedModel& other : models_)
        if (other.id == model.id)
            throw InvalidInput(concat("two models are called ", model.id, ": give them different aliases"), "model_alias");
    model.names = {model.id, path, file.filename().string(), stem};
    model.fingerprint = fingerprint_of(engine->info());
    model.engine = std::move(engine);
    models_.push_back(std::move(model));
}

const ServedModel& ModelStore::find(std::optional<std::string_view> name) const {
    if (models_.empty()) throw ApiError("no model is loaded", {.status = 503, .code = "no_model"});
    if (!name) return models_.front();
    for (const ServedModel& model : models_)  // an id goes before another model's file name
        if (model.id == *name) return model;
    std::string ids;
    for (const ServedModel& model : models_) {
        if (std::find(model.names.begin(), model.names.end(), *name) != model.names.end()) return model;
        ids += (ids.empty() ? "" : ", ") + model.id;
    }
    throw ApiError(concat("the model '", repair_utf8(*name), "' does not exist here; there is: ", ids),
                   {.status = 404, .code = "model_not_found", .param = "model"});
}

}  // namespace quern
