// The parts of the settings that a running server can take anew, and how it does on SIGHUP.
#pragma once

#include <string>
#include <vector>

#include "server/api_service.h"
#include "server/http/server.h"
#include "tools/serve/settings.h"

namespace quern {

/// Who may use the server. @throws InvalidInput  keys that cannot be read; or none, although other machines reach the host
AccessRules access_rules(const ServeSettings& settings, bool is_local);

/// The models, ready to be declared. Warns of those whose file is not there. @throws InvalidInput  no file is there
std::vector<ModelEntry> models_of(const ServeSettings& settings);

/// The paths of those whose file is not there, with commas between.
std::string missing_files(const std::vector<ModelEntry>& models);

/// Where the settings came from, and what a running server has of them.
class ReloadableSettings {
  public:
    ReloadableSettings(FlagValues flags, std::optional<std::string> config_file);

    const ServeSettings& current() const { return current_; }

    /// Reads flags, file and environment again. Models, keys and sites apply to requests from now on; what would need a restart is named
    /// in the log. With a mistake in them, all stays as it was, and the log says why.
    void reload(ModelStore& store, ApiService& service, HttpServer& server) noexcept;

  private:
    void apply(ServeSettings fresh, ModelStore& store, ApiService& service, HttpServer& server);

    const FlagValues flags_;
    const std::optional<std::string> config_file_;
    ServeSettings current_;
};

}  // namespace quern
