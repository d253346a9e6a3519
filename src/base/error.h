// The four ways an operation can fail, and the check for our own mistakes.
// Throw where an operation as a whole ends. tools/main.cpp turns these into exit codes, server/http/errors.cpp into HTTP answers.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace quern {

/// Joins its arguments, printed with <<, into one string.
template <typename... Parts>
std::string concat(const Parts&... parts) {
    std::ostringstream out;
    (out << ... << parts);
    return std::move(out).str();
}

/// Base of everything quern throws. The message says what, where, and what to do.
class Error : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// The caller asked for something impossible: a flag, a request field, a prompt. `field` names the culprit, or is empty.
class InvalidInput : public Error {
  public:
    explicit InvalidInput(const std::string& message, std::string field = {}) : Error(message), field_(std::move(field)) {}
    const std::string& field() const noexcept { return field_; }

  private:
    std::string field_;
};

/// The prompt does not fit in the window. Kept apart because clients act on it (HTTP code `context_length_exceeded`).
class ContextOverflow : public InvalidInput {
  public:
    using InvalidInput::InvalidInput;
};

/// A model file is missing, malformed, or of a kind that quern does not know.
class ModelError : public Error {
  public:
    using Error::Error;
};

/// The machine refused: memory, disk, socket, GPU.
class DeviceError : public Error {
  public:
    using Error::Error;
};

/// A mistake of ours. No file, request or model output may cause one.
class InternalError : public Error {
  public:
    using Error::Error;
};

[[noreturn]] void fail_check(const char* condition, const char* file, int line);

}  // namespace quern

/// Asserts what only our own mistake can break. Kept in release builds; throws InternalError.
#define QUERN_CHECK(condition)                                                 \
    do {                                                                       \
        if (!(condition)) ::quern::fail_check(#condition, __FILE__, __LINE__); \
    } while (false)
