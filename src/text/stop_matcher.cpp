#include "text/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace quern {
namespace {

// Length of the longest end of `text` that begins `stop` but does not complete it.
size_t partial_match(std::string_view text, std::string_view stop) {
    for (size_t n = std::min(text.size(), stop.size() - 1); n > 0; --n)
        if (text.ends_with(stop.substr(0, n))) return n;
    return 0;
}

}  // namespace

std::string StopMatcher::push(std::string_view text) {
    if (stopped()) return {};
    if (stops_.empty()) return std::string(text);
    held_ += text;
    size_t match = std::string::npos, keep = 0;
    for (const std::string& stop : stops_) {
        if (const size_t at = held_.find(stop); at < match) {
            match = at;
            match_ = stop;
        }
        keep = std::max(keep, partial_match(held_, stop));
    }
    if (stopped()) keep = held_.size() - match;
    std::string released = held_.substr(0, held_.size() - keep);
    held_.erase(0, stopped() ? held_.size() : released.size());
    return released;
}

std::string StopMatcher::finish() { return std::exchange(held_, {}); }

}  // namespace quern
