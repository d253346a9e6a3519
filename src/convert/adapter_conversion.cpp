// Source: PEFT's LoraConfig, and how its layers scale: alpha / rank, or alpha / sqrt(rank) when rank-stabilized.
#include "convert/adapter_conversion.h"

#include <cmath>
#include <filesystem>

#include "base/error.h"
#include "base/printable.h"
#include "convert/checkpoint/checkpoint.h"
#include "convert/checkpoint/json_file.h"
#include "convert/checkpoint/safetensors.h"
#include "convert/checkpoint/torch_file.h"
#include "convert/quantize.h"

namespace quern {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view module_prefix = "base_model.model.";

/// The ends of names in an adapter's file.
struct Ending {
    std::string_view text;
    bool is_a, is_table;
};
constexpr Ending endings[] = {{".lora_A.weight", true, false},
                              {".lora_B.weight", false, false},
                              {".lora_embedding_A", true, true},
                              {".lora_embedding_B", false, true}};

bool exists(const std::string& path) {
    std::error_code error;
    return fs::exists(path, error);
}

bool is_plain(std::string_view pattern) { return pattern.find_first_of("\\^$*+?()[]{}|") == std::string_view::npos; }

}  // namespace

AdapterConversion::AdapterConversion(AdapterConvertOptions options) : options_(std::move(options)) {
    std::string& folder = options_.folder;
    while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
    if (options_.name.empty()) options_.name = fs::weakly_canonical(folder).filename().string();
    read_config();
    refuse_other_kinds();
    open_weights();
    collect_pairs();
    list_places();
    make_plan();
}

void AdapterConversion::fail(std::string_view what) const { throw ModelError(concat(printable(file_->path()), ": ", what)); }
void AdapterConversion::fail_config(std::string_view what) const { throw ModelError(concat(printable(config_->path()), ": ", what)); }

void AdapterConversion::read_config() {
    const std::string path = options_.folder + "/adapter_config.json";
    if (!exists(path))
        throw ModelError(concat(printable(options_.folder), ": holds no adapter_config.json, so it is no adapter that PEFT has saved"));
    const nlohmann::json json = read_json_file(path);
    if (!json.is_object()) throw ModelError(concat(printable(path), ": is no JSON object"));
    config_ = std::make_unique<const CheckpointConfig>(json, path);
    alpha_ = config_->real({"lora_alpha"}).value_or(8.0);
    if (!(std::abs(alpha_) > 0.0 && std::abs(alpha_) < 1e9))
        fail_config(concat("lora_alpha is ", alpha_, ": the adapter would do nothing"));
    by_root_ = config_->boolean({"use_rslora"}).value_or(false);
    const auto pattern = json.find("alpha_pattern");
    if (pattern == json.end() || pattern->is_null()) return;
    if (!pattern->is_object()) fail_config("alpha_pattern is no object");
    for (const auto& [key, value] : pattern->items()) {
        if (!value.is_number()) fail_config(concat("alpha_pattern: ", quoted(key), " is no number"));
        const bool is_anchored = key.starts_with('^');
        if (!is_plain(std::string_view(key).substr(is_anchored)))
            fail_config(concat("alpha_pattern: ", quoted(key), " is a regular expression; quern reads plain names of modules"));
        const auto alpha = value.get<double>();
        if (!(std::abs(alpha) < 1e9)) fail_config(concat("alpha_pattern: ", quoted(key), " is ", alpha, ", which is out of range"));
        alphas_.emplace_back(key, alpha);
    }
}

