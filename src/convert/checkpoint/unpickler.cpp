#include "convert/checkpoint/unpickler.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include "base/error.h"
#include "base/printable.h"
#include "convert/checkpoint/pickle_value.h"
#include "gguf/cursor.h"

namespace quern {

using Kind = PickleValue::Kind;

std::string_view to_string(Kind kind) {
    constexpr std::string_view names[] = {"None",   "a bool", "a number", "a float",   "a text",  "a tuple",
                                          "a list", "a dict", "a name",   "a storage", "a tensor"};
    return names[static_cast<size_t>(kind)];
}

namespace {

constexpr size_t most_values = 4'000'000;  // a tensor takes about 20

constexpr std::string_view ordered_dict = "collections OrderedDict";
constexpr std::string_view rebuild_tensor = "torch._utils _rebuild_tensor_v2", rebuild_old_tensor = "torch._utils _rebuild_tensor";
constexpr std::string_view rebuild_parameter = "torch._utils _rebuild_parameter";
constexpr std::string_view torch_size = "torch Size";
constexpr std::string_view storages[] = {"torch FloatStorage", "torch HalfStorage", "torch BFloat16Storage", "torch DoubleStorage",
                                         "torch LongStorage",  "torch IntStorage",  "torch ShortStorage",    "torch CharStorage",
                                         "torch ByteStorage",  "torch BoolStorage"};

bool is_storage(std::string_view global) { return std::find(std::begin(storages), std::end(storages), global) != std::end(storages); }

bool is_allowed(std::string_view global) {
    return is_storage(global) || global == ordered_dict || global == rebuild_tensor || global == rebuild_old_tensor ||
           global == rebuild_parameter || global == torch_size;
}

class Unpickler {
  public:
    Unpickler(std::span<const std::byte> pickle, std::string_view path) : cursor_(pickle, path), path_(path) {}

    /// Runs to STOP and gives the value on top.
    PickleRef run() {
        for (;;) {
            const auto opcode = cursor_.read<uint8_t>("the pickle");
            if (opcode == '.') return pop();
            if (!push_constant(opcode) && !change_container(opcode) && !use_memo(opcode) && !call(opcode))
                fail(concat("opcode ", static_cast<int>(opcode), ", which no saved tensor needs"));
        }
    }

    const PickleValue& value(PickleRef ref) const { return arena_[ref]; }
    [[noreturn]] void fail(std::string_view what) const { throw ModelError(concat(printable(path_), ": the pickle holds ", what)); }

  private:
    PickleRef push(PickleValue value) {
        if (arena_.size() == most_values) fail(concat("more than ", most_values, " values"));
        arena_.push_back(std::move(value));
        stack_.push_back(static_cast<PickleRef>(arena_.size() - 1));
        return stack_.back();
    }
    void push_integer(int64_t n, Kind kind = Kind::integer) { push({.kind = kind, .integer = n, .text = {}, .items = {}}); }
    void push_text(uint64_t n) {
        const auto* at = reinterpret_cast<const char*>(cursor_.skip(n, "a text"));
        push({.kind = Kind::text, .text = {at, static_cast<size_t>(n)}, .items = {}});
    }

    PickleRef pop() {
        if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) fail("fewer values than it uses");
        const PickleRef top = stack_.back();
        stack_.pop_back();
        return top;
    }

    /// All values above the last mark, which is taken away.
    std::vector<PickleRef> pop_mark() {
        if (marks_.empty()) fail("fewer marks than it uses");
        const std::vector<PickleRef> items(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()), stack_.end());
        stack_.resize(marks_.back());
        marks_.pop_back();
        return items;
    }

