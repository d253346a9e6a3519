// Values: construction, truth, equality and order, with the rules of Python.
#include "text/chat/jinja/value.h"

#include <algorithm>
#include <cmath>

#include "text/chat/jinja/unicode.h"

namespace quern::jinja {

namespace {

int checked_depth(int depth) {
    if (depth > kMaxValueDepth) throw InvalidInput(concat("a value in the chat template nests deeper than ", kMaxValueDepth, " levels"));
    return depth;
}

bool equal_items(const Values& a, const Values& b, Budget& budget) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i) {
        if (!equal(a[i], b[i], budget)) return false;
    }
    return true;
}

bool equal_sequences(const Sequence& a, const Sequence& b, Budget& budget) {
    if (&a == &b) return true;
    if (a.flavor != b.flavor || a.flavor == Flavor::generator || a.flavor == Flavor::dict_values) return false;
    return equal_items(a.items, b.items, budget);
}

bool equal_dicts(const Dict& a, const Dict& b, Budget& budget) {
    if (&a == &b) return true;
    if (a.entries.size() != b.entries.size()) return false;
    for (const auto& [key, value] : a.entries) {
        const Value* other = b.find(key, budget);
        if (!other || !equal(value, *other, budget)) return false;
    }
    return true;
}

template <typename T>
int three_way(const T& a, const T& b) {
    return a < b ? -1 : b < a ? 1 : a == b ? 0 : 2;
}

int compare_sequences(const Sequence& a, const Sequence& b, Budget& budget) {
    const size_t n = std::min(a.items.size(), b.items.size());
    for (size_t i = 0; i < n; ++i) {
        if (!equal(a.items[i], b.items[i], budget)) return compare(a.items[i], b.items[i], budget);
    }
    return three_way(a.items.size(), b.items.size());
}

}  // namespace

int Value::depth() const {
    switch (kind()) {
        case Kind::sequence:
            return sequence()->depth;
        case Kind::dict:
            return dict()->depth;
        case Kind::object:
            return object()->depth();
        default:
            return 0;
    }
}

const Value* Dict::find(std::string_view key) const {
    for (const auto& [name, value] : entries) {
        if (name.is(Kind::text) && name.bytes() == key) return &value;
    }
    return nullptr;
}

const Value* Dict::find(const Value& key, Budget& budget) const {
    budget.step(entries.size() / 8);
    if (key.is(Kind::text)) return find(std::string_view(key.bytes()));
    for (const auto& [name, value] : entries) {
        if (equal(name, key, budget)) return &value;
    }
    return nullptr;
}

const Value* Namespace::find(std::string_view name) const {
    for (const auto& [key, value] : fields) {
        if (key->bytes() == name) return &value;
    }
    return nullptr;
}

void Namespace::set(const TextPtr& name, Value value) {
    for (auto& [key, old] : fields) {
        if (key->bytes() == name->bytes()) {
            old = std::move(value);
            return;
        }
    }
    fields.emplace_back(name, std::move(value));
}

Value make_sequence(Values items, Flavor flavor, Budget& budget) {
    budget.allocate(sizeof(Sequence) + items.size() * sizeof(Value));
    auto sequence = std::make_shared<Sequence>();
    int depth = 0;
    for (const Value& item : items) depth = std::max(depth, item.depth());
    sequence->depth = checked_depth(depth + 1);
    sequence->items = std::move(items);
    sequence->flavor = flavor;
    return SequencePtr(std::move(sequence));
}

Value make_list(Values items, Budget& budget) { return make_sequence(std::move(items), Flavor::list, budget); }

Value make_tuple(Values items, Budget& budget) { return make_sequence(std::move(items), Flavor::tuple, budget); }

Value make_dict(Dict dict, Budget& budget) {
    budget.allocate(sizeof(Dict) + dict.entries.size() * 2 * sizeof(Value));
    int depth = 0;
    for (const auto& [key, value] : dict.entries) depth = std::max({depth, key.depth(), value.depth()});
    dict.depth = checked_depth(depth + 1);
    return DictPtr(std::make_shared<Dict>(std::move(dict)));
}

Value make_text(std::string bytes, Origin origin, Budget& budget) {
    budget.allocate(sizeof(Text) + bytes.size());
    return TextPtr(std::make_shared<Text>(std::move(bytes), origin));
}

