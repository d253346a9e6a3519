// A checkpoint's config.json: what the model's authors say of its sizes.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace quern {

/// Immutable; copies are cheap. A name may reach into a section: "rope_scaling.factor". `null` counts as absent.
/// Every reader takes several spellings, and the first that is there counts.
/// @throws ModelError  naming file and entry, when an entry has another type
class CheckpointConfig {
  public:
    using Names = std::initializer_list<std::string_view>;

    /// What stands in `text_config`, where models that also see or hear keep the language model's sizes, is lifted to the top.
    /// REQUIRES: json is an object
    CheckpointConfig(const nlohmann::json& json, std::string path);

    const std::string& path() const noexcept { return path_; }
    bool has(std::string_view name) const;
    /// There, and null: some configs mean "none" by that where their default is another. At the top only.
    bool is_null(std::string_view name) const;
    /// Absent, null, false, or a list or section without entries.
    bool is_empty(std::string_view name) const;
    bool is_text(std::string_view name) const;
    std::optional<int64_t> integer(Names names) const;
    std::optional<double> real(Names names) const;
    std::optional<bool> boolean(Names names) const;
    std::optional<std::string> string(Names names) const;
    /// Empty if absent. A single value counts as a list of one.
    std::vector<int64_t> integers(Names names) const;
    std::vector<double> reals(Names names) const;
    std::vector<std::string> strings(Names names) const;
    /// @throws ModelError  when it is absent
    int64_t require_integer(Names names) const;

    /// @throws ModelError  when the entry is there and says anything else
    void require_value(std::string_view name, std::string_view expected) const;

    /// The names of all entries, joined, for messages about what was seen.
    std::string entry_names() const;
    [[noreturn]] void fail(std::string_view what) const;

  private:
    const nlohmann::json* find(Names names, std::string_view& found) const;
    [[noreturn]] void fail_type(std::string_view name, std::string_view expected) const;

    std::shared_ptr<const nlohmann::json> json_;
    std::string path_;
};

}  // namespace quern
