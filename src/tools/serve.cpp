// quern serve: models behind the OpenAI HTTP API.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
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
#include "tools/environment.h"
#include "tools/process_start.h"
#include "tools/serve/settings.h"

namespace quern {
namespace {

struct ServeFlags {
    std::vector<std::unique_ptr<std::vector<std::string>>> values;  // of each setting, in the table's order
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

std::vector<std::string> all_keys(const ServeSettings& settings) {
    std::vector<std::string> keys = settings.api_keys;
    for (const std::string& key : keys)
        if (key.empty()) throw InvalidInput("an API key is empty", "api_key");
    if (settings.api_key_file.empty()) return keys;
    std::ifstream file(settings.api_key_file);
    if (!file) throw InvalidInput(concat("cannot read the keys in ", settings.api_key_file), "api_key_file");
    for (std::string line; std::getline(file, line);) {
        line.erase(std::find(line.begin(), line.end(), '#'), line.end());
        const size_t begin = line.find_first_not_of(" \t\r"), end = line.find_last_not_of(" \t\r");
        if (begin != std::string::npos) keys.push_back(line.substr(begin, end - begin + 1));
    }
    if (keys.size() == settings.api_keys.size()) throw InvalidInput(concat("there is no key in ", settings.api_key_file), "api_key_file");
    return keys;
}

void check_exposure(const ServeSettings& settings, bool has_keys, bool is_local) {
    if (is_local || has_keys || settings.allow_open) return;
    throw InvalidInput(concat("other machines can reach the host ", settings.host,
                              ": protect the server with --api-key, or say --allow-open if everybody may use it"),
                       "host");
}

/// One that is listed twice has the settings of its first entry: those that the later one sets otherwise are named.
void warn_of_ignored_settings(const ServeSettings& settings) {
    constexpr const char* joined[] = {"model", "model_alias", "parallel", "pin", "preload"};  // or cannot change the model
    const auto name_of = [](const ModelEntry& model) {
        return model.alias.empty() ? std::filesystem::path(model.options.model_path).stem().string() : model.alias;
    };
    const Json models = to_json(settings)["models"];
    for (size_t later = 1; later < models.size(); ++later) {
        size_t first = 0;
        while (settings.models[first].options.model_path != settings.models[later].options.model_path ||
               name_of(settings.models[first]) != name_of(settings.models[later]))
            ++first;
        std::string names;
        for (const auto& [key, value] : models[later].items())
            if (value != models[first][key] && std::find(std::begin(joined), std::end(joined), key) == std::end(joined))
                names += concat(names.empty() ? "" : ", ", key);
        if (!names.empty())
            log_warning(concat("the model ", name_of(settings.models[later]),
                               " is listed twice: its later entry only adds requests at once (", settings.models[later].options.n_sequences,
                               "), and these settings of it are ignored: ", names));
    }
}

void declare_models(ModelStore& store, const ServeSettings& settings) {
    for (ModelEntry model : settings.models) {
        if (!std::filesystem::exists(model.options.model_path))
            throw InvalidInput(concat("there is no model file ", model.options.model_path), "model");
        model.options.isa = isa_from_environment();
        store.declare(std::move(model));
    }
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

ServiceOptions service_options(const ServeSettings& settings, const std::vector<std::string>& keys, bool is_local) {
    const bool checks_hosts = is_local && !settings.allow_open && unix_socket_path(settings.host).empty();
    std::string root = settings.root_path;
    while (root.ends_with('/')) root.pop_back();
    if (!root.empty() && root.front() != '/') root = concat("/", root);
    ServiceOptions options{
        .access = AccessRules(keys, settings.host, checks_hosts), .cors = CorsRules(settings.cors_origins), .root_path = root};
    options.is_local = is_local;
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
        models += model.info ? concat(" (window ", model.info->n_ctx, ", ", model.info->device, ")") : " (loaded when asked for)";
    }
    std::printf("quern serves %s at %s\n", models.c_str(), url_of(settings, port).c_str());
    std::fflush(stdout);
}

std::unique_ptr<Engine> load_and_tell(const EngineOptions& options) {
    auto engine = Engine::load(options);
    log_lines(memory_table(engine->info()));
    return engine;
}

/// What loading the models would take, one by one.
int print_plan(const ServeSettings& settings) {
    for (const ModelEntry& model : settings.models) std::fputs(memory_table(memory_need(model.options), model.options).c_str(), stdout);
    const uint64_t budget =
        settings.memory_budget_mib > 0 ? static_cast<uint64_t>(settings.memory_budget_mib) << 20 : usual_memory_budget();
    std::printf("memory budget: %llu MiB\n", static_cast<unsigned long long>(budget >> 20));
    return 0;
}

int serve(const ServeFlags& flags) {
    if (flags.print_settings) {
        std::fputs(settings_table().c_str(), stdout);
        return 0;
    }
    FlagValues values;
    for (size_t i = 0; i < flags.values.size(); ++i) values.emplace_back(&serve_settings()[i], *flags.values[i]);
    const ServeSettings settings = collect_settings(values, flags.config_file);
    if (flags.print_config) {
        std::printf("%s\n", to_json(settings).dump(2).c_str());
        return 0;
    }
    if (flags.dry_run) return print_plan(settings);
    survive_bus_errors();
    prepare_to_run_for_long();
    const std::vector<std::string> keys = all_keys(settings);
    const bool is_local = is_loopback(settings.host);
    check_exposure(settings, !keys.empty(), is_local);
    raise_file_limit();
    ModelStore store(static_cast<uint64_t>(settings.memory_budget_mib) << 20, {.load = load_and_tell});
    ApiService service(store, service_options(settings, keys, is_local));
    const ListenAddress address{.host = settings.host,
                                .port = static_cast<uint16_t>(settings.port),
                                .certificate_file = settings.certificate_file,
                                .key_file = settings.key_file};
    HttpServer server(address, service, limits_of(settings));  // a port that is taken shows before a long load
    declare_models(store, settings);
    warn_of_ignored_settings(settings);
    store.preload();
    server.stop_on_signals();
    announce(store, settings, server.port());
    server.run();
    if (store.stop(std::chrono::seconds(1))) return 0;
    log_info("a model was still being loaded");  // nobody waits for it any more, and the system takes all back
    std::fflush(nullptr);
    std::_Exit(0);
}

void declare_setting(CLI::App& app, const Setting& setting, std::vector<std::string>& values) {
    const bool is_shown = !setting.refusal && !setting.no_effect, is_switch = setting.kind == Setting::Kind::boolean;
    const std::string usual = is_switch ? "" : default_text(setting);
    const std::string description =
        concat(setting.description, usual.empty() ? "" : concat(" [", usual, "]"), " (", environment_name(setting.key), ")");
    CLI::Option* option = app.add_option(all_flags(setting), values, description)->allow_extra_args(false);
    option->option_text(is_switch ? "[true|false]" : setting.type_name);
    option->group(is_shown ? setting.group : "");
    if (is_switch || setting.kind == Setting::Kind::any) option->expected(0, 1)->default_str("true");  // --pin, --pin true
    const bool is_repeatable = setting.kind == Setting::Kind::texts || std::string_view(setting.key).starts_with("model");
    if (std::string_view(setting.key) == "lora_scaled") option->expected(1, 2);
    if (is_repeatable) option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
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
    app.add_flag("--dry-run,--plan", flags->dry_run, "print what memory the models would take, and end");
    app.add_flag("--print-settings", flags->print_settings, "print a table of all settings, and end")->group("");
    declare_log_flags(app, true);
    for (const Setting& setting : serve_settings()) {
        flags->values.push_back(std::make_unique<std::vector<std::string>>());
        if (std::string_view(setting.key) != "verbose") declare_setting(app, setting, *flags->values.back());
    }
    declare_negations(app, *flags);
    app.footer(
        "In square brackets: the default. In round ones: the environment variable that sets the same. Flags go before the configuration "
        "file, and\n"
        "the file before the environment, but for HOST and PORT. docs/settings.md has everything, with what has no effect and why.\n"
        "SIGINT and SIGTERM let running answers finish, for up to --stop-timeout seconds; a second one ends the server at once.");
    return [flags] { return serve(*flags); };
}

}  // namespace

const Subcommand serve_command = {"serve", "serves models over the OpenAI HTTP API", &setup};

}  // namespace quern