void set_item(Dict& dict, Value key, Value value, Budget& budget) {
    if (!is_hashable(key)) throw InvalidInput(concat("unhashable type: '", type_name(key), "'"));
    if (const Value* old = dict.find(key, budget)) {
        *const_cast<Value*>(old) = std::move(value);  // the dict is ours and still being built
        return;
    }
    dict.entries.emplace_back(std::move(key), std::move(value));
}

bool is_truthy(const Value& value) {
    switch (value.kind()) {
        case Kind::undefined:
        case Kind::none:
            return false;
        case Kind::boolean:
        case Kind::integer:
            return value.integral() != 0;
        case Kind::real:
            return value.number() != 0.0;
        case Kind::text:
            return value.text()->size() != 0;
        case Kind::sequence:
            return value.sequence()->flavor == Flavor::generator || !value.sequence()->items.empty();
        case Kind::dict:
            return !value.dict()->entries.empty();
        case Kind::object:
            return true;
    }
    return true;
}

bool equal(const Value& a, const Value& b, Budget& budget) {
    budget.step();
    if (a.is_number() && b.is_number()) {
        if (a.is_integral() && b.is_integral()) return a.integral() == b.integral();
        return a.number() == b.number();
    }
    if (a.kind() != b.kind()) return false;
    switch (a.kind()) {
        case Kind::text:
            budget.scan(std::min(a.bytes().size(), b.bytes().size()));
            return a.bytes() == b.bytes();
        case Kind::sequence:
            return equal_sequences(*a.sequence(), *b.sequence(), budget);
        case Kind::dict:
            return equal_dicts(*a.dict(), *b.dict(), budget);
        case Kind::object:
            return a.object() == b.object();
        default:
            return true;
    }
}

int compare(const Value& a, const Value& b, Budget& budget) {
    budget.step();
    if (a.is(Kind::undefined)) fail_undefined(a.undefined());
    if (b.is(Kind::undefined)) fail_undefined(b.undefined());
    if (a.is_integral() && b.is_integral()) return three_way(a.integral(), b.integral());
    if (a.is_number() && b.is_number()) return three_way(a.number(), b.number());
    if (a.is(Kind::text) && b.is(Kind::text)) {
        budget.scan(std::min(a.bytes().size(), b.bytes().size()));
        return three_way(a.bytes(), b.bytes());  // byte order of UTF-8 is the order of code points
    }
    if (a.is(Kind::sequence) && b.is(Kind::sequence)) {
        const Flavor flavor = a.sequence()->flavor;
        if (flavor == b.sequence()->flavor && (flavor == Flavor::list || flavor == Flavor::tuple)) {
            return compare_sequences(*a.sequence(), *b.sequence(), budget);
        }
    }
    throw InvalidInput(concat("'", type_name(a), "' and '", type_name(b), "' have no order"));
}

bool is_hashable(const Value& value) {
    if (value.is(Kind::dict)) return false;
    if (!value.is(Kind::sequence)) return true;
    const Sequence& sequence = *value.sequence();
    if (sequence.flavor == Flavor::range || sequence.flavor == Flavor::generator) return true;
    if (sequence.flavor != Flavor::tuple) return false;
    return std::all_of(sequence.items.begin(), sequence.items.end(), is_hashable);
}

std::string_view type_name(const Value& value) {
    constexpr std::string_view kFlavors[] = {"list", "tuple", "range", "generator", "dict_keys", "dict_values", "dict_items"};
    switch (value.kind()) {
        case Kind::undefined:
            return "Undefined";
        case Kind::none:
            return "NoneType";
        case Kind::boolean:
            return "bool";
        case Kind::integer:
            return "int";
        case Kind::real:
            return "float";
        case Kind::text:
            return "str";
        case Kind::sequence:
            return kFlavors[static_cast<size_t>(value.sequence()->flavor)];
        case Kind::dict:
            return "dict";
        case Kind::object:
            return value.object()->type_name();
    }
    return "object";
}

void fail_undefined(const Undefined& undefined) {
    const std::string name = undefined.name ? undefined.name->bytes() : "value";
    if (undefined.is_unsafe) throw InvalidInput(concat("access to attribute '", name, "' is unsafe"));
    throw InvalidInput(concat("'", name, "' is undefined"));
}

}  // namespace quern::jinja
