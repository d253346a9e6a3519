#include "tools/quantities.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "base/error.h"

namespace quern {
namespace {

std::string scaled(uint64_t n, double base, const std::array<const char*, 5>& units) {
    double value = static_cast<double>(n);
    size_t unit = 0;
    for (; value >= base && unit + 1 < units.size(); ++unit) value /= base;
    std::array<char, 64> text;
    std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f%s" : "%.2f%s", value, units[unit]);
    return text.data();
}

}  // namespace

std::string human_bytes(uint64_t n) { return scaled(n, 1024, {" B", " KiB", " MiB", " GiB", " TiB"}); }
std::string human_count(uint64_t n) { return scaled(n, 1000, {"", " K", " M", " G", " T"}); }

std::string human_duration(double seconds) {
    const auto whole = static_cast<int64_t>(seconds < 0 ? 0 : seconds > 1e9 ? 1e9 : seconds);
    std::array<char, 64> text;
    if (whole < 3600)
        std::snprintf(text.data(), text.size(), "%d:%02d", static_cast<int>(whole / 60), static_cast<int>(whole % 60));
    else
        std::snprintf(text.data(), text.size(), "%d:%02d:%02d", static_cast<int>(whole / 3600), static_cast<int>(whole / 60 % 60),
                      static_cast<int>(whole % 60));
    return text.data();
}

uint64_t parse_bytes(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
    constexpr std::string_view prefixes = "KMGT";
    const size_t power = unit.empty() ? 0 : prefixes.find(unit.front() & ~0x20) + 1;  // 0: there is none such
    const std::string_view rest = unit.empty() ? unit : unit.substr(1);
    const bool known = unit.empty() || unit == "B" || (power > 0 && (rest.empty() || rest == "B" || rest == "iB"));
    if (error != std::errc() || !known || !(value >= 0)) throw InvalidInput(concat("'", text, "' is no size: write 512M or 1.5GiB"));
    const double factor = unit == "B" ? 1 : std::pow(rest == "iB" ? 1024.0 : 1000.0, static_cast<double>(power));
    if (value * factor > 1e18) throw InvalidInput(concat("'", text, "' is too large a size"));
    return static_cast<uint64_t>(std::llround(value * factor));
}

}  // namespace quern
