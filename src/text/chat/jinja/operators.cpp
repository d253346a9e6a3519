// Arithmetic and membership, as Python defines them; integers are 64 bits and overflow is an error.
#include "text/chat/jinja/operators.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "text/chat/jinja/print.h"

namespace quern::jinja {

namespace {

constexpr std::string_view kSymbols[] = {"+", "-", "*", "/", "//", "%", "**"};

[[noreturn]] void fail_operands(Op op, const Value& a, const Value& b) {
    throw InvalidInput(
        concat("unsupported operand types for ", kSymbols[static_cast<size_t>(op)], ": '", type_name(a), "' and '", type_name(b), "'"));
}

[[noreturn]] void fail_overflow() { throw InvalidInput("an integer in the chat template exceeds 64 bits"); }

[[noreturn]] void fail_zero() { throw InvalidInput("division by zero"); }

Value integer_power(int64_t base, int64_t exponent) {
    if (exponent < 0) {
        if (base == 0) fail_zero();
        return std::pow(static_cast<double>(base), static_cast<double>(exponent));
    }
    int64_t result = 1;
    while (exponent > 0) {
        if ((exponent & 1) && __builtin_mul_overflow(result, base, &result)) fail_overflow();
        exponent >>= 1;
        if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) fail_overflow();
    }
    return result;
}

int64_t floor_quotient(int64_t a, int64_t b) {
    if (b == 0) fail_zero();
    if (b == -1) {
        if (a == INT64_MIN) fail_overflow();
        return -a;
    }
    const int64_t quotient = a / b;
    return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

int64_t floor_remainder(int64_t a, int64_t b) {
    if (b == 0) fail_zero();
    if (b == -1) return 0;
    const int64_t remainder = a % b;
    return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder;
}

Value integer_arithmetic(Op op, int64_t a, int64_t b) {
    int64_t result = 0;
    switch (op) {
        case Op::add:
            if (__builtin_add_overflow(a, b, &result)) fail_overflow();
            return result;
        case Op::subtract:
            if (__builtin_sub_overflow(a, b, &result)) fail_overflow();
            return result;
        case Op::multiply:
            if (__builtin_mul_overflow(a, b, &result)) fail_overflow();
            return result;
        case Op::divide:
            if (b == 0) fail_zero();
            return static_cast<double>(a) / static_cast<double>(b);
        case Op::floor_divide:
            return floor_quotient(a, b);
        case Op::modulo:
            return floor_remainder(a, b);
        default:
            return integer_power(a, b);
    }
}

double real_remainder(double a, double b) {
    const double remainder = std::fmod(a, b);
    if (remainder == 0.0) return std::copysign(0.0, b);
    return (remainder < 0) != (b < 0) ? remainder + b : remainder;
}

double real_floor_quotient(double a, double b) {
    const double quotient = (a - real_remainder(a, b)) / b;
    const double floored = std::floor(quotient);
    return quotient - floored > 0.5 ? floored + 1 : floored;
}

Value real_arithmetic(Op op, double a, double b) {
    if (b == 0.0 && (op == Op::divide || op == Op::floor_divide || op == Op::modulo)) fail_zero();
    switch (op) {
        case Op::add:
            return a + b;
        case Op::subtract:
            return a - b;
        case Op::multiply:
            return a * b;
        case Op::divide:
            return a / b;
        case Op::floor_divide:
            return real_floor_quotient(a, b);
        case Op::modulo:
            return real_remainder(a, b);
        default:
            break;
    }
    if (a == 0.0 && b < 0.0) fail_zero();
    if (a < 0.0 && std::isfinite(b) && b != std::floor(b)) throw InvalidInput("a complex number in the chat template");
    const double power = std::pow(a, b);
    if (std::isinf(power) && std::isfinite(a) && std::isfinite(b)) throw InvalidInput("a number in the chat template is too large");
    return power;
}

Value add_texts(const TextPtr& a, const TextPtr& b, Budget& budget) {
    const bool is_markup = a->is_markup() || b->is_markup();
    TextBuilder out(budget);
    out.append(is_markup && !a->is_markup() ? *escape_markup(a, budget) : *a);
    out.append(is_markup && !b->is_markup() ? *escape_markup(b, budget) : *b);
    if (is_markup) out.mark_markup();
    return out.finish();
}

Value repeat(const Value& value, int64_t times, Budget& budget) {
    const size_t n = times > 0 ? static_cast<size_t>(times) : 0;
    if (value.is(Kind::text)) {
        TextBuilder out(budget);
        budget.step(value.text()->size() == 0 ? 0 : std::min<size_t>(n, Budget::kMaxSteps));
        for (size_t i = 0; i < n && value.text()->size() > 0; ++i) out.append(*value.text());
        return out.finish();
    }
    const Values& items = value.sequence()->items;
    if (n > 0 && items.size() > Budget::kMaxBytes / sizeof(Value) / n) throw InvalidInput("the chat template uses too much memory");
    budget.allocate(items.size() * n * sizeof(Value));
    Values repeated;
    repeated.reserve(items.size() * n);
    for (size_t i = 0; i < n && !items.empty(); ++i) repeated.insert(repeated.end(), items.begin(), items.end());
    return make_sequence(std::move(repeated), value.sequence()->flavor, budget);
}

bool is_list_or_tuple(const Value& value) { return value.is(Kind::sequence) && value.sequence()->flavor <= Flavor::tuple; }

Value add_sequences(const Value& a, const Value& b, Budget& budget) {
    budget.allocate((a.sequence()->items.size() + b.sequence()->items.size()) * sizeof(Value));
    Values joined = a.sequence()->items;
    joined.insert(joined.end(), b.sequence()->items.begin(), b.sequence()->items.end());
    return make_sequence(std::move(joined), a.sequence()->flavor, budget);
}

}  // namespace

Value arithmetic(Op op, const Value& a, const Value& b, Budget& budget) {
    if (a.is(Kind::undefined)) fail_undefined(a.undefined());
    if (op == Op::modulo && a.is(Kind::text)) return format_percent(a.text(), b, budget);
    if (b.is(Kind::undefined)) fail_undefined(b.undefined());
    if (a.is_integral() && b.is_integral()) return integer_arithmetic(op, a.integral(), b.integral());
    if (a.is_number() && b.is_number()) return real_arithmetic(op, a.number(), b.number());
    if (op == Op::add) {
        if (a.is(Kind::text) && b.is(Kind::text)) return add_texts(a.text(), b.text(), budget);
        if (is_list_or_tuple(a) && is_list_or_tuple(b) && a.sequence()->flavor == b.sequence()->flavor) return add_sequences(a, b, budget);
    }
    if (op == Op::multiply) {
        if (b.is_integral() && (a.is(Kind::text) || is_list_or_tuple(a))) return repeat(a, b.integral(), budget);
        if (a.is_integral() && (b.is(Kind::text) || is_list_or_tuple(b))) return repeat(b, a.integral(), budget);
    }
    fail_operands(op, a, b);
}

Value negate(const Value& value) {
    if (value.is(Kind::undefined)) fail_undefined(value.undefined());
    if (value.is_integral()) {
        if (value.integral() == INT64_MIN) fail_overflow();
        return -value.integral();
    }
    if (value.is(Kind::real)) return -value.number();
    throw InvalidInput(concat("bad operand type for unary -: '", type_name(value), "'"));
}

Value plus(const Value& value) {
    if (value.is(Kind::undefined)) fail_undefined(value.undefined());
    if (value.is_integral()) return value.integral();
    if (value.is(Kind::real)) return value;
    throw InvalidInput(concat("bad operand type for unary +: '", type_name(value), "'"));
}

bool contains(const Value& haystack, const Value& needle, Budget& budget) {
    switch (haystack.kind()) {
        case Kind::undefined:
            return false;
        case Kind::text:
            if (!needle.is(Kind::text)) throw InvalidInput(concat("'in <string>' needs a string, not '", type_name(needle), "'"));
            budget.search(haystack.text()->size(), needle.text()->size());
            return haystack.bytes().find(needle.bytes()) != std::string::npos;
        case Kind::dict:
            if (!is_hashable(needle)) throw InvalidInput(concat("unhashable type: '", type_name(needle), "'"));
            return haystack.dict()->find(needle, budget) != nullptr;
        case Kind::sequence: {
            const Sequence& sequence = *haystack.sequence();
            if (sequence.flavor == Flavor::generator && std::exchange(sequence.is_spent, true)) return false;
            return std::any_of(sequence.items.begin(), sequence.items.end(),
                               [&](const Value& item) { return equal(item, needle, budget); });
        }
        default:
            throw InvalidInput(concat("argument of type '", type_name(haystack), "' is not iterable"));
    }
}

}  // namespace quern::jinja
