// The methods of lists, tuples and dicts that change nothing.
#include <algorithm>

#include "base/error.h"
#include "text/chat/jinja/interpreter.h"

namespace quern::jinja {

namespace {

Value dict_get(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("get", arguments, {"key", "default"}, 1);
    if (!is_hashable(bound.at(0))) throw InvalidInput(concat("unhashable type: '", type_name(bound.at(0)), "'"));
    const Value* found = self.dict()->find(bound.at(0), interpreter.budget());
    if (found) return *found;
    return arguments.positional.size() > 1 || !arguments.named.empty() ? bound.at(1) : Value(nullptr);
}

Value dict_keys(Interpreter& interpreter, const Value& self, Arguments&) {
    Values keys;
    for (const auto& [key, value] : self.dict()->entries) keys.push_back(key);
    return make_sequence(std::move(keys), Flavor::dict_keys, interpreter.budget());
}

Value dict_values(Interpreter& interpreter, const Value& self, Arguments&) {
    Values values;
    for (const auto& [key, value] : self.dict()->entries) values.push_back(value);
    return make_sequence(std::move(values), Flavor::dict_values, interpreter.budget());
}

Value dict_items(Interpreter& interpreter, const Value& self, Arguments&) {
    Values items;
    for (const auto& [key, value] : self.dict()->entries) items.push_back(make_tuple({key, value}, interpreter.budget()));
    return make_sequence(std::move(items), Flavor::dict_items, interpreter.budget());
}

Value copy_of(Interpreter&, const Value& self, Arguments&) { return self; }

Value sequence_index(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("index", arguments, {"value"}, 1);
    const Values& items = self.sequence()->items;
    for (size_t i = 0; i < items.size(); ++i) {
        if (equal(items[i], bound.at(0), interpreter.budget())) return static_cast<int64_t>(i);
    }
    throw InvalidInput("the value is not in the list");
}

Value sequence_count(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const Bound bound("count", arguments, {"value"}, 1);
    int64_t n = 0;
    for (const Value& item : self.sequence()->items) n += equal(item, bound.at(0), interpreter.budget()) ? 1 : 0;
    return n;
}

constexpr NamedFunction kDictMethods[] = {
    {"get", dict_get}, {"keys", dict_keys}, {"values", dict_values}, {"items", dict_items}, {"copy", copy_of}};
constexpr NamedFunction kSequenceMethods[] = {{"index", sequence_index}, {"count", sequence_count}, {"copy", copy_of}};

constexpr std::string_view kDictMutators[] = {"clear", "pop", "popitem", "setdefault", "update"};
constexpr std::string_view kListMutators[] = {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"};

template <typename Table>
Function find_in(const Table& table, std::string_view name) {
    for (const NamedFunction& entry : table) {
        if (entry.name == name) return entry.function;
    }
    return nullptr;
}

template <typename Table>
bool is_in(const Table& table, std::string_view name) {
    return std::find(std::begin(table), std::end(table), name) != std::end(table);
}

}  // namespace

Function find_container_method(const Value& self, std::string_view name) {
    if (self.is(Kind::dict)) return find_in(kDictMethods, name);
    const Flavor flavor = self.sequence()->flavor;
    if (flavor > Flavor::range || (flavor != Flavor::list && name == "copy")) return nullptr;
    return find_in(kSequenceMethods, name);
}

bool is_mutating_method(const Value& self, std::string_view name) {
    if (self.is(Kind::dict)) return is_in(kDictMutators, name);
    return self.is(Kind::sequence) && self.sequence()->flavor == Flavor::list && is_in(kListMutators, name);
}

}  // namespace quern::jinja
