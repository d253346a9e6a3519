#include "server/ollama/models.h"

#include <openssl/evp.h>

#include <array>
#include <iomanip>

#include "base/utf8.h"
#include "engine/model_facts.h"
#include "server/generation/fill_in.h"
#include "server/generation/wording.h"
#include "server/http/json_body.h"
#include "server/ollama/generate.h"
#include "server/ollama/keep_alive.h"
#include "server/openai/embeddings.h"

namespace quern {
namespace {

using enum FieldKind;

constexpr FieldRule embed_rules[] = {
    {"model", text}, {"input", any}, {"dimensions", integer, 1, 1 << 20}, {"truncate", boolean}, {"options", object}, {"keep_alive", any},
};
constexpr FieldRule old_embed_rules[] = {{"model", text}, {"prompt", text}, {"options", object}, {"keep_alive", any}};
constexpr FieldRule show_rules[] = {{"model", text}, {"name", text}, {"verbose", boolean}};

constexpr int64_t rest_of_time = 253402300799;  // the end of the year 9999: what Ollama says of a model that stays is as far away

std::string parameter_size(uint64_t n) {
    std::ostringstream text;
    text.precision(3);
    if (n >= 1'000'000'000)
        text << static_cast<double>(n) / 1e9 << "B";
    else
        text << static_cast<double>(n) / 1e6 << "M";
    return text.str();
}

/// Of a file that cannot be read now there is nothing to say.
std::optional<ModelFacts> facts_of(const std::string& path) {
    try {
        return read_model_facts(path);
    } catch (const Error&) {
        return std::nullopt;
    }
}

Json details_json(const std::optional<ModelFacts>& facts) {
    return {{"parent_model", ""},
            {"format", "gguf"},
            {"family", facts ? facts->architecture : ""},
            {"families", facts ? Json::array({facts->architecture}) : Json::array()},
            {"parameter_size", facts ? parameter_size(facts->n_params) : ""},
            {"quantization_level", facts ? facts->quantization : ""}};
}

/// Tells files apart by all that their headers say: hashing the weights of every model would take minutes.
std::string digest(const ModelFacts& facts) {
    std::array<unsigned char, 32> hash{};
    unsigned int n_bytes = 0;
    const std::string text = concat(dump(facts.metadata), facts.parts, facts.file_bytes);
    if (EVP_Digest(text.data(), text.size(), hash.data(), &n_bytes, EVP_sha256(), nullptr) != 1) throw InternalError("SHA-256 failed");
    std::ostringstream out;
    out << std::hex << std::setfill('0');
    for (const unsigned char byte : hash) out << std::setw(2) << static_cast<int>(byte);
    return out.str();
}

Json tag_json(const ModelStatus& model, const std::optional<ModelFacts>& facts) {
    return {{"name", model.id},
            {"model", model.id},
            {"modified_at", ollama_time(facts ? facts->modified : model.created)},
            {"size", facts ? facts->file_bytes : 0},
            {"digest", facts ? digest(*facts) : ""},
            {"details", details_json(facts)}};
}

Json capabilities(const ServedModel& model, const std::string& source) {
    const ModelInfo& info = model.engine->info();
    Json list = Json::array();
    if (info.generates) list.push_back("completion");
    if (info.pooling) list.push_back("embedding");
    if (!info.generates) return list;
    if (source.find("tools") != std::string::npos) list.push_back("tools");
    if (fill_in_tokens(model.engine->tokenizer())) list.push_back("insert");
    if (source.find("<think>") != std::string::npos || source.find("enable_thinking") != std::string::npos) list.push_back("thinking");
    return list;
}

Answer make_show(const ModelRequest& asked) {
    const bool verbose = RequestFields(asked.body, {show_rules}).flag("verbose", false);
    ModelFacts facts = read_model_facts(asked.model->engine->info().path, verbose);
    const ChatTemplate* format = asked.model->engine->chat_template();
    const std::string source = format ? format->source() : facts.chat_template;
    Json model_info = std::move(facts.metadata);
    model_info["general.parameter_count"] = facts.n_params;
    facts.metadata = Json::object();
    Json json = {{"modelfile", concat("FROM ", repair_utf8(asked.model->engine->info().path), "\n")},
                 {"parameters", ""},
                 {"template", source},
                 {"details", details_json(facts)},
                 {"model_info", std::move(model_info)},
                 {"capabilities", capabilities(*asked.model, source)},
                 {"modified_at", ollama_time(facts.modified)}};
    if (!facts.license.empty()) json["license"] = facts.license;
    return json_response(json);
}

std::vector<std::vector<TokenId>> read_inputs(const RequestFields& fields, const Engine& engine) {
    const Json* input = fields.find("input");
    if (!input) refuse_value("input", "is missing");
    const Json list = input->is_string() ? Json::array({*input}) : *input;
    if (!list.is_array()) refuse_type("input", "a string or an array of strings", list);
    if (list.size() > 2048) refuse_value("input", "has more than 2048 texts");
    std::vector<std::vector<TokenId>> out;
    for (const Json& each : list) {
        if (!each.is_string()) refuse_type("input", "a string or an array of strings", each);
        if (each == "") refuse_value("input", "has an empty text");
        out.push_back(engine.tokenizer().tokenize(each.get_ref<const std::string&>(), {.add_special = true}));
        if (fields.flag("truncate", true)) cut_to_window(engine, out.back());
    }
    return out;
}

Answer make_embed(const ModelRequest& asked) {
    const RequestFields fields(asked.body, {embed_rules});
    read_keep_alive(fields);
    const auto began = std::chrono::steady_clock::now();
    Answer answer = answer_with_embeddings(
        asked, read_inputs(fields, *asked.model->engine), fields.integer("dimensions").value_or(0),
        [id = asked.model->id, began](const Embeddings& made) -> Answer {
            const auto total = std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - began);
            return json_response({{"model", id},
                                  {"embeddings", made.vectors},
                                  {"total_duration", total.count()},
                                  {"load_duration", 0},
                                  {"prompt_eval_count", made.n_tokens}});
        });
    keep_as_asked(asked, fields);
    return answer;
}

/// Ollama's older form, of one text.
Answer make_old_embed(const ModelRequest& asked) {
    const RequestFields fields(asked.body, {old_embed_rules});
    read_keep_alive(fields);
    const Engine& engine = *asked.model->engine;
    const std::string prompt = fields.text("prompt").value_or("");
    if (prompt.empty()) {
        keep_as_asked(asked, fields);
        return json_response({{"embedding", Json::array()}});
    }
    std::vector<TokenId> tokens = engine.tokenizer().tokenize(prompt, {.add_special = true});
    cut_to_window(engine, tokens);
    Answer answer = answer_with_embeddings(asked, {std::move(tokens)}, 0, [](const Embeddings& made) -> Answer {
        return json_response({{"embedding", made.vectors.front()}});
    });
    keep_as_asked(asked, fields);
    return answer;
}

}  // namespace

std::span<const FieldRule> ollama_embed_field_rules() { return embed_rules; }
std::span<const FieldRule> ollama_old_embed_field_rules() { return old_embed_rules; }
std::span<const FieldRule> ollama_show_field_rules() { return show_rules; }

HttpResponse ollama_tags(const ApiContext& api) {
    Json models = Json::array();
    for (const ModelStatus& model : api.models.list()) models.push_back(tag_json(model, facts_of(model.path)));
    return json_response({{"models", std::move(models)}});
}

HttpResponse ollama_running(const ApiContext& api) {
    Json models = Json::array();
    for (const ModelStatus& model : api.models.list()) {
        if (!model.info) continue;
        Json json = tag_json(model, facts_of(model.path));
        json.erase("modified_at");
        json["size"] = model.info->file_bytes + model.info->kv_bytes + model.info->workspace_bytes;
        json["expires_at"] = ollama_time(model.expires.value_or(rest_of_time));
        json["size_vram"] = 0;
        json["context_length"] = model.info->n_ctx;
        models.push_back(std::move(json));
    }
    return json_response({{"models", std::move(models)}});
}

// Clients ask for it to know what they may use: that of the API that is spoken here.
HttpResponse ollama_version() { return json_response({{"version", "0.6.3"}}); }

Answer answer_ollama_show(ApiContext& api, const HttpRequest& request, const Waker& wake) {
    const Json body = parse_json_body(request.body);
    const RequestFields fields(body, {show_rules});
    const auto name = fields.find("model") ? fields.text("model") : fields.text("name");
    if (!name) refuse_value("model", "is missing");
    const auto make = [&api, wake, body](ModelLease model) { return make_show({api, std::move(model), body, wake}); };
    return answer_with_model(api.models, {.model = *name, .is_stream = false, .wake = wake, .make = make});
}

Answer answer_ollama_embed(ApiContext& api, const HttpRequest& request, const Waker& wake) {
    return answer_body(api, request, wake, &make_embed);
}

Answer answer_ollama_old_embed(ApiContext& api, const HttpRequest& request, const Waker& wake) {
    return answer_body(api, request, wake, &make_old_embed);
}

}  // namespace quern
