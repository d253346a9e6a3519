// How rotary settings become keys of the file is llama.cpp's: a frequency scale is one over the factor of `rope.scaling.factor`, and
// without a type it means linear scaling; an attention factor is multiplied with the file's.
#include "engine/model_file.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"

namespace quern {
namespace {

constexpr std::string_view scaling_types[] = {"none", "linear", "yarn", "longrope"};

void check_rope(const RopeOverride& rope) {
    const auto check = [](double value, double least, double most, const char* field) {
        if (!(value >= least && value <= most))
            throw InvalidInput(concat(field, " must be from ", least, " to ", most, ", not ", value), field);
    };
    if (!rope.scaling.empty() && std::find(std::begin(scaling_types), std::end(scaling_types), rope.scaling) == std::end(scaling_types))
        throw InvalidInput(concat("there is no RoPE scaling '", rope.scaling, "': none, linear, yarn or longrope"), "rope_scaling_type");
    if (rope.freq_base) check(*rope.freq_base, 1, 1e12, "rope_freq_base");
    if (rope.freq_scale) check(*rope.freq_scale, 1e-6, 1e6, "rope_freq_scale");
    if (rope.original_context) check(static_cast<double>(*rope.original_context), 1, 1 << 30, "yarn_orig_ctx");
    if (rope.yarn_ext_factor) check(*rope.yarn_ext_factor, 0, 1e3, "yarn_ext_factor");
    if (rope.yarn_attn_factor) check(*rope.yarn_attn_factor, 0, 1e3, "yarn_attn_factor");
    if (rope.yarn_beta_fast) check(*rope.yarn_beta_fast, 0, 1e6, "yarn_beta_fast");
    if (rope.yarn_beta_slow) check(*rope.yarn_beta_slow, 0, 1e6, "yarn_beta_slow");
}

/// Replaces `<architecture>.rope.<name>`, whatever kind of number the file has there, and without a word when it has none.
class RopeKeys {
  public:
    explicit RopeKeys(GgufFile& file)
        : file_(file), prefix_(std::string(file.metadata().require_string("general.architecture")) + ".rope.") {}

    void set(const char* name, const std::optional<double>& value) {
        if (value) file_.set_key({prefix_ + name, *value});
    }
    void set(const char* name, const std::string& value) {
        if (!value.empty()) file_.set_key({prefix_ + name, value});
    }
    void set_integer(const char* name, const std::optional<int64_t>& value) {
        if (value) file_.set_key({prefix_ + name, *value});
    }
    double real(const char* name, double otherwise) const { return file_.metadata().real(prefix_ + name).value_or(otherwise); }
    std::string_view text(const char* name) const { return file_.metadata().string(prefix_ + name).value_or(""); }

  private:
    GgufFile& file_;
    const std::string prefix_;
};

void override_rope(const RopeOverride& rope, GgufFile& file) {
    check_rope(rope);
    RopeKeys keys(file);
    keys.set("scaling.type", rope.scaling);
    keys.set("freq_base", rope.freq_base);
    if (rope.freq_scale) keys.set("scaling.factor", std::optional(1.0 / *rope.freq_scale));
    keys.set_integer("scaling.original_context_length", rope.original_context);
    if (rope.yarn_attn_factor)
        keys.set("scaling.attn_factor", std::optional(*rope.yarn_attn_factor * keys.real("scaling.attn_factor", 1.0)));
    keys.set("scaling.yarn_ext_factor", rope.yarn_ext_factor);
    keys.set("scaling.yarn_beta_fast", rope.yarn_beta_fast);
    keys.set("scaling.yarn_beta_slow", rope.yarn_beta_slow);
    if (rope.is_about_yarn() && keys.text("scaling.type") != "yarn")
        log_warning(concat("the settings of YaRN have no effect on ", file.path(),
                           ": its RoPE is not scaled by YaRN; --rope-scaling yarn does that"));
}

}  // namespace

std::unique_ptr<const GgufFile> open_model_file(const EngineOptions& options) {
    auto file = GgufFile::open(options.model_path);
    for (const MetadataOverride& each : options.kv_overrides) file->override_key(each);
    if (options.rope != RopeOverride()) override_rope(options.rope, *file);
    return file;
}

}  // namespace quern
