// Binding of arguments, and the look-up of functions by name.
#include "text/chat/jinja/functions.h"

#include <algorithm>

#include "base/error.h"

namespace quern::jinja {

namespace {

const Value kMissing;

}  // namespace

Bound::Bound(std::string_view callee, const Arguments& arguments, std::initializer_list<std::string_view> names, size_t n_required)
    : callee_(callee), values_(names.size(), nullptr) {
    if (arguments.positional.size() > names.size()) {
        throw InvalidInput(concat(callee, "() takes at most ", names.size(), " argument(s), got ", arguments.positional.size()));
    }
    for (size_t i = 0; i < arguments.positional.size(); ++i) values_[i] = &arguments.positional[i];
    for (const auto& [name, value] : arguments.named) {
        const auto* found = std::find(names.begin(), names.end(), name);
        if (found == names.end()) throw InvalidInput(concat(callee, "() has no argument '", name, "'"));
        const Value*& slot = values_[static_cast<size_t>(found - names.begin())];
        if (slot) throw InvalidInput(concat(callee, "() got the argument '", name, "' twice"));
        slot = &value;
    }
    for (size_t i = 0; i < n_required; ++i) {
        if (!values_[i]) throw InvalidInput(concat(callee, "() lacks the argument '", *(names.begin() + i), "'"));
    }
}

const Value& Bound::at(size_t i) const { return values_[i] ? *values_[i] : kMissing; }

bool Bound::flag(size_t i, bool fallback) const { return values_[i] ? is_truthy(*values_[i]) : fallback; }

int64_t Bound::integer(size_t i, int64_t fallback) const {
    if (!values_[i]) return fallback;
    if (values_[i]->is(Kind::undefined)) fail_undefined(values_[i]->undefined());
    if (!values_[i]->is_integral()) throw InvalidInput(concat(callee_, "() needs an integer, not '", type_name(*values_[i]), "'"));
    return values_[i]->integral();
}

const TextPtr& Bound::text(size_t i) const {
    const Value& value = at(i);
    if (!value.is(Kind::text)) throw InvalidInput(concat(callee_, "() needs a string, not '", type_name(value), "'"));
    return value.text();
}

Function find_filter(std::string_view name) {
    if (const Function found = find_text_filter(name)) return found;
    if (const Function found = find_number_filter(name)) return found;
    if (const Function found = find_sequence_filter(name)) return found;
    return find_selection_filter(name);
}

Function find_method(const Value& self, std::string_view name) {
    if (self.is(Kind::text)) return find_text_method(name);
    if (self.is(Kind::sequence) || self.is(Kind::dict)) return find_container_method(self, name);
    return nullptr;
}

}  // namespace quern::jinja
