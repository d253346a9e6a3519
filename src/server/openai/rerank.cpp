#include "server/openai/rerank.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "server/generation/evaluation_series.h"
#include "server/generation/wording.h"
#include "server/openai/embeddings.h"

namespace quern {
namespace {

using enum FieldKind;

constexpr FieldRule rerank_rules[] = {
    {"model", text},
    {"query", text},
    {"documents", any},
    {"texts", any},
    {"top_n", integer, 1, 1e9},
    {"return_documents", boolean},
    {"return_text", boolean},
    {"raw_scores", boolean},
    {"truncate", boolean},
    {"user", ignored},
};

std::vector<std::string> read_documents(const RequestFields& fields) {
    const char* name = fields.find("documents") ? "documents" : "texts";
    const Json* list = fields.find(name);
    if (!list) refuse_value("documents", "is missing");
    if (!list->is_array()) refuse_type(name, "an array of strings", *list);
    if (list->empty() || list->size() > most_texts) refuse_value(name, concat("must have 1 to ", most_texts, " texts"));
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
    std::string query;
    std::vector<std::string> documents;
    size_t n_top = 0;
    bool is_tei = false;  // the form of Hugging Face's text-embeddings-inference: `texts`, and a bare list back
    bool with_text = false;
    bool raw_scores = true;  // else between 0 and 1
    bool truncate = false;
};

struct Scores {
    std::vector<double> values;  // by document
    int64_t n_tokens = 0;
};

Json ranking(const RerankRequest& request, const Scores& made) {
    std::vector<std::pair<double, size_t>> scores;
    for (const double value : made.values)  // a broken model's: last, and comparable
        scores.emplace_back(std::isnan(value) ? std::numeric_limits<double>::lowest() : value, scores.size());
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

Answer rerank_answer(const std::string& id, const RerankRequest& request, const Scores& made) {
    Json list = ranking(request, made);
    if (request.is_tei) return json_response(list);
    return json_response({{"object", "list"},
                          {"model", id},
                          {"usage", {{"prompt_tokens", made.n_tokens}, {"total_tokens", made.n_tokens}}},
                          {"results", std::move(list)}});
}

RerankRequest read_request(const Json& body) {
    const RequestFields fields(body, {rerank_rules});
    const auto query = fields.text("query");
    if (!query) refuse_value("query", "is missing");
    if (query->empty()) refuse_value("query", "is empty");
    RerankRequest request{.query = *query, .documents = read_documents(fields)};
    request.is_tei = fields.find("documents") == nullptr;
    request.with_text = fields.flag(request.is_tei ? "return_text" : "return_documents", false);
    request.raw_scores = fields.flag("raw_scores", !request.is_tei);
    request.truncate = fields.flag("truncate", false);
    request.n_top = static_cast<size_t>(fields.integer("top_n").value_or(static_cast<int64_t>(request.documents.size())));
    return request;
}

std::vector<Tokenizer::Pair> read_pairs(const Engine& engine, const RerankRequest& request) {
    std::vector<Tokenizer::Pair> pairs;
    for (const std::string& document : request.documents) {
        Tokenizer::Pair& pair = pairs.emplace_back(engine.tokenizer().tokenize_pair(request.query, document));
        if (request.truncate) cut_to_window(engine, pair.tokens);
        require_window(engine, pair.tokens.size(), concat("the query with document ", pairs.size() - 1, ": "), "documents");
    }
    return pairs;
}

/// By a cross-encoder's score of each document.
Answer rerank_by_scores(const ModelRequest& asked, const RerankRequest& request) {
    constexpr size_t most_at_once = 2;  // so that the next is there when one is done
    const int64_t n_labels = asked.model->engine->info().n_labels;
    if (n_labels != 1)
        refuse_value("model", concat("gives a pair of texts ", n_labels, " scores: it is a classifier, and a reranker has one score"));
    const auto pairs = std::make_shared<std::vector<Tokenizer::Pair>>(read_pairs(*asked.model->engine, request));
    const auto made = std::make_shared<Scores>();
    made->values.resize(pairs->size());
    for (const Tokenizer::Pair& pair : *pairs) made->n_tokens += static_cast<int64_t>(pair.tokens.size());
    auto start = [model = asked.model, wake = asked.wake, is_raw = request.raw_scores, pairs, made](size_t i) {
        auto take = [made, i, is_raw](const std::vector<float>& labels) {
            const auto score = static_cast<double>(labels.front());
            made->values[i] = is_raw ? score : 1 / (1 + std::exp(-score));
        };
        return model->engine->start_scoring({.pair = (*pairs)[i], .take = std::move(take), .goes_on = i > 0, .on_done = wake});
    };
    const auto series = std::make_shared<EvaluationSeries>(pairs->size(), most_at_once, std::move(start));
    return answer_when([series] { return series->is_done(); },
                       [series, made, id = asked.model->id, request] {
                           series->check();
                           return rerank_answer(id, request, *made);
                       },
                       false);
}

Answer rerank_by_vectors(const ModelRequest& asked, const RerankRequest& request) {
    const Engine& engine = *asked.model->engine;
    std::vector<std::vector<TokenId>> inputs = {engine.tokenizer().tokenize(request.query, {.add_special = true})};
    for (const std::string& text : request.documents) inputs.push_back(engine.tokenizer().tokenize(text, {.add_special = true}));
    if (request.truncate)
        for (std::vector<TokenId>& input : inputs) cut_to_window(engine, input);
    return answer_with_embeddings(asked, std::move(inputs), 0, [id = asked.model->id, request](const Embeddings& made) -> Answer {
        Scores scores{.values = {}, .n_tokens = made.n_tokens};
        for (size_t i = 1; i < made.vectors.size(); ++i)
            scores.values.push_back(std::inner_product(made.vectors[0].begin(), made.vectors[0].end(), made.vectors[i].begin(), 0.0));
        return rerank_answer(id, request, scores);
    });
}

Answer make_rerank(const ModelRequest& asked) {
    const RerankRequest request = read_request(asked.body);
    return asked.model->engine->info().pooling == Pooling::rank ? rerank_by_scores(asked, request) : rerank_by_vectors(asked, request);
}

}  // namespace

std::span<const FieldRule> rerank_field_rules() { return rerank_rules; }

Answer answer_rerank(ApiContext& api, const HttpRequest& request, const Waker& wake) {
    return answer_body(api, request, wake, &make_rerank);
}

}  // namespace quern
