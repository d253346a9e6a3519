#include "tools/engine_flags.h"

#include "base/log.h"
#include "tools/adapter_flags.h"

namespace quern {

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
    app.add_flag("!--no-prefix-cache", options.prefix_cache, "compute every prompt anew");
    declare_adapter_flags(app, options);
    app.add_option("--n-gpu-layers,--gpu-layers", options.n_gpu_layers, "-ngl: layers to run on the GPU; -1: all")
        ->check(CLI::Range(-1, 1 << 20))
        ->type_name("N");
}

void declare_log_flags(CLI::App& app) {
    app.add_flag_callback(
        "-v,--verbose,--log-verbose", [] { set_log_level(LogLevel::debug); }, "say more on standard error");
    app.add_flag_callback(
        "--log-disable", [] { set_log_level(LogLevel::error); }, "say nothing on standard error but errors");
    app.add_option("--verbosity", "-lv: 0 to 4")->type_name("N")->check(CLI::Range(0, 100))->each([](const std::string& level) {
        set_log_level(std::stoi(level) > 2 ? LogLevel::debug : LogLevel::warning);
    });
}

}  // namespace quern
