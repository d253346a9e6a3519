// A user's regular expression for names of tensors, run by PCRE2 within bounds.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace quern {

/// Immutable; copies share the compiled pattern.
class NamePattern {
  public:
    /// @throws InvalidInput  when it is no regular expression: says what PCRE2 says, and where
    explicit NamePattern(std::string pattern);

    const std::string& text() const noexcept { return text_; }
    /// Whether it is found anywhere in the name. @throws InvalidInput  when it tries too long
    bool is_in(std::string_view name) const;

  private:
    struct Code;

    std::string text_;
    std::shared_ptr<const Code> code_;
};

}  // namespace quern
