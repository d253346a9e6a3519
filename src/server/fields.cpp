#include "server/fields.h"

#include <cmath>

#include "server/http/errors.h"
#include "server/misspelt.h"

namespace quern {
namespace {

const char* kind_of(const Json& value) {
    switch (value.type()) {
        case Json::value_t::null:
            return "null";
        case Json::value_t::boolean:
            return "a boolean";
        case Json::value_t::string:
            return "a string";
        case Json::value_t::array:
            return "an array";
        case Json::value_t::object:
            return "an object";
        case Json::value_t::number_float:
            return "a decimal number";
        default:
            return "an integer";
    }
}

/// As it would stand in JSON; whole numbers without a fraction or an exponent.
std::string number_text(double value) {
    constexpr double beyond = 9223372036854775808.0;  // 2^63
    if (value == beyond) return std::to_string(INT64_MAX);
    if (std::trunc(value) == value && std::abs(value) <= beyond) return std::to_string(static_cast<int64_t>(value));
    return Json(value).dump();
}

void check_range(const FieldRule& rule, double value) {
    if (value < rule.least || value > rule.most)
        refuse_value(rule.name,
                     concat("must be from ", number_text(rule.least), " to ", number_text(rule.most), ", but is ", number_text(value)));
}

void check_refused(const FieldRule& rule, const Json& value) {
    const Json neutral = Json::parse(rule.neutral == nullptr ? "[]" : rule.neutral);
    for (const Json& each : neutral)
        if (each == value) return;
    refuse_unsupported(rule.name);
}

void check_field(const FieldRule& rule, const Json& value) {
    switch (rule.kind) {
        case FieldKind::text:
            if (!value.is_string()) refuse_type(rule.name, "a string", value);
            break;
        case FieldKind::boolean:
            if (!value.is_boolean()) refuse_type(rule.name, "a boolean", value);
            break;
        case FieldKind::integer:
            check_range(rule, static_cast<double>(integer_value(rule.name, value)));
            break;
        case FieldKind::number:
            if (!value.is_number()) refuse_type(rule.name, "a number", value);
            check_range(rule, value.get<double>());
            break;
        case FieldKind::object:
            if (!value.is_object()) refuse_type(rule.name, "an object", value);
            break;
        case FieldKind::refused:
            check_refused(rule, value);
            break;
        case FieldKind::any:
        case FieldKind::ignored:
            break;
    }
}

template <typename T>
std::optional<T> either(std::optional<T> a, std::optional<T> b, const char* name, const char* other_name) {
    if (a && b && *a != *b) refuse_value(name, concat("differs from '", other_name, "', and both mean the same; leave one out"));
    return a ? a : b;
}

}  // namespace

void refuse_type(const std::string& param, const char* expected, const Json& value) {
    throw ApiError(concat("Invalid type for '", param, "': expected ", expected, ", but got ", kind_of(value), "."),
                   {.status = 400, .code = "invalid_type", .param = param});
}

void refuse_value(const std::string& param, const std::string& complaint) {
    throw ApiError(concat("Invalid '", param, "': ", complaint, "."), {.status = 400, .code = "invalid_value", .param = param});
}

void refuse_unsupported(const std::string& param, const std::string& why) {
    throw ApiError(concat("Unsupported parameter: '", param, "': ", why, "."),
                   {.status = 400, .code = "unsupported_parameter", .param = param});
}

std::optional<std::string> model_name(const Json& body) {
    static constexpr FieldRule rule[] = {{"model", FieldKind::text}};
    return RequestFields(body, {rule}, RequestFields::Unknown::ignored).text("model");
}

int64_t integer_value(const std::string& param, const Json& value) {
    if (value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) refuse_value(param, "is too large");
    if (value.is_number_integer()) return value.get<int64_t>();
    const double number = value.is_number_float() ? value.get<double>() : 0.5;
    if (std::trunc(number) != number) refuse_type(param, "an integer", value);
    constexpr double exact = 9007199254740992.0;  // 2^53
    if (std::abs(number) > exact) refuse_value(param, number > 0 ? "is too large" : "is too small");
    return static_cast<int64_t>(number);
}

RequestFields::RequestFields(const Json& body, std::initializer_list<std::span<const FieldRule>> tables, Unknown unknown) : body_(body) {
    for (const auto table : tables)
        for (const FieldRule& rule : table)
            if (const Json* value = find(rule.name)) check_field(rule, *value);
    if (unknown == Unknown::checked) refuse_misspelt_fields(body, tables);
}

const Json* RequestFields::find(const char* name) const {
    const auto found = body_.find(name);
    return found == body_.end() || found->is_null() ? nullptr : &*found;
}

std::optional<std::string> RequestFields::text(const char* name) const {
    const Json* value = find(name);
    return value ? std::optional(value->get<std::string>()) : std::nullopt;
}

std::optional<int64_t> RequestFields::integer(const char* name) const {
    const Json* value = find(name);
    return value ? std::optional(integer_value(name, *value)) : std::nullopt;
}

std::optional<double> RequestFields::number(const char* name) const {
    const Json* value = find(name);
    return value ? std::optional(value->get<double>()) : std::nullopt;
}

bool RequestFields::flag(const char* name, bool otherwise) const {
    const Json* value = find(name);
    return value ? value->get<bool>() : otherwise;
}

std::optional<int64_t> RequestFields::integer(const char* name, const char* other_name) const {
    return either(integer(name), integer(other_name), name, other_name);
}

std::optional<double> RequestFields::number(const char* name, const char* other_name) const {
    return either(number(name), number(other_name), name, other_name);
}

}  // namespace quern
