// Source: Ollama's API documentation, and the durations of Go's package time.
#include "server/ollama/keep_alive.h"

#include <charconv>
#include <cmath>
#include <string_view>

namespace quern {
namespace {

using Milliseconds = std::chrono::milliseconds;

constexpr double longest_seconds = 100.0 * 365 * 24 * 3600;  // what lasts longer lasts for ever

struct Unit {
    std::string_view name;
    double seconds;
};

// Those that begin alike: the longer one first.
constexpr Unit units[] = {{"ns", 1e-9}, {"us", 1e-6}, {"µs", 1e-6}, {"μs", 1e-6}, {"ms", 1e-3}, {"s", 1}, {"m", 60}, {"h", 3600}};

Milliseconds lifetime(double seconds) {
    if (seconds < 0 || seconds > longest_seconds) return ModelStore::forever;
    return Milliseconds(static_cast<int64_t>(std::ceil(seconds * 1000)));
}

/// Takes a number and its unit off: their seconds.
std::optional<double> take_part(std::string_view& text) {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (error != std::errc() || number < 0 || !std::isfinite(number)) return std::nullopt;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    for (const Unit& unit : units) {
        if (!text.starts_with(unit.name)) continue;
        text.remove_prefix(unit.name.size());
        return number * unit.seconds;
    }
    return std::nullopt;
}

std::optional<double> parse_duration(std::string_view text) {
    const bool is_negative = text.starts_with('-');
    if (is_negative || text.starts_with('+')) text.remove_prefix(1);
    if (text.empty() || text.front() == '-') return std::nullopt;
    double seconds = 0;
    if (text.find_first_not_of("0123456789") == std::string_view::npos) {  // a bare number is of seconds
        const auto parsed = std::from_chars(text.data(), text.data() + text.size(), seconds);
        if (parsed.ec == std::errc::result_out_of_range) seconds = 2 * longest_seconds;
        return is_negative ? -seconds : seconds;
    }
    while (!text.empty()) {
        const auto part = take_part(text);
        if (!part) return std::nullopt;
        seconds += *part;
    }
    return is_negative ? -seconds : seconds;
}

}  // namespace

std::optional<Milliseconds> read_keep_alive(const RequestFields& fields) {
    const Json* value = fields.find("keep_alive");
    if (!value) return std::nullopt;
    if (value->is_number()) return lifetime(value->get<double>());
    if (!value->is_string()) refuse_type("keep_alive", "a number of seconds or a duration such as \"5m\"", *value);
    const std::optional<double> seconds = parse_duration(value->get_ref<const std::string&>());
    if (!seconds) refuse_value("keep_alive", "must be a number of seconds or a duration such as \"5m\" or \"1h30m\"");
    return lifetime(*seconds);
}

void keep_as_asked(const ModelRequest& asked, const RequestFields& fields) {
    const auto time = read_keep_alive(fields);
    if (time && asked.api.has_keys) asked.api.models.keep(asked.model->id, *time);
}

}  // namespace quern
