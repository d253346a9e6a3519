// Finds stop strings in text that arrives in pieces, and holds back what may become one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace quern {

/// The earliest match wins, wherever it stands in the list. Text of a match, and all after it, is never released.
class StopMatcher {
  public:
    /// REQUIRES: no stop string is empty.
    explicit StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {}

    /// Adds text and returns what is certain not to belong to a stop string. After a match: "".
    std::string push(std::string_view text);
    /// The text held back, when no more will come.
    std::string finish();
    /// The stop string that was found; "": none yet.
    const std::string& match() const noexcept { return match_; }
    bool stopped() const noexcept { return !match_.empty(); }

  private:
    std::vector<std::string> stops_;
    std::string held_;
    std::string match_;
};

}  // namespace quern