// Anything else that was trained would be lost without a word.
void AdapterConversion::refuse_other_kinds() const {
    const std::string type = config_->string({"peft_type"}).value_or("LORA");
    if (type != "LORA") fail_config(concat("peft_type is ", quoted(type), "; quern converts LORA"));
    for (const char* name : {"use_dora", "lora_bias", "use_qalora"})
        if (config_->boolean({name}).value_or(false)) fail_config(concat(name, " is set, and GGUF adapters have no place for that"));
    for (const char* name :
         {"modules_to_save", "target_parameters", "layer_replication", "trainable_token_indices", "alora_invocation_tokens"})
        if (config_->has(name) && !config_->is_empty(name))
            fail_config(concat(name,
                               " is set: GGUF adapters hold products beside weights and nothing else; merge it with PEFT and convert "
                               "the model"));
    const std::string bias = config_->string({"bias"}).value_or("none");
    if (bias != "none")
        fail_config(concat("bias is ", quoted(bias), ": biases were trained, too, and GGUF adapters have no place for them"));
    if (!config_->is_text("init_lora_weights")) return;
    const std::string start = config_->string({"init_lora_weights"}).value_or("");
    for (const char* each : {"pissa", "olora", "corda"})
        if (start.starts_with(each))
            fail_config(concat("init_lora_weights is ", quoted(start),
                               ", which changes the base's weights; save it with PEFT's path_initial_model_for_weight_conversion"));
}

void AdapterConversion::open_weights() {
    for (const char* name : {"adapter_model.safetensors", "adapter_model.bin"}) {
        const std::string path = options_.folder + "/" + name;
        if (!exists(path)) continue;
        file_ = std::make_unique<const MappedFile>(path);
        const bool is_safetensors = path.ends_with(".safetensors");
        for (SourceTensor& tensor : is_safetensors ? read_safetensors(file_->bytes(), path) : read_torch_file(file_->bytes(), path)) {
            const std::string key = tensor.name;
            tensors_.emplace(key, std::move(tensor));
        }
        return;
    }
    throw ModelError(concat(printable(options_.folder), ": holds neither adapter_model.safetensors nor adapter_model.bin"));
}

void AdapterConversion::collect_pairs() {
    for (const auto& [name, tensor] : tensors_) {
        if (name.find(".base_layer.") != std::string::npos) continue;  // the base's own weight, saved along
        const Ending* ending = nullptr;
        for (const Ending& each : endings)
            if (name.ends_with(each.text)) ending = &each;
        if (!ending)
            fail(concat("tensor ", quoted(name), " is no factor of a LoRA adapter, and GGUF adapters hold nothing else",
                        name.find("magnitude") != std::string::npos ? " (DoRA)" : ""));
        if (!tensor.dtype)
            fail(concat("tensor ", quoted(name), " is ", printable(tensor.type), ", which quern cannot read; it takes F32, F16 and BF16"));
        std::string module = name.substr(0, name.size() - ending->text.size());
        if (module.starts_with(module_prefix)) module.erase(0, module_prefix.size());
        Pair& pair = pairs_[module];
        pair.is_table = ending->is_table;
        (ending->is_a ? pair.a : pair.b) = &tensor;
    }
    if (pairs_.empty()) fail("holds no factors of a LoRA adapter");
    for (const auto& [module, pair] : pairs_)
        if (!pair.a || !pair.b) fail(concat("module ", quoted(module), " has only one of the two factors"));
}

std::string AdapterConversion::find_base() const {
    if (!options_.base.empty()) return options_.base;
    const std::string named = config_->string({"base_model_name_or_path"}).value_or("");
    if (!named.empty() && exists(named + "/config.json")) return named;
    throw InvalidInput(concat("which base? Give the folder of ", named.empty() ? "the base model" : printable(named),
                              " (its config.json is enough), or its GGUF file, with --base"),
                       "base");
}

