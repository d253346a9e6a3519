// quern serve: models behind the OpenAI HTTP API.
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

#include "base/error.h"
#include "base/log.h"
#include "engine/memory_table.h"
#include "server/api_service.h"
#include "server/http/server.h"
#include "tools/command_line.h"
#include "tools/engine_flags.h"
#include "tools/process_start.h"
#include "tools/serve/reload.h"
#include "tools/serve/settings.h"
#include "tools/serve/signals.h"

namespace quern {
namespace {

struct ServeFlags {
    std::vector<std::unique_ptr<std::vector<std::string>>> values;  // of each setting, in the table's order
    std::vector<std::pair<size_t, CLI::Option*>> log_flags;         // of some of them, by their place: these act at once
    std::optional<std::string> config_file;
    bool print_config = false, print_settings = false, dry_run = false;
};

/// Each connection takes a file descriptor, and the usual soft limit of 1024 is soon reached.
void raise_file_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    constexpr rlim_t wanted = 65536;
    limit.rlim_cur = limit.rlim_max == RLIM_INFINITY ? wanted : std::min(wanted, limit.rlim_max);
    setrlimit(RLIMIT_NOFILE, &limit);
}

HttpLimits limits_of(const ServeSettings& settings) {
    HttpLimits limits;
    limits.body_bytes = static_cast<uint64_t>(settings.max_body_mib) << 20;
    limits.bodies_bytes = std::max(limits.bodies_bytes, 2 * limits.body_bytes);
    limits.n_connections = static_cast<size_t>(settings.n_connections);
    limits.n_large_workers = std::clamp(static_cast<int>(std::thread::hardware_concurrency()) / 2, 1, 4);
    limits.answer_time = std::chrono::seconds(settings.timeout_s);
    limits.stop_time = std::chrono::seconds(settings.stop_timeout_s);
    return limits;
}

ServiceOptions service_options(const ServeSettings& settings, bool is_local) {
    std::string root = settings.root_path;
    while (root.ends_with('/')) root.pop_back();
    if (!root.empty() && root.front() != '/') root = concat("/", root);
    ServiceOptions options{
        .access = access_rules(settings, is_local), .cors = CorsRules(settings.cors_origins), .root_path = root, .is_local = is_local};
    if (!settings.access_log.empty()) options.access_log = std::make_unique<AccessLog>(settings.access_log);
    return options;
}

std::string url_of(const ServeSettings& settings, uint16_t port) {
    if (const std::string path = unix_socket_path(settings.host); !path.empty()) return "unix:" + path;
    const bool is_ipv6 = settings.host.find(':') != std::string::npos;
    return concat(settings.certificate_file.empty() ? "http" : "https", "://", is_ipv6 ? "[" : "", settings.host, is_ipv6 ? "]" : "", ":",
                  port);
}

void announce(const ModelStore& store, const ServeSettings& settings, uint16_t port) {
    std::string models;
    for (const ModelStatus& model : store.list()) {
        models += concat(models.empty() ? "" : ", ", model.id);
        models += model.info                          ? concat(" (window ", model.info->n_ctx, ", ", model.info->device, ")")
                  : model.state == ModelState::failed ? " (its file is missing)"
                                                      : " (loaded when asked for)";
    }
    std::printf("quern serves %s at %s\n", models.c_str(), url_of(settings, port).c_str());
    std::fflush(stdout);
}

std::unique_ptr<Engine> load_and_tell(const EngineOptions& options) {
    auto engine = Engine::load(options);
    log_lines(memory_table(engine->info()));
    return engine;
}

/// Loads a model and lets it go: what is wrong with it or its settings shows. Reads no weights but those of adapters.
void try_to_load(EngineOptions options) {
    options.lock_memory = false;
    Engine::load(options);
}

/// Loads the models one by one, and says what memory each would take.
int print_plan(const ServeSettings& settings) {
    access_rules(settings, is_loopback(settings.host));  // what would not start says so
    const std::vector<ModelEntry> models = models_of(settings);
    if (const std::string missing = missing_files(models); !missing.empty())
        throw InvalidInput(concat("no such model file: ", missing), "model");
    for (const ModelEntry& model : models) {
        std::fputs(memory_table(memory_need(model.options), model.options).c_str(), stdout);
        try_to_load(model.options);
    }
    const uint64_t budget =
        settings.memory_budget_mib > 0 ? static_cast<uint64_t>(settings.memory_budget_mib) << 20 : usual_memory_budget();
    std::printf("memory budget: %llu MiB\n", static_cast<unsigned long long>(budget >> 20));
    return 0;
}

/// Serves until signals end it. They are heeded during the first load too.
void run_server(HttpServer& server, ModelStore& store, ApiService& service, ReloadableSettings& settings) {
    std::atomic<bool> is_loading{true};
    SignalThread signals({.stop =
                              [&] {
                                  log_info("stopping: running answers may finish; a second signal cancels them");
                                  if (is_loading) store.stop({});
                                  server.stop();
                              },
                          .stop_now = [&] { server.stop_now(); },
                          .reload = [&] { settings.reload(store, service, server); }});
    try {
        for (ModelEntry& model : models_of(settings.current())) store.declare(std::move(model));
        if (store.preload()) {
            is_loading = false;
            announce(store, settings.current(), server.port());
            signals.allow_reload();
        }
    } catch (...) {
        server.stop();  // takes the socket's file away
        server.run();
        throw;
    }
    server.run();
}

/// The log as the environment and the configuration file want it: flags have had their say.
void set_log(const ServeSettings& settings) {
    if (!settings.log_file.empty()) log_to_file(settings.log_file);
    if (settings.log_disable) set_log_level(LogLevel::error);
    if (settings.verbosity) set_log_level(level_of_verbosity(*settings.verbosity));
    if (settings.verbose) set_log_level(LogLevel::debug);
}

int serve(const ServeFlags& flags) {
    if (flags.print_settings) {
        std::fputs(settings_table().c_str(), stdout);
        return 0;
    }
    for (const auto& [i, option] : flags.log_flags)
        if (option->count() > 0) *flags.values[i] = {option->results().empty() ? "true" : option->results().front()};
    FlagValues values;
    for (size_t i = 0; i < flags.values.size(); ++i) values.emplace_back(&serve_settings()[i], *flags.values[i]);
    ReloadableSettings reloadable(std::move(values), flags.config_file);
    const ServeSettings settings = reloadable.current();
    set_log(settings);
    if (flags.print_config) {
        std::printf("%s\n", to_json(settings).dump(2).c_str());
        return 0;
    }
    if (flags.dry_run) return print_plan(settings);
    hold_signals();
    survive_bus_errors();
    prepare_to_run_for_long();
    raise_file_limit();
    ModelStore store(static_cast<uint64_t>(settings.memory_budget_mib) << 20, {.load = load_and_tell});
    ApiService service(store, service_options(settings, is_loopback(settings.host)));
    const ListenAddress address{.host = settings.host,
                                .port = static_cast<uint16_t>(settings.port),
                                .certificate_file = settings.certificate_file,
                                .key_file = settings.key_file};
    HttpServer server(address, service, limits_of(settings));  // a port that is taken shows before a long load
    run_server(server, store, service, reloadable);
    if (store.stop(std::chrono::seconds(1))) return 0;
    log_info("a model was still being loaded");  // nobody waits for it any more, and the system takes all back
    std::fflush(nullptr);
    std::_Exit(0);
}

std::string help_of(const Setting& setting) {
    const std::string usual = setting.kind == Setting::Kind::boolean ? "" : default_text(setting);
    return concat(setting.description, usual.empty() ? "" : concat(" [", usual, "]"), " (", environment_name(setting.key), ")");
}

void declare_setting(CLI::App& app, const Setting& setting, std::vector<std::string>& values) {
    const bool is_shown = !setting.refusal && !setting.no_effect, is_switch = setting.kind == Setting::Kind::boolean;
    CLI::Option* option = app.add_option(all_flags(setting), values, help_of(setting))->allow_extra_args(false);
    option->option_text(is_switch ? "[true|false]" : setting.type_name);
    option->group(is_shown ? setting.group : "");
    if (is_switch || setting.kind == Setting::Kind::any) option->expected(0, 1)->default_str("true");  // --pin, --pin true
    const bool is_repeatable = setting.kind == Setting::Kind::texts || names_models(setting);
    if (std::string_view(setting.key) == "lora_scaled") option->expected(1, 2);
    if (is_repeatable) option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void declare_log_settings(CLI::App& app, ServeFlags& flags) {
    declare_log_flags(app, true);
    const std::span<const Setting> settings = serve_settings();
    for (size_t i = 0; i < settings.size(); ++i) {
        if (!settings[i].has_log_flag || settings[i].no_effect) continue;
        CLI::Option* const option = app.get_option(flag_of(settings[i]))->description(help_of(settings[i]));
        option->group(settings[i].group);
        flags.log_flags.emplace_back(i, option);
    }
}

/// llama.cpp's flags for "not".
void declare_negations(CLI::App& app, const ServeFlags& flags) {
    constexpr std::pair<const char*, std::string_view> negations[] = {{"--no-mmap", "use_mmap"}, {"--no-prefix-cache", "prefix_cache"}};
    for (const auto& [flag, key] : negations)
        for (size_t i = 0; i < flags.values.size(); ++i)
            if (key == serve_settings()[i].key)
                app.add_flag_callback(
                       flag, [values = flags.values[i].get()] { *values = {"false"}; }, concat("the opposite of ", key))
                    ->group("");
}

Command setup(CLI::App& app) {
    const auto flags = std::make_shared<ServeFlags>();
    app.add_option("--config-file", flags->config_file, "settings as JSON or YAML, in the form of llama-cpp-python's server (CONFIG_FILE)")
        ->type_name("FILE");
    app.add_flag("--print-config", flags->print_config, "print what all settings come to, without keys, and end");
    app.add_flag("--dry-run,--plan", flags->dry_run,
                 "load each model once, so that what would not start says so; print what memory they take, and end");
    app.add_flag("--print-settings", flags->print_settings, "print a table of all settings, and end")->group("");
    for (const Setting& setting : serve_settings()) {
        flags->values.push_back(std::make_unique<std::vector<std::string>>());
        if (!setting.has_log_flag) declare_setting(app, setting, *flags->values.back());
    }
    declare_log_settings(app, *flags);
    declare_negations(app, *flags);
    app.footer(
        "In square brackets: the default. In round ones: the environment variable that sets the same. Flags go before the configuration "
        "file, and\n"
        "the file before the environment, but for HOST and PORT. docs/settings.md has everything, with what has no effect and why.\n"
        "SIGINT and SIGTERM let running answers finish, for up to --stop-timeout seconds; a second one ends the server at once.\n"
        "SIGHUP has it read the configuration file, the keys and the certificate anew.");
    return [flags] { return serve(*flags); };
}

}  // namespace

const Subcommand serve_command = {"serve", "serves models over the OpenAI HTTP API", &setup};

}  // namespace quern
