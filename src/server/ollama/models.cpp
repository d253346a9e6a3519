#include "server/ollama/models.h"

#include <filesystem>

#include "server/generation/wording.h"
#include "server/http/json_body.h"
#include "server/ollama/generate.h"
#include "server/openai/embeddings.h"

namespace quern {
namespace {

using enum FieldKind;

constexpr FieldRule embed_rules[] = {
    {"model", text},       {"input", any},       {"dimensions", integer, 1, 1 << 20},
    {"truncate", boolean}, {"options", ignored}, {"keep_alive", ignored},
};
constexpr FieldRule show_rules[] = {{"model", text}, {"name", text}, {"verbose", ignored}};

Json capabilities(const ModelInfo& info) {
    Json list = Json::array();
    if (info.generates) list.push_back("completion");
    if (info.pooling) list.push_back("embedding");
    return list;
}

std::string parameter_size(uint64_t n) {
    std::ostringstream text;
    text.precision(3);
    if (n >= 1'000'000'000)
        text << static_cast<double>(n) / 1e9 << "B";
    else
        text << static_cast<double>(n) / 1e6 << "M";
    return text.str();
}

Json details_json(const std::optional<ModelInfo>& info) {
    const std::string family = info ? info->architecture : "";
    return {{"parent_model", ""},
            {"format", "gguf"},
            {"family", family},
            {"families", info ? Json::array({family}) : Json::array()},
            {"parameter_size", info ? parameter_size(info->n_params) : ""},
            {"quantization_level", ""}};
}

Json tag_json(const ModelStatus& model) {
    std::error_code ignored;
    const auto size = std::filesystem::file_size(model.path, ignored);
    return {{"name", model.id},
            {"model", model.id},
            {"modified_at", ollama_time(model.created)},
            {"size", model.info ? model.info->file_bytes : (ignored ? 0 : size)},
            {"digest", ""},
            {"details", details_json(model.info)}};
}

Answer make_show(const ModelRequest& asked) {
    const ModelInfo& info = asked.model->engine->info();
    const std::string& family = info.architecture;
    return json_response({{"modelfile", ""},
                          {"parameters", ""},
                          {"template", asked.model->engine->chat_template() != nullptr ? "from the model file" : ""},
                          {"details", details_json(info)},
                          {"model_info",
                           {{"general.architecture", family},
                            {"general.name", info.name},
                            {"general.parameter_count", info.n_params},
                            {family + ".context_length", info.n_ctx},
                            {family + ".embedding_length", info.n_embd},
                            {family + ".block_count", info.n_layers}}},
                          {"capabilities", capabilities(info)},
                          {"modified_at", ollama_time(seconds_now())}});
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
    const auto began = std::chrono::steady_clock::now();
    return answer_with_embeddings(asked, read_inputs(fields, *asked.model->engine), fields.integer("dimensions").value_or(0),
                                  [id = asked.model->id, began](const Embeddings& made) -> Answer {
                                      const auto total =
                                          std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - began);
                                      return json_response({{"model", id},
                                                            {"embeddings", made.vectors},
                                                            {"total_duration", total.count()},
                                                            {"load_duration", 0},
                                                            {"prompt_eval_count", made.n_tokens}});
                                  });
}

}  // namespace

std::span<const FieldRule> ollama_embed_field_rules() { return embed_rules; }
std::span<const FieldRule> ollama_show_field_rules() { return show_rules; }

HttpResponse ollama_tags(const ApiContext& api) {
    Json models = Json::array();
    for (const ModelStatus& model : api.models.list()) models.push_back(tag_json(model));
    return json_response({{"models", std::move(models)}});
}

HttpResponse ollama_running(const ApiContext& api) {
    Json models = Json::array();
    for (const ModelStatus& model : api.models.list()) {
        if (!model.info) continue;
        Json json = tag_json(model);
        json["expires_at"] = "2318-01-01T00:00:00Z";  // as Ollama says of a model that stays
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
    const auto make = [&api, wake](ModelLease model) {
        static const Json nothing = Json::object();
        return make_show({api, std::move(model), nothing, wake});
    };
    return answer_with_model(api.models, {.model = *name, .is_stream = false, .wake = wake, .make = make});
}

Answer answer_ollama_embed(ApiContext& api, const HttpRequest& request, const Waker& wake) {
    return answer_body(api, request, wake, &make_embed, false);
}

}  // namespace quern
