#include "convert/vocabulary/special_tokens.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "base/error.h"
#include "base/printable.h"
#include "convert/checkpoint/json_file.h"

namespace quern {
namespace {

using Json = nlohmann::json;

struct SpecialName {
    const char* entry;  // in tokenizer_config.json and special_tokens_map.json
    const char* key;    // tokenizer.ggml.KEY_token_id
};
constexpr SpecialName special_names[] = {{"bos_token", "bos"},       {"eos_token", "eos"},     {"unk_token", "unknown"},
                                         {"sep_token", "seperator"}, {"pad_token", "padding"}, {"cls_token", "cls"},
                                         {"mask_token", "mask"}};

Json object_or_empty(const std::string& path) {
    const auto json = read_json_file_if_there(path);
    if (!json) return Json::object();
    if (!json->is_object()) throw ModelError(concat(printable(path), ": is no JSON object"));
    return *json;
}

/// A token is written as its text, or as an object with `content`.
std::optional<std::string> token_text(const Json& json, const char* name) {
    const auto found = json.find(name);
    if (found == json.end()) return std::nullopt;
    if (found->is_string()) return found->get<std::string>();
    if (found->is_object() && found->contains("content") && (*found)["content"].is_string()) return (*found)["content"].get<std::string>();
    return std::nullopt;
}

std::optional<bool> flag(const Json& json, const char* name) {
    const auto found = json.find(name);
    return found != json.end() && found->is_boolean() ? std::optional(found->get<bool>()) : std::nullopt;
}

/// Sets a token that the tokenizer's own file lacks, or gives a normal one its type.
void add_token(int64_t id, const std::string& text, bool special, ConvertedVocabulary& v) {
    const auto at = static_cast<size_t>(id);
    const bool is_known = id >= 0 && at < v.n_tokens() && v.kinds[at] != 0;
    if (is_known && v.kinds[at] != static_cast<int32_t>(TokenKind::normal) && v.pieces[at] == text) return;
    if (is_known && v.kinds[at] == static_cast<int32_t>(TokenKind::unknown)) return;
    v.set(id, text, special ? TokenKind::control : TokenKind::user_defined);
}

class SpecialReader {
  public:
    SpecialReader(const std::string& folder, const CheckpointConfig& config, ConvertedVocabulary& v)
        : folder_(folder),
          config_(config),
          tokenizer_(object_or_empty(folder + "/tokenizer_config.json")),
          map_(object_or_empty(folder + "/special_tokens_map.json")),
          generation_(object_or_empty(folder + "/generation_config.json")),
          v_(v) {}

    void read() {
        read_added();
        read_names();
        read_ids();
        read_ends();
        if (const auto value = flag(tokenizer_, "add_bos_token")) v_.add_bos = value;
        if (const auto value = flag(tokenizer_, "add_eos_token")) v_.add_eos = value;
        if (v_.model == "bert" && !v_.lowercase) {  // what vocab.txt cannot say
            v_.lowercase = flag(tokenizer_, "do_lower_case");
            v_.strip_accents = flag(tokenizer_, "strip_accents");
            v_.chinese_characters_apart = flag(tokenizer_, "tokenize_chinese_chars");
        }
        read_templates();
    }

