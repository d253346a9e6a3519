#include "convert/conversion.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "base/error.h"
#include "base/printable.h"
#include "convert/checkpoint/json_file.h"
#include "convert/model_card.h"
#include "convert/pooling_module.h"
#include "convert/vocabulary/read_vocabulary.h"

namespace quern {
namespace {

QuantizeType quantize_type(FileType file_type) {
    for (const QuantizeType& type : all_quantize_types())
        if (type.file_type == file_type) return type;
    throw InternalError("a file type that is not listed");
}

/// "7.2B", "135M": two digits at least.
std::string size_label(uint64_t n_values) {
    const auto n = static_cast<double>(n_values);
    const auto [scaled, unit] = n >= 1e12  ? std::pair(n * 1e-12, 'T')
                                : n >= 1e9 ? std::pair(n * 1e-9, 'B')
                                : n >= 1e6 ? std::pair(n * 1e-6, 'M')
                                           : std::pair(n * 1e-3, 'K');
    char text[32];
    std::snprintf(text, sizeof text, scaled < 9.5 ? "%.1f%c" : "%.0f%c", scaled, unit);
    return text;
}

}  // namespace

Conversion::Conversion(ConvertOptions options, const VocabularyWarning& warn) : options_(std::move(options)) {
    checkpoint_ = Checkpoint::open(options_.folder, !options_.vocabulary_only);
    family_ = find_checkpoint_family(checkpoint_->config());
    if (const auto method = checkpoint_->config().string({"quantization_config.quant_method"}); method && *method != "mxfp4")
        fail(concat("the weights are quantized already, by ", quoted(*method), ": convert the checkpoint that was quantized"));
    name_ =
        options_.model_name.empty() ? std::filesystem::weakly_canonical(checkpoint_->folder()).filename().string() : options_.model_name;
    choose_type();
    set_model_keys();
    if (!options_.vocabulary_only) list_tensors();
    read_tokens(warn);
    set_general_keys();
    make_plan();
}

void Conversion::fail(std::string_view what) const { throw ModelError(concat(printable(checkpoint_->folder()), ": ", what)); }

void Conversion::choose_type() {
    if (options_.type) {
        type_ = *options_.type;
        return;
    }
    uint64_t n_f16 = 0, n_others = 0;
    for (const auto& [name, tensor] : checkpoint_->tensors()) (tensor.dtype == DType::f16 ? n_f16 : n_others) += tensor.bytes.size();
    type_ = quantize_type(n_f16 > n_others || options_.vocabulary_only ? FileType::f16 : FileType::bf16);
}

void Conversion::set_model_keys() {
    keys_.set("general.architecture", family_.architecture);
    const CheckpointKeys keys{checkpoint_->config(), keys_, std::string(family_.architecture)};
    family_.format->set_keys(keys);
    if (options_.n_ctx) keys.set("context_length", *options_.n_ctx);
    if (const auto pooling = read_pooling_type(checkpoint_->folder())) keys.set("pooling_type", *pooling);
}

/// Under its own name, or with one of the beginnings that checkpoints of the family may have or lack.
const SourceTensor* Conversion::find_source(const std::string& name) const {
    if (const SourceTensor* found = checkpoint_->find(name)) return found;
    for (const std::string_view prefix : family_.format->optional_prefixes) {
        if (const SourceTensor* found = checkpoint_->find(std::string(prefix) + name)) return found;
        if (name.starts_with(prefix))
            if (const SourceTensor* found = checkpoint_->find(name.substr(prefix.size()))) return found;
    }
    for (const auto& [end, old_end] : family_.format->old_ends)
        if (name.ends_with(end)) return find_source(name.substr(0, name.size() - end.size()) + std::string(old_end));
    return nullptr;
}

void Conversion::list_tensors() {
    const std::string embedding(family_.format->embedding);
    const SourceTensor* table = find_source(embedding);
    if (!table) fail(concat("tensor ", embedding, " is missing"));
    if (table->sizes.size() != 2) fail(concat("tensor ", embedding, " is ", sizes_text(table->sizes), ", no matrix"));
    const GgufTensor described{.name = "token_embd.weight",
                               .view = {.dtype = DType::f32, .shape = {table->sizes[0], table->sizes[1]}, .data = nullptr}};
    const auto keys = GgufFile::describe(checkpoint_->config().path(), keys_.header(), {described});
    family_.format->list_tensors(*keys, checkpoint_->config(), wanted_);
    for (const ConvertedTensor& wanted : wanted_.all()) resolve(wanted);
    if (!options_.skip_unknown) check_leftovers();
}

bool Conversion::is_tied() const { return checkpoint_->config().boolean({"tie_word_embeddings"}).value_or(false); }

/// A matrix of experts that the checkpoint holds as blocks of 4-bit numbers. False: it does not.
bool Conversion::resolve_packed(const ConvertedTensor& wanted) {
    if (wanted.hf.empty() || find_source(wanted.hf)) return false;
    const SourceTensor *blocks = find_source(wanted.hf + "_blocks"), *scales = find_source(wanted.hf + "_scales");
    if (!blocks || !scales) return false;
    const auto packed = find_packed_rows(wanted, *blocks, *scales);
    if (!packed)
        throw ModelError(concat(printable(checkpoint_->file_of(*blocks)), ": tensors ", wanted.hf, "_blocks and _scales are ", blocks->type,
                                ' ', sizes_text(blocks->sizes), " and ", scales->type, ' ', sizes_text(scales->sizes),
                                ", but config.json asks for bytes of MXFP4 that make ", to_string(wanted.shape)));
    const DType dtype = type_.file_type == FileType::f32 ? DType::f32 : DType::mxfp4;
    resolved_.push_back({.wanted = &wanted, .sources = {blocks, scales}, .views = {}, .dtype = dtype, .packed = packed});
    return true;
}

void Conversion::resolve(const ConvertedTensor& wanted) {
    if ((wanted.gguf == "output.weight" && is_tied()) || resolve_packed(wanted)) return;
    Resolved resolved{.wanted = &wanted, .sources = {}, .views = {}, .dtype = DType::f32, .packed = {}};
    const size_t star = wanted.hf.find("{}");
    const int64_t n_sources = wanted.hf.empty() ? 0 : star == std::string::npos ? 1 : wanted.shape[0];
    Shape matrix = wanted.shape;
    if (star != std::string::npos) {
        matrix = {};
        for (int axis = 1; axis < wanted.shape.rank(); ++axis) matrix.append(wanted.shape[axis]);
    }
    const Transform& transform = wanted.transform;
    const Shape expected = transform.source_shape ? transform.source_shape(matrix, transform.parameter) : matrix;
    for (int64_t i = 0; i < n_sources; ++i) {
        std::string name = wanted.hf;
        if (star != std::string::npos) name.replace(star, 2, std::to_string(i));
        const SourceTensor* source = find_source(name);
        if (!source && wanted.presence == Presence::optional) return;
        if (!source) fail(concat("tensor ", name, " is missing"));
        const auto& file = printable(checkpoint_->file_of(*source));
        if (!source->dtype)
            throw ModelError(
                concat(file, ": tensor ", name, " is ", printable(source->type), ", which quern cannot read; it takes F32, F16 and BF16"));
        // Sizes of 1 are sometimes there and sometimes not.
        Shape shape;
        for (const int64_t size : source->sizes)
            if (shape.rank() < Shape::max_rank) shape.append(size);
        if (static_cast<int>(source->sizes.size()) > Shape::max_rank || shape != expected)
            throw ModelError(
                concat(file, ": tensor ", name, " is ", sizes_text(source->sizes), ", but config.json asks for ", to_string(expected)));
        resolved.sources.push_back(source);
        resolved.views.push_back({.dtype = *source->dtype, .shape = shape, .data = source->bytes.data()});
        resolved.dtype = *source->dtype;
    }
    resolved_.push_back(std::move(resolved));
}

/// A weight that nothing takes would be lost without a word.
void Conversion::check_leftovers() const {
    std::set<const SourceTensor*> used;
    for (const Resolved& each : resolved_) used.insert(each.sources.begin(), each.sources.end());
    for (const auto& [name, tensor] : checkpoint_->tensors()) {
        const auto& ignored = family_.format->ignored;
        const bool is_ignored =
            std::any_of(ignored.begin(), ignored.end(), [&](std::string_view part) { return name.find(part) != std::string::npos; });
        if (used.contains(&tensor) || is_ignored || name.ends_with("rotary_emb.inv_freq") || (is_tied() && name == "lm_head.weight"))
            continue;
        throw ModelError(concat(printable(checkpoint_->file_of(tensor)), ": tensor ", quoted(name),
                                " has no place in a model of the architecture ", family_.architecture,
                                "; --skip-unknown leaves such tensors out"));
    }
}

void Conversion::read_tokens(const VocabularyWarning& warn) {
    const std::string& folder = options_.vocabulary_folder.empty() ? checkpoint_->folder() : options_.vocabulary_folder;
    vocabulary_ = read_vocabulary(folder, checkpoint_->config(), options_.vocabulary_kinds, warn);
    size_t n_vocab = vocabulary_.n_tokens();
    for (const Resolved& each : resolved_)
        if (each.wanted->gguf == "token_embd.weight") n_vocab = static_cast<size_t>(each.wanted->shape[0]);
    try {
        pad_vocabulary(vocabulary_, n_vocab);
    } catch (const ModelError& error) {
        fail(error.what());
    }
    write_vocabulary(vocabulary_, keys_);
}

void Conversion::set_general_keys() {
    uint64_t n_values = 0;
    for (const Resolved& each : resolved_)
        if (!each.sources.empty()) n_values += static_cast<uint64_t>(each.wanted->shape.n_values());
    keys_.set("general.type", std::string_view("model"));
    keys_.set("general.name", std::string_view(name_));
    if (n_values > 0) keys_.set("general.size_label", std::string_view(size_label(n_values)));
    set_model_card_keys(checkpoint_->folder(), keys_);
    keys_.set("general.quantization_version", uint32_t{2});
    keys_.set("general.file_type", static_cast<uint32_t>(type_.file_type));
    if (!options_.metadata_file.empty()) set_metadata_file_keys(options_.metadata_file, keys_);
}

// Numbers of 4 bits stay what they are, whatever becomes of the rest; only F32 shows them as values.
void Conversion::make_plan() {
    std::map<std::string, DType, std::less<>> stays;
    const QuantizeOptions options{.type = type_, .importance = options_.importance, .chosen = &stays};
    std::vector<GgufTensor> tensors;
    for (const Resolved& each : resolved_) {
        GgufTensor tensor{.name = each.wanted->gguf, .view = {.dtype = each.dtype, .shape = each.wanted->shape, .data = nullptr}};
        if (!is_quantized_by_recipes(tensor)) tensor.view.dtype = DType::f32;
        if (each.dtype == DType::mxfp4) stays.emplace(each.wanted->gguf, DType::mxfp4);
        // What stands in the checkpoint as GGUF has it is read, or copied, from there.
        if (each.sources.size() == 1 && !each.wanted->transform.fill_row && tensor.view.dtype == each.dtype)
            tensor.view.data = each.views.front().data;
        tensors.push_back(tensor);
    }
    description_ = GgufFile::describe(checkpoint_->folder(), keys_.header(), std::move(tensors));
    plan_ = plan_quantize(*description_, options);
    for (size_t i = 0; i < plan_.size(); ++i) {
        const Resolved& from = resolved_[i];
        if (plan_[i].source->view.data) continue;
        if (from.sources.empty()) {
            const float* const values = from.wanted->values.data();
            const int64_t n = from.wanted->shape.n_cols();
            plan_[i].read_row = [values, n](int64_t row, float* out) { std::copy_n(values + row * n, n, out); };
            continue;
        }
        if (from.packed) {
            plan_[i].read_row = [&packed = *from.packed](int64_t row, float* out) { packed.decode_row(row, out); };
            if (from.dtype == DType::mxfp4)
                plan_[i].read_bytes = [&packed = *from.packed](int64_t row, std::byte* out) { packed.copy_row(row, out); };
            continue;
        }
        const int64_t n_rows = from.wanted->shape.n_rows() / static_cast<int64_t>(from.views.size());
        plan_[i].read_row = [&from, n_rows, transform = from.wanted->transform](int64_t row, float* out) {
            const TensorView& view = from.views[static_cast<size_t>(row / n_rows)];
            if (transform.fill_row)
                transform.fill_row(view, row % n_rows, transform.parameter, out);
            else
                decode_row(view, row % n_rows, out);
        };
    }
}

/// Pages of what was converted do not stay in memory.
QuantizeProgress Conversion::releasing(const QuantizeProgress& progress) const {
    return [this, progress](const PlannedTensor& done, uint64_t n_read, uint64_t n_written) {
        const auto index = static_cast<size_t>(done.source - description_->tensors().data());
        for (const SourceTensor* source : resolved_[index].sources) checkpoint_->release(*source);
        if (progress) progress(done, n_read, n_written);
    };
}

std::vector<std::string> Conversion::write(const std::string& path, const SplitLimits& limits, ThreadPool& pool,
                                           const QuantizeProgress& progress) const {
    const QuantizeProgress step = releasing(progress);
    if (limits.max_tensors == 0 && limits.max_bytes == 0) {
        GgufWriter writer;
        writer.set_all(description_->metadata());
        write_quantized(plan_, writer, path, pool, step);
        return {path};
    }
    std::vector<GgufTensor> outputs;
    for (const PlannedTensor& each : plan_) {
        outputs.push_back(*each.source);
        outputs.back().view.dtype = each.dtype;
    }
    const std::vector<size_t> sizes = cut_into_parts(outputs, limits);
    const auto count = static_cast<int>(sizes.size());
    const std::string prefix = split_prefix(path).value_or(path.ends_with(".gguf") ? path.substr(0, path.size() - 5) : path);
    PartFiles written;
    std::span<const PlannedTensor> left = plan_;
    for (int i = 0; i < count; ++i) {
        GgufWriter writer;
        if (i == 0) writer.set_all(description_->metadata());
        set_split_keys(writer, i + 1, count, plan_.size());
        const std::string part = split_part_path(prefix, i + 1, count);
        write_quantized(left.first(sizes[static_cast<size_t>(i)]), writer, part, pool, step);
        written.add(part);
        left = left.subspan(sizes[static_cast<size_t>(i)]);
    }
    return written.keep();
}

}  // namespace quern
