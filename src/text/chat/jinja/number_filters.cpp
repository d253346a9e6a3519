// Filters on numbers, and the ones that take anything: default, tojson, attr.
#include <cmath>
#include <cstdio>

#include "base/error.h"
#include "text/chat/jinja/filter_table.h"
#include "text/chat/jinja/interpreter.h"
#include "text/chat/jinja/operators.h"
#include "text/chat/jinja/print.h"
#include "text/chat/jinja/text_operations.h"

namespace quern::jinja {

namespace {

/// int(real), or nothing where that does not exist.
std::optional<int64_t> truncated(double real) {
    if (!std::isfinite(real)) return std::nullopt;
    if (std::fabs(real) >= 9.2e18) throw InvalidInput("an integer in the chat template exceeds 64 bits");
    return static_cast<int64_t>(real);
}

Value filter_int(Interpreter&, const Value& self, Arguments& arguments) {
    const Bound bound("int", arguments, {"default", "base"});
    if (self.is(Kind::undefined)) fail_undefined(self.undefined());
    if (self.is_integral()) return self.integral();
    std::optional<int64_t> result;
    if (self.is(Kind::real)) {
        result = truncated(self.number());
    } else if (self.is(Kind::text)) {
        result = parse_integer(self.bytes(), bound.integer(1, 10));
        const std::optional<double> real = result ? std::nullopt : parse_real(self.bytes());
        if (real) result = truncated(*real);
    }
    if (result) return *result;
    if (bound.at(0).is(Kind::undefined)) return int64_t{0};
    return bound.at(0);
}

Value filter_float(Interpreter&, const Value& self, Arguments& arguments) {
    const Bound bound("float", arguments, {"default"});
    if (self.is(Kind::undefined)) fail_undefined(self.undefined());
    if (self.is_number()) return self.number();
    const std::optional<double> real = self.is(Kind::text) ? parse_real(self.bytes()) : std::nullopt;
    if (real) return *real;
    return bound.at(0).is(Kind::undefined) ? Value(0.0) : bound.at(0);
}

Value filter_abs(Interpreter&, const Value& self, Arguments&) {
    if (self.is_integral()) return self.integral() < 0 ? negate(self) : Value(self.integral());
    if (self.is(Kind::real)) return std::fabs(self.number());
    throw InvalidInput(concat("bad operand type for abs(): '", type_name(self), "'"));
}

/// round(value, digits) of Python: halves go to the even neighbour, judged on the exact binary value.
double round_half_even(double value, int64_t digits) {
    if (!std::isfinite(value) || digits > 300) return value;
    if (digits < 0) {
        const double scale = std::pow(10.0, static_cast<double>(-digits));
        return std::isfinite(scale) ? std::nearbyint(value / scale) * scale : std::copysign(0.0, value);
    }
    char buffer[700];
    std::snprintf(buffer, sizeof buffer, "%.*f", static_cast<int>(digits), value);
    return std::strtod(buffer, nullptr);
}

Value filter_round(Interpreter&, const Value& self, Arguments& arguments) {
    const Bound bound("round", arguments, {"precision", "method"});
    const int64_t digits = bound.integer(0, 0);
    const std::string method = bound.has(1) ? bound.text(1)->bytes() : "common";
    if (method != "common" && method != "ceil" && method != "floor") throw InvalidInput("method must be common, ceil or floor");
    if (self.is(Kind::undefined)) fail_undefined(self.undefined());
    if (!self.is_number()) throw InvalidInput(concat("type ", type_name(self), " cannot be rounded"));
    if (method == "common") {
        if (self.is(Kind::real)) return round_half_even(self.number(), digits);
        if (digits >= 0) return self.integral();
        const std::optional<int64_t> rounded = truncated(round_half_even(self.number(), digits));
        return rounded.value_or(0);
    }
    const double scale = std::pow(10.0, static_cast<double>(digits));
    const double scaled = self.number() * scale;
    if (!std::isfinite(scale) || scale == 0.0 || !std::isfinite(scaled)) throw InvalidInput("round() cannot take this precision");
    return (method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale;
}

Value filter_default(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("default", arguments, {"default_value", "boolean"});
    const bool is_missing = self.is(Kind::undefined) || (bound.flag(1, false) && !is_truthy(self));
    if (!is_missing) return self;
    return bound.at(0).is(Kind::undefined) && arguments.positional.empty() ? make_text("", Origin::source, interpreter.budget())
                                                                           : bound.at(0);
}

Value filter_tojson(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"});
    JsonStyle style;
    style.ensure_ascii = bound.flag(0, false);
    style.sort_keys = bound.flag(3, false);
    if (bound.has(1)) {
        style.has_indent = true;
        style.item_separator.assign(1, ',');
        if (bound.at(1).is(Kind::text)) {
            style.indent = bound.text(1)->bytes();
        } else {
            const int64_t width = bound.integer(1, 0);
            if (width > 1000) throw InvalidInput("tojson() needs an indent of at most 1000");
            style.indent.assign(static_cast<size_t>(width > 0 ? width : 0), ' ');
        }
    }
    if (bound.has(2)) {
        const SequencePtr separators = interpreter.iterate(bound.at(2));
        if (separators->items.size() != 2 || !separators->items[0].is(Kind::text) || !separators->items[1].is(Kind::text)) {
            throw InvalidInput("tojson() needs two separators");
        }
        style.item_separator = separators->items[0].bytes();
        style.key_separator = separators->items[1].bytes();
    }
    return to_json(self, style, interpreter.budget());
}

Value filter_attr(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("attr", arguments, {"name"}, 1);
    if (self.is(Kind::undefined)) fail_undefined(self.undefined());
    if (self.is(Kind::dict) && !find_method(self, bound.text(0)->bytes())) return Undefined{.name = bound.text(0)};
    return interpreter.attribute(self, bound.text(0));
}

constexpr NamedFunction kFilters[] = {{"int", filter_int},       {"float", filter_float},     {"abs", filter_abs},
                                      {"round", filter_round},   {"default", filter_default}, {"d", filter_default},
                                      {"tojson", filter_tojson}, {"attr", filter_attr}};

}  // namespace

Function find_number_filter(std::string_view name) { return find_named(kFilters, name); }

}  // namespace quern::jinja