  private:
    void read_added() {
        std::set<std::string> special;
        for (const Json* source : {&tokenizer_, &map_}) {
            for (const SpecialName& each : special_names)
                if (const auto text = token_text(*source, each.entry)) special.insert(*text);
            if (const auto more = source->find("additional_special_tokens"); more != source->end() && more->is_array())
                for (const Json& each : *more) {
                    if (each.is_string()) special.insert(each.get<std::string>());
                    if (const auto text = each.is_object() ? token_text(each, "content") : std::nullopt) special.insert(*text);
                }
        }
        const std::string path = folder_ + "/added_tokens.json";
        const Json added = object_or_empty(path);
        for (const auto& [text, id] : added.items()) {
            if (!id.is_number_integer())
                throw ModelError(concat(printable(path), ": token ", quoted(text), " has an id that is no number"));
            add_token(id.get<int64_t>(), text, special.contains(text) || (text.starts_with("<|") && text.ends_with("|>")), v_);
        }
        if (const auto decoder = tokenizer_.find("added_tokens_decoder"); decoder != tokenizer_.end() && decoder->is_object())
            for (const auto& [number, token] : decoder->items()) {
                int64_t id = -1;
                std::from_chars(number.data(), number.data() + number.size(), id);
                const auto text = token.is_object() ? token_text(token, "content") : std::nullopt;
                if (!text) continue;
                add_token(id, *text, flag(token, "special").value_or(false), v_);
                if (flag(token, "lstrip").value_or(false)) v_.strips_before.insert(static_cast<int32_t>(id));
                if (flag(token, "rstrip").value_or(false)) v_.strips_behind.insert(static_cast<int32_t>(id));
            }
        for (const std::string& text : special)
            if (const auto id = v_.find(text); id && v_.kinds[static_cast<size_t>(*id)] == static_cast<int32_t>(TokenKind::normal))
                v_.kinds[static_cast<size_t>(*id)] = static_cast<int32_t>(TokenKind::control);
    }

    void read_names() {
        for (const SpecialName& each : special_names)
            for (const Json* source : {&tokenizer_, &map_}) {
                const auto text = token_text(*source, each.entry);
                if (const auto id = text ? v_.find(*text) : std::nullopt) {
                    v_.special_ids[each.key] = *id;
                    break;
                }
            }
    }

    /// What no name says, config.json's ids do, where the vocabulary has them.
    void read_ids() {
        const auto set = [&](const char* key, CheckpointConfig::Names names) {
            const std::vector<int64_t> ids = config_.integers(names);
            if (v_.special_ids.contains(key) || ids.empty() || ids.front() < 0 || static_cast<size_t>(ids.front()) >= v_.n_tokens()) return;
            v_.special_ids[key] = static_cast<int32_t>(ids.front());
        };
        set("bos", {"bos_token_id"});
        set("eos", {"eos_token_id"});
        set("padding", {"pad_token_id"});
    }

    void read_ends() {
        std::vector<int64_t> ids = config_.integers({"eos_token_id"});
        if (const auto found = generation_.find("eos_token_id"); found != generation_.end()) {
            if (found->is_number_integer()) ids.push_back(found->get<int64_t>());
            if (found->is_array())
                for (const Json& each : *found)
                    if (each.is_number_integer()) ids.push_back(each.get<int64_t>());
        }
        if (const auto eos = v_.special_ids.find("eos"); eos != v_.special_ids.end()) ids.insert(ids.begin(), eos->second);
        for (const int64_t id : ids)
            if (id >= 0 && static_cast<size_t>(id) < v_.n_tokens() &&
                std::find(v_.end_ids.begin(), v_.end_ids.end(), id) == v_.end_ids.end())
                v_.end_ids.push_back(static_cast<int32_t>(id));
    }

    void read_templates() {
        const auto set = [&](const std::string& name, const std::string& text) {
            if (name == "default")
                v_.chat_template = text;
            else
                v_.named_templates.emplace_back(name, text);
        };
        const Json separate = object_or_empty(folder_ + "/chat_template.json");
        for (const Json* source : std::initializer_list<const Json*>{&tokenizer_, &separate}) {
            const auto found = source->find("chat_template");
            if (found == source->end()) continue;
            if (found->is_string()) set("default", found->get<std::string>());
            if (found->is_array())
                for (const Json& each : *found) {
                    const auto name = each.is_object() ? token_text(each, "name") : std::nullopt,
                               text = each.is_object() ? token_text(each, "template") : std::nullopt;
                    if (name && text && !name->empty() && name->size() < 100) set(*name, *text);
                }
        }
        if (const auto text = read_file_if_there(folder_ + "/chat_template.jinja", uint64_t{16} << 20)) set("default", *text);
    }

    const std::string& folder_;
    const CheckpointConfig& config_;
    const Json tokenizer_, map_, generation_;
    ConvertedVocabulary& v_;
};

}  // namespace

void read_special_tokens(const std::string& folder, const CheckpointConfig& config, ConvertedVocabulary& vocabulary) {
    SpecialReader(folder, config, vocabulary).read();
}

}  // namespace quern
