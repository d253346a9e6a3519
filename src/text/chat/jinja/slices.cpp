// Ranges, subscripts of strings and slices, as Python defines them.
#include <algorithm>
#include <utility>

#include "base/error.h"
#include "text/chat/jinja/operators.h"
#include "text/chat/jinja/unicode.h"

namespace quern::jinja {

namespace {

constexpr uint64_t kMaxRange = 100'000;  // that of Jinja's sandbox

/// A slice's positions: start, start + step, ... before (or after, for a negative step) stop.
struct Bounds {
    int64_t start, stop, step;
    size_t count() const {
        if (step > 0) return start < stop ? static_cast<size_t>((stop - start - 1) / step + 1) : 0;
        return start > stop ? static_cast<size_t>((start - stop - 1) / -step + 1) : 0;
    }
};

int64_t bound_of(const Value* given, int64_t size, int64_t low, int64_t high, int64_t fallback) {
    if (!given) return fallback;
    if (given->is(Kind::undefined)) fail_undefined(given->undefined());
    if (!given->is_integral()) throw InvalidInput("slice indices must be integers or None");
    const int64_t index = given->integral();
    return std::clamp(index < 0 ? index + size : index, low, high);
}

Bounds bounds_of(const Value* start, const Value* stop, const Value* step, size_t n_items) {
    const auto size = static_cast<int64_t>(n_items);
    const int64_t stride = bound_of(step, 0, -INT64_MAX, INT64_MAX, 1);
    if (stride == 0) throw InvalidInput("slice step cannot be zero");
    if (stride > 0) return {bound_of(start, size, 0, size, 0), bound_of(stop, size, 0, size, size), stride};
    return {bound_of(start, size, -1, size - 1, size - 1), bound_of(stop, size, -1, size - 1, -1), stride};
}

/// Byte offsets of the code points, and of the end.
std::vector<size_t> offsets_of(std::string_view bytes) {
    std::vector<size_t> offsets{0};
    for (size_t at = 0; at < bytes.size();) {
        next_code_point(bytes, at);
        offsets.push_back(at);
    }
    return offsets;
}

Value slice_text(const TextPtr& text, const Value* start, const Value* stop, const Value* step, Budget& budget) {
    budget.step(text->size() / 8);
    const bool ascii = is_ascii(text->bytes());
    if (!ascii) budget.allocate(text->size() * sizeof(size_t));
    const std::vector<size_t> offsets = ascii ? std::vector<size_t>() : offsets_of(text->bytes());
    const Bounds bounds = bounds_of(start, stop, step, ascii ? text->size() : offsets.size() - 1);
    const auto offset = [&](int64_t i) { return ascii ? static_cast<size_t>(i) : offsets[static_cast<size_t>(i)]; };
    const size_t n = bounds.count();
    if (n == 0) return slice(text, 0, 0, budget);
    if (bounds.step == 1) return slice(text, offset(bounds.start), offset(bounds.stop), budget);
    TextBuilder out(budget);
    budget.step(n);
    for (size_t i = 0; i < n; ++i) {
        const int64_t at = bounds.start + static_cast<int64_t>(i) * bounds.step;
        out.append(*text, offset(at), offset(at + 1));
    }
    return out.finish();
}

/// base + count * step
int64_t scaled_sum(int64_t base, int64_t count, int64_t step) {
    int64_t product = 0, sum = 0;
    if (__builtin_mul_overflow(count, step, &product) || __builtin_add_overflow(base, product, &sum)) {
        throw InvalidInput("an integer in the chat template exceeds 64 bits");
    }
    return sum;
}

Value slice_sequence(const Sequence& sequence, const Value* start, const Value* stop, const Value* step, Budget& budget) {
    const Bounds bounds = bounds_of(start, stop, step, sequence.items.size());
    const size_t n = bounds.count();
    if (sequence.flavor == Flavor::range) {
        const int64_t first = scaled_sum(sequence.start, bounds.start, sequence.step);
        if (n == 0) return make_range(first, first, sequence.step, budget);
        const int64_t stride = scaled_sum(0, sequence.step, n > 1 ? bounds.step : 1);
        return make_range(first, scaled_sum(first, static_cast<int64_t>(n), stride), stride, budget);
    }
    budget.allocate(n * sizeof(Value));
    Values items;
    items.reserve(n);
    for (size_t i = 0; i < n; ++i)
        items.push_back(sequence.items[static_cast<size_t>(bounds.start + static_cast<int64_t>(i) * bounds.step)]);
    return make_sequence(std::move(items), sequence.flavor, budget);
}

}  // namespace

Value slice_value(const Value& value, const Value* start, const Value* stop, const Value* step, Budget& budget) {
    if (value.is(Kind::undefined)) fail_undefined(value.undefined());
    if (value.is(Kind::text)) return slice_text(value.text(), start, stop, step, budget);
    if (value.is(Kind::sequence) && value.sequence()->flavor <= Flavor::range) {
        return slice_sequence(*value.sequence(), start, stop, step, budget);
    }
    throw InvalidInput(concat("'", type_name(value), "' object cannot be sliced"));
}

TextPtr character_at(const TextPtr& text, int64_t index, Budget& budget) {
    const std::string_view bytes = text->bytes();
    budget.scan(bytes.size());
    if (is_ascii(bytes)) {
        const auto size = static_cast<int64_t>(bytes.size());
        if (index < 0) index += size;
        if (index < 0 || index >= size) return nullptr;
        return slice(text, static_cast<size_t>(index), static_cast<size_t>(index) + 1, budget);
    }
    budget.step(bytes.size() / 8);
    if (index < 0) index += static_cast<int64_t>(count_code_points(bytes));
    if (index < 0) return nullptr;
    for (size_t at = 0; at < bytes.size(); --index) {
        const size_t start = at;
        next_code_point(bytes, at);
        if (index == 0) return slice(text, start, at, budget);
    }
    return nullptr;
}

Value make_range(int64_t start, int64_t stop, int64_t step, Budget& budget) {
    const bool is_empty = step > 0 ? start >= stop : start <= stop;
    const uint64_t span =
        step > 0 ? static_cast<uint64_t>(stop) - static_cast<uint64_t>(start) : static_cast<uint64_t>(start) - static_cast<uint64_t>(stop);
    const uint64_t stride = step > 0 ? static_cast<uint64_t>(step) : uint64_t{0} - static_cast<uint64_t>(step);
    const uint64_t n = is_empty ? 0 : (span - 1) / stride + 1;
    if (n > kMaxRange) throw InvalidInput(concat("the range has more than ", kMaxRange, " items"));
    budget.step(n / 8);
    budget.allocate(sizeof(Sequence) + n * sizeof(Value));
    auto range = std::make_shared<Sequence>();
    range->flavor = Flavor::range;
    range->start = start;
    range->stop = stop;
    range->step = step;
    range->items.reserve(n);
    for (uint64_t i = 0; i < n; ++i) {
        range->items.emplace_back(static_cast<int64_t>(static_cast<uint64_t>(start) + i * static_cast<uint64_t>(step)));
    }
    return SequencePtr(std::move(range));
}

}  // namespace quern::jinja
