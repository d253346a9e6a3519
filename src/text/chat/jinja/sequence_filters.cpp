// Filters on lists, dicts and whatever can be iterated.
#include <algorithm>

#include "base/error.h"
#include "text/chat/jinja/filter_table.h"
#include "text/chat/jinja/interpreter.h"
#include "text/chat/jinja/operators.h"
#include "text/chat/jinja/print.h"
#include "text/chat/jinja/text_operations.h"

namespace quern::jinja {

namespace {

Value generator(Values items, Interpreter& interpreter) { return make_sequence(std::move(items), Flavor::generator, interpreter.budget()); }

/// Lower case for strings unless case matters.
Value sort_key(Value value, bool is_case_sensitive, Budget& budget) {
    if (is_case_sensitive || !value.is(Kind::text)) return value;
    return change_case(value.text(), Case::lower, budget);
}

/// Positions of `keys` in a stable order.
std::vector<size_t> sorted_positions(const Values& keys, bool is_reverse, Budget& budget) {
    std::vector<size_t> positions(keys.size());
    for (size_t i = 0; i < keys.size(); ++i) positions[i] = i;
    std::stable_sort(positions.begin(), positions.end(), [&](size_t a, size_t b) {
        return compare(is_reverse ? keys[b] : keys[a], is_reverse ? keys[a] : keys[b], budget) == -1;
    });
    return positions;
}

Values in_order(const Values& items, const Values& keys, bool is_reverse, Budget& budget) {
    Values sorted;
    sorted.reserve(items.size());
    for (const size_t i : sorted_positions(keys, is_reverse, budget)) sorted.push_back(items[i]);
    return sorted;
}

Value filter_length(Interpreter&, const Value& self, Arguments&) {
    switch (self.kind()) {
        case Kind::undefined:
            return int64_t{0};
        case Kind::text:
            return static_cast<int64_t>(count_code_points(self.bytes()));
        case Kind::dict:
            return static_cast<int64_t>(self.dict()->entries.size());
        case Kind::sequence:
            if (self.sequence()->flavor != Flavor::generator) return static_cast<int64_t>(self.sequence()->items.size());
            break;
        default:
            break;
    }
    throw InvalidInput(concat("object of type '", type_name(self), "' has no len()"));
}

Value filter_first(Interpreter& interpreter, const Value& self, Arguments&) {
    const SequencePtr items = interpreter.iterate(self);
    return items->items.empty() ? Value() : items->items.front();
}

void refuse_generator(const Value& self) {
    const bool is_reversible = self.is(Kind::text) || self.is(Kind::dict) || self.is(Kind::undefined) ||
                               (self.is(Kind::sequence) && self.sequence()->flavor != Flavor::generator);
    if (!is_reversible) throw InvalidInput(concat("'", type_name(self), "' object is not reversible"));
}

Value filter_last(Interpreter& interpreter, const Value& self, Arguments&) {
    refuse_generator(self);
    const SequencePtr items = interpreter.iterate(self);
    return items->items.empty() ? Value() : items->items.back();
}

Value filter_list(Interpreter& interpreter, const Value& self, Arguments&) {
    return make_list(interpreter.iterate(self)->items, interpreter.budget());
}

Value filter_reverse(Interpreter& interpreter, const Value& self, Arguments&) {
    Values items = interpreter.iterate(self)->items;
    std::reverse(items.begin(), items.end());
    if (!self.is(Kind::text)) return generator(std::move(items), interpreter);
    return join(items, Text("", Origin::source), interpreter.budget());
}

Value filter_join(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("join", arguments, {"d", "attribute"});
    Budget& budget = interpreter.budget();
    const TextPtr separator =
        bound.at(0).is(Kind::undefined) ? std::make_shared<const Text>("", Origin::source) : to_text(bound.at(0), budget);
    const SequencePtr items = interpreter.iterate(self);
    if (!bound.has(1)) return join(items->items, *separator, budget);
    const AttributePath path(bound.at(1), budget);
    Values values;
    for (const Value& item : items->items) values.push_back(path.of(interpreter, item));
    return join(values, *separator, budget);
}

Value filter_items(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    if (self.is(Kind::undefined)) return generator({}, interpreter);
    if (!self.is(Kind::dict)) throw InvalidInput("can only get item pairs from a mapping");
    return generator(find_container_method(self, "items")(interpreter, self, arguments).sequence()->items, interpreter);
}

Value filter_dictsort(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("dictsort", arguments, {"case_sensitive", "by", "reverse"});
    Budget& budget = interpreter.budget();
    if (!self.is(Kind::dict)) throw InvalidInput(concat("dictsort needs a mapping, not '", type_name(self), "'"));
    const std::string by = bound.has(1) ? bound.text(1)->bytes() : "key";
    if (by != "key" && by != "value") throw InvalidInput("dictsort() sorts by either \"key\" or \"value\"");
    Values items, keys;
    for (const auto& [key, value] : self.dict()->entries) {
        items.push_back(make_tuple({key, value}, budget));
        keys.push_back(sort_key(by == "key" ? key : value, bound.flag(0, false), budget));
    }
    return make_list(in_order(items, keys, bound.flag(2, false), budget), budget);
}

Value filter_sort(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("sort", arguments, {"reverse", "case_sensitive", "attribute"});
    Budget& budget = interpreter.budget();
    std::vector<AttributePath> paths;
    if (bound.at(2).is(Kind::text)) {
        const Text comma(",", Origin::source);
        for (const Value& part : split(bound.text(2), &comma, -1, budget)) paths.emplace_back(part, budget);
    } else {
        paths.emplace_back(bound.at(2), budget);
    }
    const SequencePtr items = interpreter.iterate(self);
    Values keys;
    for (const Value& item : items->items) {
        Values key;
        for (const AttributePath& path : paths) key.push_back(sort_key(path.of(interpreter, item), bound.flag(1, false), budget));
        keys.push_back(make_list(std::move(key), budget));
    }
    return make_list(in_order(items->items, keys, bound.flag(0, false), budget), budget);
}

Value filter_unique(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("unique", arguments, {"case_sensitive", "attribute"});
    Budget& budget = interpreter.budget();
    const AttributePath path(bound.at(1), budget);
    Values kept, seen;
    const SequencePtr items = interpreter.iterate(self);
    for (const Value& item : items->items) {
        Value key = sort_key(path.of(interpreter, item), bound.flag(0, false), budget);
        if (!is_hashable(key)) throw InvalidInput(concat("unhashable type: '", type_name(key), "'"));
        if (std::any_of(seen.begin(), seen.end(), [&](const Value& old) { return equal(old, key, budget); })) continue;
        seen.push_back(std::move(key));
        kept.push_back(item);
    }
    return generator(std::move(kept), interpreter);
}

Value filter_sum(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("sum", arguments, {"attribute", "start"});
    const AttributePath path(bound.at(0), interpreter.budget());
    Value total = bound.at(1).is(Kind::undefined) ? Value(int64_t{0}) : bound.at(1);
    if (total.is(Kind::text)) throw InvalidInput("sum() can't sum strings");
    const SequencePtr items = interpreter.iterate(self);
    for (const Value& item : items->items) {
        total = arithmetic(Op::add, total, path.of(interpreter, item), interpreter.budget());
    }
    return total;
}

template <bool is_max>
Value filter_extreme(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound(is_max ? "max" : "min", arguments, {"case_sensitive", "attribute"});
    Budget& budget = interpreter.budget();
    const AttributePath path(bound.at(1), budget);
    Value best, best_key;
    bool is_first = true;
    const SequencePtr items = interpreter.iterate(self);
    for (const Value& item : items->items) {
        Value key = sort_key(path.of(interpreter, item), bound.flag(0, false), budget);
        if (!is_first && compare(key, best_key, budget) != (is_max ? 1 : -1)) continue;
        is_first = false;
        best = item;
        best_key = std::move(key);
    }
    return best;
}

Value filter_batch(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("batch", arguments, {"linecount", "fill_with"}, 1);
    const int64_t size = bound.integer(0, 1);
    if (size < 1 || size > 100'000) throw InvalidInput("batch() needs a positive line count");
    Values batches, current;
    const auto flush = [&] { batches.push_back(make_list(std::exchange(current, {}), interpreter.budget())); };
    const SequencePtr items = interpreter.iterate(self);
    for (const Value& item : items->items) {
        if (static_cast<int64_t>(current.size()) == size) flush();
        current.push_back(item);
    }
    if (!current.empty()) {
        while (bound.has(1) && static_cast<int64_t>(current.size()) < size) current.push_back(bound.at(1));
        flush();
    }
    return generator(std::move(batches), interpreter);
}

Value filter_slice(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("slice", arguments, {"slices", "fill_with"}, 1);
    const int64_t n_slices = bound.integer(0, 1);
    if (n_slices < 1 || n_slices > 100'000) throw InvalidInput("slice() needs a positive number of slices");
    const SequencePtr items = interpreter.iterate(self);
    const auto n = static_cast<int64_t>(items->items.size());
    Values slices;
    int64_t at = 0;
    for (int64_t i = 0; i < n_slices; ++i) {
        const int64_t size = n / n_slices + (i < n % n_slices ? 1 : 0);
        Values part(items->items.begin() + at, items->items.begin() + at + size);
        if (bound.has(1) && i >= n % n_slices) part.push_back(bound.at(1));
        slices.push_back(make_list(std::move(part), interpreter.budget()));
        at += size;
    }
    return generator(std::move(slices), interpreter);
}

Value filter_groupby(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("groupby", arguments, {"attribute", "default", "case_sensitive"}, 1);
    Budget& budget = interpreter.budget();
    const AttributePath path(bound.at(0), budget);
    const SequencePtr items = interpreter.iterate(self);
    Values names, keys;
    for (const Value& item : items->items) {
        names.push_back(path.of(interpreter, item, bound.has(1) ? &bound.at(1) : nullptr));
        keys.push_back(sort_key(names.back(), bound.flag(2, false), budget));
    }
    Values groups, members;
    const std::vector<size_t> order = sorted_positions(keys, false, budget);
    for (size_t i = 0; i < order.size(); ++i) {
        members.push_back(items->items[order[i]]);
        if (i + 1 < order.size() && equal(keys[order[i]], keys[order[i + 1]], budget)) continue;
        const size_t first = order[i + 1 - members.size()];
        groups.push_back(
            make_tuple({bound.flag(2, false) ? keys[first] : names[first], make_list(std::exchange(members, {}), budget)}, budget));
    }
    return make_list(std::move(groups), budget);
}

constexpr NamedFunction kFilters[] = {{"length", filter_length},      {"count", filter_length},      {"first", filter_first},
                                      {"last", filter_last},          {"list", filter_list},         {"reverse", filter_reverse},
                                      {"join", filter_join},          {"items", filter_items},       {"dictsort", filter_dictsort},
                                      {"sort", filter_sort},          {"unique", filter_unique},     {"sum", filter_sum},
                                      {"min", filter_extreme<false>}, {"max", filter_extreme<true>}, {"batch", filter_batch},
                                      {"slice", filter_slice},        {"groupby", filter_groupby}};

}  // namespace

AttributePath::AttributePath(const Value& path, Budget& budget) {
    if (path.is(Kind::none) || path.is(Kind::undefined)) return;
    if (path.is_integral()) {
        parts_.push_back(path);
        return;
    }
    if (!path.is(Kind::text)) throw InvalidInput(concat("an attribute must be a string or an integer, not '", type_name(path), "'"));
    const Text dot(".", Origin::source);
    for (Value& part : split(path.text(), &dot, -1, budget)) {
        const std::string& name = part.bytes();
        const bool is_number = !name.empty() && name.find_first_not_of("0123456789") == std::string::npos;
        const auto index = is_number ? parse_integer(name, 10) : std::nullopt;
        parts_.push_back(index ? Value(*index) : std::move(part));
    }
}

Value AttributePath::of(Interpreter& interpreter, Value item, const Value* fallback) const {
    for (const Value& part : parts_) {
        item = interpreter.subscript(item, part);
        if (fallback && item.is(Kind::undefined)) item = *fallback;
    }
    return item;
}

Function find_sequence_filter(std::string_view name) { return find_named(kFilters, name); }

}  // namespace quern::jinja
