// quern serve: models behind the OpenAI HTTP API.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "base/error.h"
#include "engine/memory_table.h"
#include "server/api_service.h"
#include "server/http/server.h"
#include "tools/command_line.h"
#include "tools/engine_flags.h"
#include "tools/environment.h"
#include "tools/serve/settings.h"

namespace quern {
namespace {

struct ServeFlags {
    std::vector<std::unique_ptr<std::vector<std::string>>> values;  // of each setting, in the table's order
    std::optional<std::string> config_file;
    bool print_config = false;
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
        if (model.info) std::fputs(memory_table(*model.info).c_str(), stderr);
        models += model.info ? concat(" (window ", model.info->n_ctx, ", ", model.info->device, ")") : " (loaded when asked for)";
    }
    std::printf("quern serves %s at %s\n", models.c_str(), url_of(settings, port).c_str());
    std::fflush(stdout);
}

int serve(const ServeFlags& flags) {
    FlagValues values;
    for (size_t i = 0; i < flags.values.size(); ++i) values.emplace_back(&serve_settings()[i], *flags.values[i]);
    const ServeSettings settings = collect_settings(values, flags.config_file);
    if (flags.print_config) {
        std::printf("%s\n", to_json(settings).dump(2).c_str());
        return 0;
    }
    const std::vector<std::string> keys = all_keys(settings);
    const bool is_local = is_loopback(settings.host);
    check_exposure(settings, !keys.empty(), is_local);
    raise_file_limit();
    ModelStore store(static_cast<uint64_t>(settings.memory_budget_mib) << 20);
    ApiService service(store, service_options(settings, keys, is_local));
    const ListenAddress address{.host = settings.host,
                                .port = static_cast<uint16_t>(settings.port),
                                .certificate_file = settings.certificate_file,
                                .key_file = settings.key_file};
    HttpServer server(address, service, limits_of(settings));  // a port that is taken shows before a long load
    declare_models(store, settings);
    store.preload();
    server.stop_on_signals();
    announce(store, settings, server.port());
    server.run();
    return 0;
}

void declare_setting(CLI::App& app, const Setting& setting, std::vector<std::string>& values) {
    if (*setting.flags == '\0') return;
    const std::string description = concat(setting.description, " (", environment_name(setting.key), ")");
    if (setting.kind == Setting::Kind::boolean) {
        app.add_flag_callback(
            setting.flags, [&values] { values = {"true"}; }, description);
        return;
    }
    CLI::Option* option = app.add_option(setting.flags, values, description)->type_name(setting.type_name)->allow_extra_args(false);
    const bool is_repeatable = setting.kind == Setting::Kind::texts || std::string_view(setting.key).starts_with("model");
    if (std::string_view(setting.key) == "lora_scaled") option->expected(1, 2);
    if (is_repeatable) option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

Command setup(CLI::App& app) {
    const auto flags = std::make_shared<ServeFlags>();
    for (const Setting& setting : serve_settings()) {
        flags->values.push_back(std::make_unique<std::vector<std::string>>());
        declare_setting(app, setting, *flags->values.back());
    }
    app.add_option("--config-file", flags->config_file, "settings as JSON or YAML, in the form of llama-cpp-python's server (CONFIG_FILE)")
        ->type_name("FILE");
    app.add_flag("--print-config", flags->print_config, "print what all settings come to, without keys, and end");
    declare_log_flags(app);
    app.footer(
        "In brackets: the environment variable that sets the same. Flags go before the configuration file, and the file before the "
        "environment.\n"
        "SIGINT and SIGTERM let running answers finish, for up to --stop-timeout seconds; a second one ends the server at once.");
    return [flags] { return serve(*flags); };
}

}  // namespace

const Subcommand serve_command = {"serve", "serves models over the OpenAI HTTP API", &setup};

}  // namespace quern