    /// The container on top of the stack.
    PickleValue& top(Kind kind) {
        if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) fail("fewer values than it uses");
        PickleValue& value = arena_[stack_.back()];
        if (value.kind != kind) fail(concat(to_string(value.kind), " where ", to_string(kind), " should be"));
        return value;
    }

    bool push_constant(uint8_t opcode) {
        switch (opcode) {
            case 0x80:  // PROTO
                cursor_.skip(1, "the protocol");
                return true;
            case 0x95:  // FRAME
                cursor_.skip(8, "a frame");
                return true;
            case 'N':
                push({});
                return true;
            case 0x88:
            case 0x89:
                push_integer(opcode == 0x88, Kind::boolean);
                return true;
            case 'J':
                push_integer(cursor_.read<int32_t>("a number"));
                return true;
            case 'K':
                push_integer(cursor_.read<uint8_t>("a number"));
                return true;
            case 'M':
                push_integer(cursor_.read<uint16_t>("a number"));
                return true;
            case 0x8a:
                push_long();
                return true;
            case 'G':
                cursor_.skip(8, "a number");
                push_integer(0, Kind::real);
                return true;
            case 'X':
                push_text(cursor_.read<uint32_t>("a text's length"));
                return true;
            case 0x8c:
                push_text(cursor_.read<uint8_t>("a text's length"));
                return true;
            default:
                return false;
        }
    }

    void push_long() {
        const auto n = cursor_.read<uint8_t>("a number's length");
        if (n > 8) fail("a whole number of more than 64 bits");
        const auto* at = reinterpret_cast<const uint8_t*>(cursor_.skip(n, "a number"));
        uint64_t bits = n > 0 && at[n - 1] & 0x80 ? ~uint64_t{0} : 0;
        for (int i = n - 1; i >= 0; --i) bits = bits << 8 | at[i];
        push_integer(static_cast<int64_t>(bits));
    }

    bool change_container(uint8_t opcode) {
        switch (opcode) {
            case '(':
                marks_.push_back(stack_.size());
                return true;
            case ')':
                push({.kind = Kind::tuple, .text = {}, .items = {}});
                return true;
            case ']':
                push({.kind = Kind::list, .text = {}, .items = {}});
                return true;
            case '}':
                push({.kind = Kind::dict, .text = {}, .items = {}});
                return true;
            case 't':
                push({.kind = Kind::tuple, .text = {}, .items = pop_mark()});
                return true;
            case 0x85:
            case 0x86:
            case 0x87:
                push_small_tuple(opcode - 0x84);
                return true;
            case 'a':
            case 's':
                append(opcode == 'a' ? Kind::list : Kind::dict, pop_last(opcode == 'a' ? 1 : 2));
                return true;
            case 'e':
            case 'u':
                append(opcode == 'e' ? Kind::list : Kind::dict, pop_mark());
                return true;
            default:
                return false;
        }
    }

    std::vector<PickleRef> pop_last(int n) {
        std::vector<PickleRef> items(static_cast<size_t>(n));
        for (int i = n - 1; i >= 0; --i) items[static_cast<size_t>(i)] = pop();
        return items;
    }

    void push_small_tuple(int n) { push({.kind = Kind::tuple, .text = {}, .items = pop_last(n)}); }

    void append(Kind kind, const std::vector<PickleRef>& items) {
        if (kind == Kind::dict && items.size() % 2) fail("a dict with a key and no value");
        PickleValue& to = top(kind);
        to.items.insert(to.items.end(), items.begin(), items.end());
    }

    bool use_memo(uint8_t opcode) {
        switch (opcode) {
            case 'q':
                remember(cursor_.read<uint8_t>("a memo"));
                return true;
            case 'r':
                remember(cursor_.read<uint32_t>("a memo"));
                return true;
            case 0x94:
                remember(static_cast<uint32_t>(memo_.size()));
                return true;
            case 'h':
                recall(cursor_.read<uint8_t>("a memo"));
                return true;
            case 'j':
                recall(cursor_.read<uint32_t>("a memo"));
                return true;
            default:
                return false;
        }
    }

    void remember(uint32_t number) {
        const PickleRef ref = pop();
        stack_.push_back(ref);
        memo_[number] = ref;
    }
    void recall(uint32_t number) {
        const auto found = memo_.find(number);
        if (found == memo_.end()) fail(concat("memo ", number, ", which was never set"));
        stack_.push_back(found->second);
    }

    bool call(uint8_t opcode) {
        switch (opcode) {
            case 'c': {
                const std::string_view module = read_line();
                push_global(module, read_line());
                return true;
            }
            case 0x93: {
                const PickleRef name = pop(), module = pop();
                if (arena_[name].kind != Kind::text || arena_[module].kind != Kind::text) fail("a name that is no text");
                push_global(arena_[module].text, arena_[name].text);
                return true;
            }
            case 'Q':
                push_storage(pop());
                return true;
            case 'R':
                reduce();
                return true;
            case 'b':  // attributes of a dict, which torch gives a version number
                pop();
                top(Kind::dict);
                return true;
            default:
                return false;
        }
    }

    std::string_view read_line() {
        const std::byte* const begin = cursor_.skip(0, "a name");
        size_t n = 0;
        while (cursor_.read<char>("a name") != '\n') ++n;
        return {reinterpret_cast<const char*>(begin), n};
    }

    void push_global(std::string_view module, std::string_view name) {
        const std::string full = concat(module, " ", name);
        if (!is_allowed(full))
            throw ModelError(concat(printable(path_), ": the pickle asks for ", quoted(concat(module, ".", name)),
                                    ", which is no part of a tensor; it was not run. A checkpoint in safetensors has no such thing"));
        push({.kind = Kind::global, .text = *names_.insert(full).first, .items = {}});
    }

    // ("storage", type, key, place, number of values)
    void push_storage(PickleRef id) {
        const PickleValue& tuple = arena_[id];
        const bool fits = tuple.kind == Kind::tuple && tuple.items.size() == 5 && arena_[tuple.items[0]].text == "storage" &&
                          arena_[tuple.items[1]].kind == Kind::global && is_storage(arena_[tuple.items[1]].text) &&
                          arena_[tuple.items[2]].kind == Kind::text;
        if (!fits) fail("a storage that is not (type, key, place, size)");
        const PickleRef key = tuple.items[2];
        push({.kind = Kind::storage, .text = arena_[tuple.items[1]].text.substr(std::string_view("torch ").size()), .items = {key}});
    }

    void reduce() {
        const PickleRef arguments = pop(), function = pop();
        if (arena_[function].kind != Kind::global || arena_[arguments].kind != Kind::tuple) fail("a call that is none");
        const std::string_view name = arena_[function].text;
        const std::vector<PickleRef>& given = arena_[arguments].items;
        if (name == ordered_dict && given.empty()) {
            push({.kind = Kind::dict, .text = {}, .items = {}});
        } else if ((name == rebuild_tensor || name == rebuild_old_tensor) && given.size() >= 4 && arena_[given[0]].kind == Kind::storage &&
                   arena_[given[1]].kind == Kind::integer && arena_[given[2]].kind == Kind::tuple && arena_[given[3]].kind == Kind::tuple) {
            push({.kind = Kind::tensor, .text = {}, .items = {given[0], given[1], given[2], given[3]}});
        } else if (name == rebuild_parameter && !given.empty() && arena_[given[0]].kind == Kind::tensor) {
            stack_.push_back(given[0]);
        } else if (name == torch_size && given.size() == 1 && arena_[given[0]].kind == Kind::tuple) {
            stack_.push_back(given[0]);
        } else {
            fail(concat("a call of ", name, " with arguments that do not suit it"));
        }
    }

    Cursor cursor_;
    std::string_view path_;
    std::vector<PickleValue> arena_;
    std::vector<PickleRef> stack_;
    std::vector<size_t> marks_;
    std::unordered_map<uint32_t, PickleRef> memo_;
    std::set<std::string> names_;
};

