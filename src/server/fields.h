// The fields of a request body: a table of rules for each endpoint, checked before anything is read.
#pragma once

#include <initializer_list>
#include <optional>
#include <span>
#include <string>

#include "text/chat/chat_template.h"

namespace quern {

enum class FieldKind : uint8_t {
    text,
    boolean,
    integer,
    number,
    object,
    any,      ///< the endpoint looks at it itself
    ignored,  ///< accepted: it cannot change the answer of this server
    refused,  ///< would change the answer, and is not supported: 400 unless its value asks for nothing
};

struct FieldRule {
    const char* name;
    FieldKind kind;
    double least = 0, most = 0;     ///< of integers and numbers, both included
    const char* neutral = nullptr;  ///< of refused fields: values that ask for nothing, as a JSON array; null always does
};

/// A request body whose known fields have the right types and ranges. null counts as absent; unknown fields are left alone, unless they
/// are known ones misspelt (misspelt.h).
class RequestFields {
  public:
    enum class Unknown : uint8_t { checked, ignored };

    /// @param body  a JSON object; must outlive this
    /// @throws ApiError  400 naming the field in `param`
    RequestFields(const Json& body, std::initializer_list<std::span<const FieldRule>> tables, Unknown unknown = Unknown::checked);

    /// The field's value, or nullptr when it is absent or null.
    const Json* find(const char* name) const;
    std::optional<std::string> text(const char* name) const;
    std::optional<int64_t> integer(const char* name) const;
    std::optional<double> number(const char* name) const;
    bool flag(const char* name, bool otherwise) const;
    /// The same setting under two names. @throws ApiError  when both are given and differ
    std::optional<int64_t> integer(const char* name, const char* other_name) const;
    std::optional<double> number(const char* name, const char* other_name) const;

  private:
    const Json& body_;
};

/// 400 `invalid_type`: "Invalid type for 'x': expected a number, but got a string."
[[noreturn]] void refuse_type(const std::string& param, const char* expected, const Json& value);
/// 400 `invalid_value`. @param complaint  follows "Invalid 'x': "
[[noreturn]] void refuse_value(const std::string& param, const std::string& complaint);
/// 400 `unsupported_parameter`.
[[noreturn]] void refuse_unsupported(const std::string& param, const std::string& why = "this server does not support it");

/// The field `model`, which is read before all others. @throws ApiError  when it is no string
std::optional<std::string> model_name(const Json& body);

/// The value as an integer; a float without a fraction counts. @throws ApiError
int64_t integer_value(const std::string& param, const Json& value);

}  // namespace quern
