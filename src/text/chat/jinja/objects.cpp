// Attributes of `loop`, namespaces, macros and cyclers; the global functions.
#include "text/chat/jinja/objects.h"

#include <algorithm>
#include <ctime>

#include "base/error.h"
#include "text/chat/jinja/interpreter.h"
#include "text/chat/jinja/operators.h"
#include "text/chat/jinja/print.h"

namespace quern::jinja {

namespace {

Value loop_cycle(Interpreter&, const Value& self, Arguments& arguments) {
    if (arguments.positional.empty()) throw InvalidInput("no items for cycling given");
    const auto& loop = static_cast<const LoopState&>(*self.object());
    return arguments.positional[static_cast<size_t>(loop.index0) % arguments.positional.size()];
}

Value loop_changed(Interpreter& interpreter, const Value& self, Arguments& arguments) {
    const auto loop = std::static_pointer_cast<LoopState>(self.object());
    const Value current = make_tuple(arguments.positional, interpreter.budget());
    if (equal(loop->last_changed, current, interpreter.budget())) return false;
    interpreter.budget().allocate(sizeof(LoopState));
    if (loop->last_changed.is(Kind::undefined)) interpreter.keep_loop(loop);
    loop->last_changed = current;
    return true;
}

Value item_or_undefined(const LoopState& loop, int64_t i, const TextPtr& name) {
    if (!loop.items || i < 0 || i >= loop.length) return Undefined{.name = name};
    return loop.items->items[static_cast<size_t>(i)];
}

Value loop_attribute(const Value& self, const LoopState& loop, const TextPtr& name) {
    const std::string_view word = name->bytes();
    if (word == "index") return loop.index0 + 1;
    if (word == "index0") return loop.index0;
    if (word == "first") return loop.index0 == 0;
    if (word == "last") return loop.index0 + 1 >= loop.length;
    if (word == "length") return loop.length;
    if (word == "revindex") return loop.length - loop.index0;
    if (word == "revindex0") return loop.length - loop.index0 - 1;
    if (word == "previtem") return item_or_undefined(loop, loop.index0 - 1, name);
    if (word == "nextitem") return item_or_undefined(loop, loop.index0 + 1, name);
    if (word == "depth") return int64_t{1};
    if (word == "depth0") return int64_t{0};
    if (word == "cycle") return ObjectPtr(std::make_shared<BoundFunction>(self, loop_cycle, "cycle"));
    if (word == "changed") return ObjectPtr(std::make_shared<BoundFunction>(self, loop_changed, "changed"));
    return Undefined{.name = name};
}

Value cycler_next(Interpreter&, const Value& self, Arguments&) {
    auto& cycler = static_cast<Cycler&>(*self.object());
    Value item = cycler.items->items[cycler.position];
    cycler.position = (cycler.position + 1) % cycler.items->items.size();
    return item;
}

Value cycler_reset(Interpreter&, const Value& self, Arguments&) {
    static_cast<Cycler&>(*self.object()).position = 0;
    return nullptr;
}

Value cycler_attribute(const Value& self, const Cycler& cycler, const TextPtr& name) {
    if (name->bytes() == "current") return cycler.items->items[cycler.position];
    if (name->bytes() == "next") return ObjectPtr(std::make_shared<BoundFunction>(self, cycler_next, "next"));
    if (name->bytes() == "reset") return ObjectPtr(std::make_shared<BoundFunction>(self, cycler_reset, "reset"));
    return Undefined{.name = name};
}

Value global_range(Interpreter& interpreter, const Value&, Arguments& arguments) {
    const Bound bound("range", arguments, {"start", "stop", "step"}, 1);
    const bool has_stop = arguments.positional.size() > 1;
    const int64_t step = bound.integer(2, 1);
    if (step == 0) throw InvalidInput("range() needs a step other than 0");
    return make_range(has_stop ? bound.integer(0, 0) : 0, bound.integer(has_stop ? 1 : 0, 0), step, interpreter.budget());
}

/// dict(mapping_or_pairs, name=value, ...)
Dict dict_of(Interpreter& interpreter, const Arguments& arguments) {
    if (arguments.positional.size() > 1) throw InvalidInput("dict expected at most 1 argument");
    Dict dict;
    if (!arguments.positional.empty()) {
        const Value& source = arguments.positional[0];
        if (source.is(Kind::dict)) {
            interpreter.budget().allocate(source.dict()->entries.size() * 2 * sizeof(Value));
            dict = *source.dict();
        } else {
            const SequencePtr pairs = interpreter.iterate(source);
            for (const Value& pair : pairs->items) {
                const SequencePtr items = interpreter.iterate(pair);
                if (items->items.size() != 2) throw InvalidInput("dict() needs pairs of key and value");
                set_item(dict, items->items[0], items->items[1], interpreter.budget());
            }
        }
    }
    for (const auto& [name, value] : arguments.named) {
        set_item(dict, make_text(name, Origin::source, interpreter.budget()), value, interpreter.budget());
    }
    return dict;
}

Value global_dict(Interpreter& interpreter, const Value&, Arguments& arguments) {
    return make_dict(dict_of(interpreter, arguments), interpreter.budget());
}

Value global_namespace(Interpreter& interpreter, const Value&, Arguments& arguments) {
    std::vector<std::pair<TextPtr, Value>> fields;
    for (auto& [key, value] : dict_of(interpreter, arguments).entries) {
        if (!key.is(Kind::text)) throw InvalidInput("namespace() needs names that are strings");
        if (key.bytes().substr(0, 1) == "_") throw InvalidInput("attributes of a namespace may not begin with an underscore");
        fields.emplace_back(key.text(), std::move(value));
    }
    return interpreter.make_namespace(std::move(fields));
}

Value global_cycler(Interpreter& interpreter, const Value&, Arguments& arguments) {
    if (arguments.positional.empty()) throw InvalidInput("at least one item has to be provided");
    const Value items = make_list(arguments.positional, interpreter.budget());
    if (items.depth() >= kMaxValueDepth) throw InvalidInput("a value in the chat template nests too deeply");
    return ObjectPtr(std::make_shared<Cycler>(items.sequence()));
}

Value global_joiner(Interpreter& interpreter, const Value&, Arguments& arguments) {
    const Bound bound("joiner", arguments, {"sep"});
    const Value separator = bound.has(0) ? bound.at(0) : make_text(", ", Origin::source, interpreter.budget());
    return ObjectPtr(std::make_shared<Joiner>(to_text(separator, interpreter.budget())));
}

Value global_raise_exception(Interpreter& interpreter, const Value&, Arguments& arguments) {
    const Bound bound("raise_exception", arguments, {"message"}, 1);
    throw RaisedByTemplate(to_text(bound.at(0), interpreter.budget())->bytes(), "messages");
}

Value global_strftime_now(Interpreter& interpreter, const Value&, Arguments& arguments) {
    const Bound bound("strftime_now", arguments, {"format"}, 1);
    const std::string& format = bound.text(0)->bytes();
    if (format.size() > 256) throw InvalidInput("strftime_now() needs a format of at most 256 bytes");
    const std::time_t now = std::time(nullptr);
    std::tm local{};
    localtime_r(&now, &local);
    char buffer[4096];
    const size_t length = std::strftime(buffer, sizeof buffer, format.c_str(), &local);
    return make_text(std::string(buffer, length), Origin::source, interpreter.budget());
}

constexpr NamedFunction kGlobals[] = {{"range", global_range},
                                      {"dict", global_dict},
                                      {"namespace", global_namespace},
                                      {"cycler", global_cycler},
                                      {"joiner", global_joiner},
                                      {"raise_exception", global_raise_exception},
                                      {"strftime_now", global_strftime_now}};

}  // namespace

Value Joiner::call(Interpreter& interpreter, Arguments&) {
    if (std::exchange(is_used_, true)) return separator_;
    return make_text("", Origin::source, interpreter.budget());
}

Value object_attribute(Interpreter& interpreter, const Value& self, const TextPtr& name) {
    const Object& object = *self.object();
    if (const auto* name_space = dynamic_cast<const Namespace*>(&object)) {
        interpreter.budget().step(name_space->fields.size() / 8);
        const Value* found = name_space->find(name->bytes());
        return found ? *found : Value(Undefined{.name = name});
    }
    if (const auto* loop = dynamic_cast<const LoopState*>(&object)) return loop_attribute(self, *loop, name);
    if (const auto* cycler = dynamic_cast<const Cycler*>(&object)) return cycler_attribute(self, *cycler, name);
    if (const auto* macro = dynamic_cast<const Macro*>(&object); macro && name->bytes() == "name") return macro->name();
    return Undefined{.name = name, .is_unsafe = name->bytes().substr(0, 1) == "_"};
}

Function find_global(std::string_view name) {
    const auto* found = std::find_if(std::begin(kGlobals), std::end(kGlobals), [&](const auto& entry) { return entry.name == name; });
    return found == std::end(kGlobals) ? nullptr : found->function;
}

}  // namespace quern::jinja