std::vector<int64_t> integers_of(const Unpickler& pickle, PickleRef tuple) {
    std::vector<int64_t> out;
    for (const PickleRef each : pickle.value(tuple).items) {
        if (pickle.value(each).kind != Kind::integer) pickle.fail("a size that is no whole number");
        out.push_back(pickle.value(each).integer);
    }
    return out;
}

PickledTensor tensor_of(const Unpickler& pickle, std::string_view name, const PickleValue& value) {
    const PickleValue& storage = pickle.value(value.items[0]);
    PickledTensor tensor{.name = std::string(name), .storage_type = std::string(storage.text)};
    tensor.storage_key = std::string(pickle.value(storage.items[0]).text);
    tensor.offset = pickle.value(value.items[1]).integer;
    tensor.sizes = integers_of(pickle, value.items[2]);
    tensor.strides = integers_of(pickle, value.items[3]);
    if (tensor.sizes.size() != tensor.strides.size() || tensor.sizes.size() > 16)
        pickle.fail(concat("tensor ", quoted(name), " of an impossible shape"));
    return tensor;
}

/// What stands under the key, or nullptr.
const PickleValue* entry(const Unpickler& pickle, const PickleValue& dict, std::string_view key) {
    for (size_t i = 0; i + 1 < dict.items.size(); i += 2)
        if (pickle.value(dict.items[i]).kind == Kind::text && pickle.value(dict.items[i]).text == key)
            return &pickle.value(dict.items[i + 1]);
    return nullptr;
}

}  // namespace

std::vector<PickledTensor> read_pickle(std::span<const std::byte> bytes, std::string_view path) {
    Unpickler pickle(bytes, path);
    const PickleValue* dict = &pickle.value(pickle.run());
    if (dict->kind != Kind::dict) pickle.fail(concat(to_string(dict->kind), ", not a dict of tensors"));
    for (const std::string_view inner : {"state_dict", "model"})
        if (const PickleValue* found = entry(pickle, *dict, inner); found && found->kind == Kind::dict) {
            dict = found;
            break;
        }
    std::vector<PickledTensor> tensors;
    for (size_t i = 0; i + 1 < dict->items.size(); i += 2) {
        const PickleValue &key = pickle.value(dict->items[i]), &value = pickle.value(dict->items[i + 1]);
        if (value.kind != Kind::tensor) continue;
        if (key.kind != Kind::text) pickle.fail("a tensor whose name is no text");
        tensors.push_back(tensor_of(pickle, key.text, value));
    }
    return tensors;
}

}  // namespace quern
