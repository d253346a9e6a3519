#include "server/openai/models.h"

#include "server/openai/response_parts.h"

namespace quern {
namespace {

// `meta` holds what a client of a local server wants to know beyond OpenAI's fields, under llama.cpp's names.
Json model_json(const ServedModel& model) {
    const ModelInfo& info = model.engine->info();
    return {{"id", model.id},
            {"object", "model"},
            {"created", model.created},
            {"owned_by", "quern"},
            {"meta",
             {{"n_ctx", info.n_ctx},
              {"n_ctx_train", info.n_ctx_train},
              {"n_vocab", info.n_vocab},
              {"n_embd", info.n_embd},
              {"n_params", info.n_params},
              {"size", info.file_bytes}}}};
}

}  // namespace

HttpResponse list_models(const ModelStore& models) {
    Json list = Json::array();
    for (const ServedModel& model : models.models()) list.push_back(model_json(model));
    return json_response({{"object", "list"}, {"data", std::move(list)}});
}

HttpResponse describe_model(const ModelStore& models, const std::string& id) { return json_response(model_json(models.find(id))); }

}  // namespace quern
