// JSON files of a checkpoint's folder, read with bounds: no depth, size or number of values that memory could not hold.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace quern {

constexpr uint64_t most_json_bytes = uint64_t{256} << 20;  // the largest tokenizer.json have about 35 MB

/// @throws ModelError  "PATH: ..." when it is no JSON, or nests or holds more than any real one
nlohmann::json parse_json(std::string_view text, std::string_view path);

/// An object or array. @throws ModelError  also when the file is missing
nlohmann::json read_json_file(const std::string& path);
/// Nothing if there is no such file.
std::optional<nlohmann::json> read_json_file_if_there(const std::string& path);

/// The bytes of a file, or nothing if there is none. @throws ModelError  when it is longer than `most_bytes`
std::optional<std::string> read_file_if_there(const std::string& path, uint64_t most_bytes = most_json_bytes);

}  // namespace quern