// Every tensor that the converter would make of the base, by the name it has in checkpoints.
void AdapterConversion::list_places() {
    const std::string base = find_base();
    std::unique_ptr<const GgufFile> keys;
    std::unique_ptr<const CheckpointConfig> config;
    GgufWriter writer;
    if (fs::is_directory(base)) {
        config = std::make_unique<const CheckpointConfig>(Checkpoint::open(base, false)->config());
        const CheckpointFamily family = find_checkpoint_family(*config);
        architecture_ = family.architecture;
        format_ = family.format;
        writer.set("general.architecture", std::string_view(architecture_));
        format_->set_keys({*config, writer, architecture_});
        const GgufTensor table{
            .name = "token_embd.weight",
            .view = {.dtype = DType::f32,
                     .shape = {config->require_integer({"vocab_size"}), config->require_integer({"hidden_size", "n_embd", "dim"})}}};
        for (const int axis : {0, 1})
            if (table.view.shape[axis] < 1 || table.view.shape[axis] > 1 << 24)
                config->fail(concat(axis == 0 ? "vocab_size" : "hidden_size", " is ", table.view.shape[axis]));
        keys = GgufFile::describe(config->path(), writer.header(), {table});
    } else {
        keys = GgufFile::open(base);
        architecture_ = keys->metadata().require_string("general.architecture");
        format_ = checkpoint_format_of(architecture_);
        if (!format_) throw ModelError(concat(printable(base), ": quern does not convert adapters for ", printable(architecture_)));
        config = std::make_unique<const CheckpointConfig>(nlohmann::json::object(), base);
    }
    format_->list_tensors(*keys, *config, wanted_);
    for (const ConvertedTensor& wanted : wanted_.all()) {
        const size_t star = wanted.hf.find("{}");
        const int64_t n = wanted.hf.empty() ? 0 : star == std::string::npos ? 1 : wanted.shape[0];
        for (int64_t i = 0; i < n; ++i) {
            std::string name = wanted.hf;
            if (star != std::string::npos) name.replace(star, 2, std::to_string(i));
            Place& place = places_[name];
            place = {&wanted, i, place.n_places + 1};
        }
    }
}

const AdapterConversion::Place& AdapterConversion::find_place(const std::string& module) const {
    const std::string name = module + ".weight";
    if (const auto found = places_.find(name); found != places_.end()) return found->second;
    for (const std::string_view prefix : format_->optional_prefixes) {
        if (const auto found = places_.find(std::string(prefix) + name); found != places_.end()) return found->second;
        if (name.starts_with(prefix))
            if (const auto found = places_.find(name.substr(prefix.size())); found != places_.end()) return found->second;
    }
    fail(concat("module ", quoted(module), " is no part of a model of the architecture ", architecture_,
                " of this size; is the base right?"));
}

double AdapterConversion::scaling_of(const std::string& module, int64_t rank) const {
    double alpha = alpha_;
    for (const auto& [key, value] : alphas_) {
        const bool whole = key.starts_with('^') ? module == key.substr(1) : module == key;
        if (!whole && (key.starts_with('^') || !module.ends_with("." + key))) continue;
        alpha = value;
        break;
    }
    const auto r = static_cast<double>(rank);
    return by_root_ ? alpha / std::sqrt(r) : alpha / r;
}

void AdapterConversion::check_pair(const std::string& module, const Pair& pair, const ConvertedTensor& wanted) const {
    const auto &a = pair.a->sizes, &b = pair.b->sizes;
    const int rows = wanted.shape.rank() - 2;
    const bool is_table = wanted.gguf == "token_embd.weight";
    if (is_table != pair.is_table || rows < 0)
        fail(concat("module ", quoted(module), ": GGUF adapters have no place for such factors of ", wanted.gguf));
    const int64_t n_out = wanted.shape[rows], n_in = wanted.shape.n_cols();
    const bool fits = a.size() == 2 && b.size() == 2 && a[0] == b[1] && a[0] > 0 && a[1] == (is_table ? n_out : n_in) &&
                      b[0] == (is_table ? n_in : n_out);
    if (!fits)
        fail(concat("module ", quoted(module), ": factors ", sizes_text(a), " and ", sizes_text(b), " do not fit the base's ",
                    to_string(wanted.shape), "; is the base right?"));
}

// @param experts  one module, or those of all experts in their order
void AdapterConversion::add_factors(const ConvertedTensor& wanted, const std::vector<std::pair<std::string, const Pair*>>& experts) {
    const int64_t rank = experts.front().second->a->sizes.empty() ? 0 : experts.front().second->a->sizes.front();
    const bool is_table = experts.front().second->is_table;
    const bool is_stack = wanted.hf.find("{}") != std::string::npos;
    Factor a{.name = wanted.gguf + ".lora_a", .transposes = is_table}, b{.name = wanted.gguf + ".lora_b", .transform = wanted.transform};
    for (const auto& [module, pair] : experts) {
        check_pair(module, *pair, wanted);
        if (pair->a->sizes[0] != rank) fail(concat("module ", quoted(module), ": the experts of a layer must have one rank"));
        const auto view = [](const SourceTensor& tensor) {
            return TensorView{.dtype = *tensor.dtype, .shape = {tensor.sizes[0], tensor.sizes[1]}, .data = tensor.bytes.data()};
        };
        a.matrices.push_back(view(*pair->a));
        b.matrices.push_back(view(*pair->b));
        a.scales.push_back(1.0f);
        // The file has one alpha for all: what differs from it goes into b. Exactly 1 in the usual case.
        b.scales.push_back(static_cast<float>(scaling_of(module, rank) * static_cast<double>(rank) / alpha_));
    }
    for (Factor* each : {&a, &b}) {
        const Shape& one = each->matrices.front().shape;
        if (is_stack) each->shape.append(wanted.shape[0]);
        each->shape.append(each->transposes ? one[1] : one[0]);
        each->shape.append(each->transposes ? one[0] : one[1]);
    }
    factors_.push_back(std::move(a));
    factors_.push_back(std::move(b));
}

