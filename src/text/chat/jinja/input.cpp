// JSON to template values, marked as input.
#include "text/chat/jinja/input.h"

#include <algorithm>
#include <limits>

#include "base/error.h"

namespace quern::jinja {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kRoles[] = {"system", "user",  "assistant",   "tool",    "developer", "function",  "ipython",   "model",
                                       "bot",    "human", "observation", "context", "document",  "documents", "reference", "critic"};

class Converter {
  public:
    explicit Converter(Budget& budget) : budget_(budget) {}

    Value convert(const Json& json, int depth) {
        budget_.step();
        if (depth > kMaxValueDepth) throw InvalidInput(concat("the request nests deeper than ", kMaxValueDepth, " levels"));
        switch (json.type()) {
            case Json::value_t::null:
                return nullptr;
            case Json::value_t::boolean:
                return json.get<bool>();
            case Json::value_t::number_integer:
                return json.get<int64_t>();
            case Json::value_t::number_unsigned: {
                const auto number = json.get<uint64_t>();
                if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return static_cast<double>(number);
                return static_cast<int64_t>(number);
            }
            case Json::value_t::number_float:
                return json.get<double>();
            case Json::value_t::string:
                return make_text(json.get_ref<const std::string&>(), Origin::input, budget_);
            case Json::value_t::array:
                return array(json, depth);
            case Json::value_t::object:
                return object(json, depth, false);
            default:
                throw InvalidInput("the request holds a value that is not JSON");
        }
    }

    Value object(const Json& json, int depth, bool is_message) {
        Dict dict;
        dict.from_input = true;
        dict.entries.reserve(json.size());
        for (const auto& [key, item] : json.items()) {
            const bool is_role = is_message && key == "role" && item.is_string() &&
                                 std::find(std::begin(kRoles), std::end(kRoles), item.get_ref<const std::string&>()) != std::end(kRoles);
            Value value = is_role ? make_text(item.get_ref<const std::string&>(), Origin::source, budget_) : convert(item, depth + 1);
            dict.entries.emplace_back(make_text(key, Origin::input, budget_), std::move(value));
        }
        return make_dict(std::move(dict), budget_);
    }

    Value wrap(Values items) {
        auto sequence = std::make_shared<Sequence>(*make_list(std::move(items), budget_).sequence());
        sequence->from_input = true;
        return SequencePtr(std::move(sequence));
    }

  private:
    Value array(const Json& json, int depth) {
        Values items;
        items.reserve(json.size());
        for (const Json& item : json) items.push_back(convert(item, depth + 1));
        return wrap(std::move(items));
    }

    Budget& budget_;
};

}  // namespace

Value from_json(const Json& json, Budget& budget) { return Converter(budget).convert(json, 0); }

Value from_messages(const Json& messages, Budget& budget) {
    if (!messages.is_array()) throw InvalidInput("messages must be an array", "messages");
    Converter converter(budget);
    Values items;
    items.reserve(messages.size());
    for (const Json& message : messages) {
        if (!message.is_object()) throw InvalidInput("each message must be an object", "messages");
        items.push_back(converter.object(message, 1, true));
    }
    return converter.wrap(std::move(items));
}

}  // namespace quern::jinja
