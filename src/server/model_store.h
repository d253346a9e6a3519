// The models that a server offers, by name.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/engine.h"

namespace quern {

/// A model and the names that clients may call it by.
struct ServedModel {
    std::string id;                  ///< what GET /v1/models and every response say
    std::vector<std::string> names;  ///< the id, the alias, the path as given, the file's name with and without .gguf
    std::string fingerprint;         ///< `system_fingerprint` of its responses
    int64_t created = 0;             ///< seconds since 1970
    std::unique_ptr<Engine> engine;
};

/// Filled before the server runs, then read by any thread. The first model is the default.
class ModelStore {
  public:
    /// @param alias  "": the file's name without .gguf is the id
    /// @throws InvalidInput  when another model has that id
    void add(std::unique_ptr<Engine> engine, const std::string& path, const std::string& alias);

    /// The model of that name, or the default one for nothing.
    /// @throws ApiError  404 model_not_found, listing the ids
    const ServedModel& find(std::optional<std::string_view> name) const;
    const std::vector<ServedModel>& models() const { return models_; }

  private:
    std::vector<ServedModel> models_;
};

}  // namespace quern