void AdapterConversion::make_plan() {
    std::map<const ConvertedTensor*, std::map<int64_t, std::pair<std::string, const Pair*>>> by_tensor;
    for (const auto& [module, pair] : pairs_) {
        const Place& place = find_place(module);
        const bool is_stack = place.wanted->hf.find("{}") != std::string::npos;
        if (place.n_places > 1 || place.wanted->transform.on_products == OnProducts::unknown ||
            (place.wanted->shape.rank() > 2 && !is_stack))
            fail(concat("module ", quoted(module), ": GGUF keeps this weight in another form, in which it cannot be adapted"));
        by_tensor[place.wanted][place.expert] = {module, &pair};
    }
    for (const ConvertedTensor& wanted : wanted_.all()) {
        const auto found = by_tensor.find(&wanted);
        if (found == by_tensor.end()) continue;
        std::vector<std::pair<std::string, const Pair*>> experts;
        for (const auto& [expert, pair] : found->second) experts.push_back(pair);
        if (wanted.hf.find("{}") != std::string::npos && static_cast<int64_t>(experts.size()) != wanted.shape[0])
            fail(
                concat(wanted.gguf, ": ", experts.size(), " of ", wanted.shape[0], " experts are adapted; GGUF adapters have all or none"));
        add_factors(wanted, experts);
    }
    GgufWriter keys;
    keys.set("general.architecture", std::string_view(architecture_));
    keys.set("general.type", std::string_view("adapter"));
    keys.set("general.name", std::string_view(options_.name));
    keys.set("adapter.type", std::string_view("lora"));
    keys.set("adapter.lora.alpha", static_cast<float>(alpha_));
    keys.set("general.quantization_version", uint32_t{2});
    keys.set("general.file_type", uint32_t{options_.dtype == DType::f32 ? 0u : options_.dtype == DType::f16 ? 1u : 32u});
    std::vector<GgufTensor> tensors;
    for (const Factor& each : factors_)
        tensors.push_back({.name = each.name, .view = {.dtype = DType::f32, .shape = each.shape, .data = nullptr}});
    description_ = GgufFile::describe(options_.folder, keys.header(), std::move(tensors));
    for (size_t i = 0; i < factors_.size(); ++i) {
        plan_.push_back({.source = &description_->tensors()[i], .dtype = options_.dtype, .wanted = options_.dtype});
        plan_.back().read_row = [&factor = factors_[i]](int64_t row, float* out) {
            const int64_t n_rows = factor.shape[factor.shape.rank() - 2], n_cols = factor.shape.n_cols();
            const auto matrix = static_cast<size_t>(row / n_rows);
            const TensorView& view = factor.matrices[matrix];
            if (factor.transposes)
                transposed().fill_row(view, row % n_rows, 0, out);
            else if (factor.transform.on_products == OnProducts::rows)
                factor.transform.fill_row(view, row % n_rows, factor.transform.parameter, out);
            else
                decode_row(view, row % n_rows, out);
            for (int64_t c = 0; c < n_cols && factor.scales[matrix] != 1.0f; ++c) out[c] *= factor.scales[matrix];
        };
    }
}

void AdapterConversion::write(const std::string& path, ThreadPool& pool) const {
    GgufWriter writer;
    writer.set_all(description_->metadata());
    write_quantized(plan_, writer, path, pool, {});
}

}  // namespace quern
