// quern serve: models behind the OpenAI HTTP API.
#include <sys/resource.h>

#include <cstdio>
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
};

/// Each connection takes a file descriptor, and the usual soft limit of 1024 is soon reached.
void raise_file_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    constexpr rlim_t wanted = 65536;
    limit.rlim_cur = limit.rlim_max == RLIM_INFINITY ? wanted : std::min(wanted, limit.rlim_max);
    setrlimit(RLIMIT_NOFILE, &limit);
}

void check_exposure(const ServeSettings& settings, bool is_local) {
    for (const std::string& key : settings.api_keys)
        if (key.empty()) throw InvalidInput("an API key is empty", "api_key");
    if (is_local || !settings.api_keys.empty() || settings.allow_open) return;
    throw InvalidInput(concat("other machines can reach the host ", settings.host,
                              ": protect the server with --api-key, or say --allow-open if everybody may use it"),
                       "host");
}

void load_models(ModelStore& store, const ServeSettings& settings) {
    for (const ModelSettings& model : settings.models) {
        EngineOptions options = model.engine;
        options.isa = isa_from_environment();
        std::unique_ptr<Engine> engine = Engine::load(options);
        std::fputs(memory_table(engine->info()).c_str(), stderr);
        store.add(std::move(engine), options.model_path, model.alias);
    }
}

std::string url_of(const std::string& host, uint16_t port) {
    const bool is_ipv6 = host.find(':') != std::string::npos;
    return concat("http://", is_ipv6 ? "[" : "", host, is_ipv6 ? "]" : "", ":", port);
}

void announce(const ModelStore& store, const ServeSettings& settings, uint16_t port) {
    std::string models;
    for (const ServedModel& model : store.models())
        models +=
            concat(models.empty() ? "" : ", ", model.id, " (window ", model.engine->info().n_ctx, ", ", model.engine->info().device, ")");
    std::printf("quern serves %s at %s\n", models.c_str(), url_of(settings.host, port).c_str());
    std::fflush(stdout);
}

int serve(const ServeFlags& flags) {
    FlagValues values;
    for (size_t i = 0; i < flags.values.size(); ++i) values.emplace_back(&serve_settings()[i], *flags.values[i]);
    const ServeSettings settings = collect_settings(values, flags.config_file);
    const bool is_local = is_loopback(settings.host);
    check_exposure(settings, is_local);
    raise_file_limit();
    ModelStore store;
    ApiService service(store, AccessRules(settings.api_keys, settings.host, is_local && !settings.allow_open));
    HttpServer server({.host = settings.host, .port = static_cast<uint16_t>(settings.port)},
                      service);  // a port that is taken shows before a long load
    load_models(store, settings);
    server.stop_on_signals();
    announce(store, settings, server.port());
    server.run();
    return 0;
}

void declare_setting(CLI::App& app, const Setting& setting, std::vector<std::string>& values) {
    const std::string description = concat(setting.description, " (", environment_name(setting.key), ")");
    if (setting.kind == Setting::Kind::boolean) {
        app.add_flag_callback(
            setting.flags, [&values] { values = {"true"}; }, description);
        return;
    }
    CLI::Option* option = app.add_option(setting.flags, values, description)->type_name(setting.type_name)->allow_extra_args(false);
    if (setting.kind == Setting::Kind::texts) option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

Command setup(CLI::App& app) {
    const auto flags = std::make_shared<ServeFlags>();
    for (const Setting& setting : serve_settings()) {
        flags->values.push_back(std::make_unique<std::vector<std::string>>());
        declare_setting(app, setting, *flags->values.back());
    }
    app.add_option("--config-file", flags->config_file, "settings as JSON, in the form of llama-cpp-python's server (CONFIG_FILE)")
        ->type_name("FILE");
    declare_log_flags(app);
    app.footer(
        "In brackets: the environment variable that sets the same. Flags go before the configuration file, and the file before the "
        "environment.\n"
        "SIGINT and SIGTERM let running answers finish, for up to 30 seconds; a second one ends the server at once.");
    return [flags] { return serve(*flags); };
}

}  // namespace

const Subcommand serve_command = {"serve", "serves models over the OpenAI HTTP API", &setup};

}  // namespace quern
