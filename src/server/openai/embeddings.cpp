#include "server/openai/embeddings.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "server/generation/evaluation_series.h"
#include "server/generation/prompt_reader.h"
#include "server/generation/wording.h"

namespace quern {
namespace {

using enum FieldKind;

constexpr size_t max_inputs = 2048;

constexpr FieldRule embedding_rules[] = {
    {"model", text}, {"input", any}, {"encoding_format", text}, {"dimensions", integer, 1, 1 << 20}, {"user", ignored},
};

constexpr FieldRule rerank_rules[] = {
    {"model", text},
    {"query", text},
    {"documents", any},
    {"texts", any},
    {"top_n", integer, 1, 1e9},
    {"return_documents", boolean},
    {"return_text", boolean},
    {"user", ignored},
};

void normalize(std::vector<float>& vector) {
    double sum = 0;
    for (const float value : vector) sum += static_cast<double>(value) * static_cast<double>(value);
    if (sum <= 0) return;
    const double scale = 1 / std::sqrt(sum);
    for (float& value : vector) value = static_cast<float>(static_cast<double>(value) * scale);
}

// Little-endian float32, as the byte order of every machine this runs on.
std::string base64(const std::vector<float>& vector) {
    static_assert(std::endian::native == std::endian::little);
    static constexpr char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string bytes(vector.size() * sizeof(float), '\0');
    std::memcpy(bytes.data(), vector.data(), bytes.size());
    std::string out;
    for (size_t i = 0; i < bytes.size(); i += 3) {
        uint32_t group = 0;
        const size_t n = std::min<size_t>(3, bytes.size() - i);
        for (size_t j = 0; j < 3; ++j) group = group << 8 | (j < n ? static_cast<uint8_t>(bytes[i + j]) : 0u);
        for (size_t j = 0; j < 4; ++j) out += j <= n ? letters[group >> (18 - 6 * j) & 63] : '=';
    }
    return out;
}

std::vector<std::vector<TokenId>> read_inputs(const Json& input, const Engine& engine) {
    if (!input.is_string() && !input.is_array()) refuse_type("input", "a string, or an array of strings or token ids", input);
    if (input.empty()) refuse_value("input", "is empty");
    const bool is_one = input.is_string() || input.front().is_number();
    const Json list = is_one ? Json::array({input}) : input;
    if (list.size() > max_inputs) refuse_value("input", concat("has ", list.size(), " texts, and at most ", max_inputs, " are possible"));
    std::vector<std::vector<TokenId>> out;
    for (size_t i = 0; i < list.size(); ++i) {
        const std::string param = is_one ? "input" : concat("input[", i, "]");
        if (list[i].empty() || list[i] == "") refuse_value(param, "is empty");
        if (list[i].is_string())
            out.push_back(engine.tokenizer().tokenize(list[i].get_ref<const std::string&>(), {.add_special = true}));
        else if (list[i].is_array())
            out.push_back(read_tokens(list[i], param, engine.info().n_vocab));
        else
            refuse_type(param, "a string or an array of token ids", list[i]);
    }
    return out;
}

Answer make_embeddings(const ModelRequest& asked) {
    const RequestFields fields(asked.body, {embedding_rules});
    const std::string format = fields.text("encoding_format").value_or("float");
    if (format != "float" && format != "base64") refuse_value("encoding_format", "must be float or base64");
    const Json* input = fields.find("input");
    if (!input) refuse_value("input", "is missing");
    return answer_with_embeddings(
        asked, read_inputs(*input, *asked.model->engine), fields.integer("dimensions").value_or(0),
        [id = asked.model->id, format](const Embeddings& made) -> Answer {
            Json data = Json::array();
            for (const std::vector<float>& vector : made.vectors)
                data.push_back({{"object", "embedding"},
                                {"index", data.size()},
                                {"embedding", format == "base64" ? Json(base64(vector)) : Json(vector)}});
            return json_response({{"object", "list"},
                                  {"data", std::move(data)},
                                  {"model", id},
                                  {"usage", {{"prompt_tokens", made.n_tokens}, {"total_tokens", made.n_tokens}}}});
        });
}

std::vector<std::string> read_documents(const RequestFields& fields) {
    const char* name = fields.find("documents") ? "documents" : "texts";
    const Json* list = fields.find(name);
    if (!list) refuse_value("documents", "is missing");
    if (!list->is_array()) refuse_type(name, "an array of strings", *list);
    if (list->empty() || list->size() > max_inputs) refuse_value(name, concat("must have 1 to ", max_inputs, " texts"));
    std::vector<std::string> documents;
    for (size_t i = 0; i < list->size(); ++i) {
        const Json& each = (*list)[i];
        const Json text = each.is_object() && each.contains("text") ? each["text"] : each;
        if (!text.is_string() || text == "") refuse_value(concat(name, "[", i, "]"), "must be a text");
        documents.push_back(text);
    }
    return documents;
}

struct RerankRequest {
    std::vector<std::string> documents;
    size_t n_top = 0;
    bool is_tei = false;  // the form of Hugging Face's text-embeddings-inference: `texts`, and a bare list back
    bool with_text = false;
};

Json ranking(const RerankRequest& request, const Embeddings& made) {
    std::vector<std::pair<double, size_t>> scores;
    for (size_t i = 1; i < made.vectors.size(); ++i) {
        double score = 0;
        for (size_t j = 0; j < made.vectors[0].size(); ++j)
            score += static_cast<double>(made.vectors[0][j]) * static_cast<double>(made.vectors[i][j]);
        scores.emplace_back(score, i - 1);
    }
    std::stable_sort(scores.begin(), scores.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    scores.resize(std::min(scores.size(), request.n_top));
    Json list = Json::array();
    for (const auto& [score, index] : scores) {
        Json entry = {{"index", index}, {request.is_tei ? "score" : "relevance_score", score}};
        if (request.with_text && request.is_tei) entry["text"] = request.documents[index];
        if (request.with_text && !request.is_tei) entry["document"] = {{"text", request.documents[index]}};
        list.push_back(std::move(entry));
    }
    return list;
}

Answer make_rerank(const ModelRequest& asked) {
    const RequestFields fields(asked.body, {rerank_rules});
    const auto query = fields.text("query");
    if (!query || query->empty()) refuse_value("query", "is missing");
    RerankRequest request{.documents = read_documents(fields)};
    request.is_tei = fields.find("documents") == nullptr;
    request.with_text = fields.flag(request.is_tei ? "return_text" : "return_documents", false);
    request.n_top = static_cast<size_t>(fields.integer("top_n").value_or(static_cast<int64_t>(request.documents.size())));
    std::vector<std::vector<TokenId>> inputs = {asked.model->engine->tokenizer().tokenize(*query, {.add_special = true})};
    for (const std::string& text : request.documents)
        inputs.push_back(asked.model->engine->tokenizer().tokenize(text, {.add_special = true}));
    return answer_with_embeddings(asked, std::move(inputs), 0, [id = asked.model->id, request](const Embeddings& made) -> Answer {
        Json list = ranking(request, made);
        if (request.is_tei) return json_response(list);
        return json_response({{"object", "list"},
                              {"model", id},
                              {"usage", {{"prompt_tokens", made.n_tokens}, {"total_tokens", made.n_tokens}}},
                              {"results", std::move(list)}});
    });
}

void cut(std::vector<float>& vector, int64_t n_dimensions) {
    if (n_dimensions > static_cast<int64_t>(vector.size()))
        refuse_value("dimensions", concat("must be at most ", vector.size(), ", the length of this model's vectors"));
    if (n_dimensions > 0) vector.resize(static_cast<size_t>(n_dimensions));
    normalize(vector);
}

}  // namespace

std::span<const FieldRule> embedding_field_rules() { return embedding_rules; }
std::span<const FieldRule> rerank_field_rules() { return rerank_rules; }

Answer answer_with_embeddings(const ModelRequest& asked, std::vector<std::vector<TokenId>> inputs, int64_t n_dimensions,
                              std::function<Answer(const Embeddings&)> make) {
    constexpr size_t most_at_once = 2;  // so that the next is there when one is done
    const auto made = std::make_shared<Embeddings>();
    const size_t n_texts = inputs.size();
    made->vectors.resize(n_texts);
    for (const std::vector<TokenId>& input : inputs) made->n_tokens += static_cast<int64_t>(input.size());
    auto start = [model = asked.model, inputs = std::move(inputs), made, wake = asked.wake](size_t i) {
        return model->engine->start_embedding(
            {.tokens = inputs[i], .take = [made, i](std::vector<float> vector) { made->vectors[i] = std::move(vector); }, .on_done = wake});
    };
    const auto series = std::make_shared<EvaluationSeries>(n_texts, most_at_once, std::move(start));
    return answer_when([series] { return series->is_done(); },
                       [series, made, n_dimensions, make = std::move(make)] {
                           series->check();
                           for (std::vector<float>& vector : made->vectors) cut(vector, n_dimensions);
                           return make(*made);
                       },
                       false);
}

Answer answer_embeddings(ApiContext& api, const HttpRequest& request, const Waker& wake) {
    return answer_body(api, request, wake, &make_embeddings);
}

Answer answer_rerank(ApiContext& api, const HttpRequest& request, const Waker& wake) {
    return answer_body(api, request, wake, &make_rerank);
}

}  // namespace quern
