#include "tools/engine_flags.h"

#include "base/log.h"
#include "tools/adapter_flags.h"

namespace quern {
namespace {

/// A number that takes the place of the file's when it is above `unset`.
template <typename T>
void declare_number(CLI::App& app, const char* names, const char* description, std::optional<T>& value, double unset) {
    app.add_option_function<T>(
           names,
           [&value, unset](const T& number) {
               value = number;
               if (static_cast<double>(number) <= unset) value.reset();
           },
           description)
        ->check(CLI::Range(unset, 1e12))
        ->type_name("N");
}

void declare_file_flags(CLI::App& app, EngineOptions& options) {
    app.add_option_function<std::vector<std::string>>(
           "--override-kv",
           [&options](const std::vector<std::string>& texts) {
               options.kv_overrides.clear();
               for (const std::string& text : texts) options.kv_overrides.push_back(parse_metadata_override(text));
           },
           "a key of the model file and its value: KEY=int:5, float:0.5, bool:true or str:text; may be given several times")
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->type_name("KEY=TYPE:VALUE");
    RopeOverride& rope = options.rope;
    app.add_option("--rope-scaling,--rope-scaling-type", rope.scaling, "how RoPE is stretched: none, linear, yarn, longrope")
        ->check(CLI::IsMember({"none", "linear", "yarn", "longrope"}))
        ->type_name("TYPE");
    app.add_option_function<double>(
           "--rope-scale", [&rope](double scale) { rope.freq_scale = 1.0 / scale; }, "the factor by which the window grows")
        ->check(CLI::Range(1e-6, 1e6))
        ->type_name("N");
    declare_number(app, "--rope-freq-base", "base of RoPE; 0: the file's", rope.freq_base, 0);
    declare_number(app, "--rope-freq-scale", "1 over --rope-scale; 0: the file's", rope.freq_scale, 0);
    declare_number(app, "--yarn-orig-ctx", "window that the model was trained with; 0: the file's", rope.original_context, 0);
    declare_number(app, "--yarn-ext-factor", "share of YaRN's mixing; -1: the file's", rope.yarn_ext_factor, -1);
    declare_number(app, "--yarn-attn-factor", "is multiplied with the file's attention factor", rope.yarn_attn_factor, -1);
    declare_number(app, "--yarn-beta-fast", "turns above which YaRN keeps a frequency", rope.yarn_beta_fast, -1);
    declare_number(app, "--yarn-beta-slow", "turns below which it stretches in full", rope.yarn_beta_slow, -1);
    app.add_flag("--mlock,--use-mlock", options.lock_memory, "keep the weights in memory");
}

}  // namespace

void declare_engine_flags(CLI::App& app, EngineOptions& options) {
    app.add_option("-m,--model", options.model_path, "the model: a GGUF file")->required()->type_name("FILE");
    app.add_option("-c,--ctx-size,--n-ctx", options.n_ctx, "window in tokens; 0: the model's own")
        ->check(CLI::Range(int64_t{0}, int64_t{1} << 24))
        ->type_name("N");
    app.add_option("-t,--threads,--n-threads", options.n_threads, "threads; 0 or -1: the physical cores this process may use")
        ->check(CLI::Range(-1, 4096))
        ->transform([](const std::string& text) { return text == "-1" ? std::string("0") : text; })
        ->type_name("N");
    app.add_option("-b,--batch-size,--n-batch", options.n_batch, "most tokens in one step")
        ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
        ->capture_default_str()
        ->type_name("N");
    const auto cache_type = [&](const char* name, const char* description, KvType& type) {
        app.add_option_function<std::string>(
               name, [&type](const std::string& text) { type = *kv_type_named(text); }, description)
            ->check(CLI::IsMember({"f32", "f16", "q8_0", "q4_0"}))
            ->type_name("TYPE");
    };
    cache_type("--cache-type-k", "-ctk: how keys are kept: f32, f16, q8_0, q4_0", options.cache_type_k);
    cache_type("--cache-type-v", "-ctv: how values are kept", options.cache_type_v);
    app.add_option("--draft-ngram", options.draft_ngram, "guess ahead what followed the last N tokens earlier in the text; 0: don't")
        ->check(CLI::Range(0, 64))
        ->type_name("N");
    app.add_option("--model-draft", options.draft_model_path,
                   "-md: a small model of the same vocabulary guesses ahead; the answer is the same")
        ->type_name("FILE");
    app.add_option("--draft,--draft-max", options.n_draft, "most tokens guessed ahead")
        ->check(CLI::Range(1, 64))
        ->capture_default_str()
        ->type_name("N");
    declare_file_flags(app, options);
    app.add_flag("!--no-prefix-cache", options.prefix_cache, "compute every prompt anew");
    declare_adapter_flags(app, options);
    app.add_option("--n-gpu-layers,--gpu-layers", options.n_gpu_layers, "-ngl: layers to run on the GPU; -1: all")
        ->check(CLI::Range(-1, 1 << 20))
        ->type_name("N");
}

LogLevel level_of_verbosity(int64_t verbosity) { return verbosity > 2 ? LogLevel::debug : LogLevel::warning; }

void declare_log_flags(CLI::App& app, bool takes_words) {
    const char* names = "-v,--verbose,--log-verbose";
    const char* about = "say more on standard error";
    if (takes_words)
        app.add_option_function<std::string>(
               names,
               [](const std::string& word) {
                   if (word != "false" && word != "0") set_log_level(LogLevel::debug);
               },
               about)
            ->expected(0, 1)
            ->default_str("true")
            ->option_text("[true|false]");
    else
        app.add_flag_callback(
            names, [] { set_log_level(LogLevel::debug); }, about);
    app.add_flag_callback(
        "--log-disable", [] { set_log_level(LogLevel::error); }, "say nothing on standard error but errors");
    app.add_option_function<std::string>(
           "--log-file", [](const std::string& path) { log_to_file(path); }, "write the log to the end of a file instead")
        ->type_name("FILE");
    app.add_option("--verbosity,--log-verbosity", "-lv: 0 to 4")
        ->type_name("N")
        ->check(CLI::Range(0, 100))
        ->each([](const std::string& level) { set_log_level(level_of_verbosity(std::stoi(level))); });
}

}  // namespace quern
