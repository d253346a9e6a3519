// Sources: Prometheus's naming practices; the names that begin with llamacpp: are those of llama.cpp's server.
#include "server/native/metrics_page.h"

#include <algorithm>
#include <span>
#include <vector>

#include "base/process.h"

namespace quern {
namespace {

struct Column {
    const char* name;
    const char* type;
    const char* help;
    double (*value)(const ModelStatus&);
};

double to_double(auto n) { return static_cast<double>(n); }

/// Of models in memory; counters begin anew when a model is loaded again, as Prometheus expects of them.
constexpr Column columns[] = {
    {"quern_requests_running", "gauge", "Requests whose prompt or answer is being computed.",
     [](const ModelStatus& model) { return to_double(model.stats.n_running); }},
    {"quern_requests_waiting", "gauge", "Requests in the queue.",
     [](const ModelStatus& model) { return to_double(model.stats.n_waiting); }},
    {"quern_slots", "gauge", "Requests that can run at once.", [](const ModelStatus& model) { return to_double(model.info->n_sequences); }},
    {"quern_kv_pages", "gauge", "Pages of the KV cache.", [](const ModelStatus& model) { return to_double(model.stats.pages.n); }},
    {"quern_kv_pages_used", "gauge", "Pages that running requests hold.",
     [](const ModelStatus& model) { return to_double(model.stats.pages.n - model.stats.pages.n_free); }},
    {"quern_kv_pages_free", "gauge", "Pages that are free, or hold a prefix that is given up when they are needed.",
     [](const ModelStatus& model) { return to_double(model.stats.pages.n_free); }},
    {"quern_kv_pages_cached", "gauge", "Of the free pages, those that hold a prefix.",
     [](const ModelStatus& model) { return to_double(model.stats.pages.n_cached); }},
    {"quern_kv_bytes", "gauge", "Memory of the KV cache.", [](const ModelStatus& model) { return to_double(model.info->kv_bytes); }},
    {"quern_weights_bytes", "gauge", "Size of the model's file, which is mapped.",
     [](const ModelStatus& model) { return to_double(model.info->file_bytes); }},
    {"quern_workspace_bytes", "gauge", "Memory of the forward pass.",
     [](const ModelStatus& model) { return to_double(model.info->workspace_bytes); }},
    {"quern_engine_steps_total", "counter", "Batches run since the model was loaded.",
     [](const ModelStatus& model) { return to_double(model.stats.n_steps); }},
    {"quern_engine_batched_tokens_total", "counter", "Tokens in those batches.",
     [](const ModelStatus& model) { return to_double(model.stats.n_batched_tokens); }},
    {"quern_engine_preemptions_total", "counter", "Times that a request gave up its pages for others.",
     [](const ModelStatus& model) { return to_double(model.stats.n_preemptions); }},
    {"quern_engine_evicted_pages_total", "counter", "Pages of the prefix cache given up for new ones.",
     [](const ModelStatus& model) { return to_double(model.stats.pages.n_evicted); }},
};

/// Of models some of whose layers keep only a window of each text: their pages, which the columns above do not count.
constexpr Column window_columns[] = {
    {"quern_kv_window_pages", "gauge", "Pages of the KV cache in layers that keep only a window of each text.",
     [](const ModelStatus& model) { return to_double(model.stats.window_pages.n); }},
    {"quern_kv_window_pages_used", "gauge", "Of these, pages that running requests hold.",
     [](const ModelStatus& model) { return to_double(model.stats.window_pages.n - model.stats.window_pages.n_free); }},
    {"quern_kv_window_pages_free", "gauge", "Of these, pages that are free, or hold a prefix that is given up when they are needed.",
     [](const ModelStatus& model) { return to_double(model.stats.window_pages.n_free); }},
    {"quern_kv_window_pages_cached", "gauge", "Of the free ones, those that hold a prefix.",
     [](const ModelStatus& model) { return to_double(model.stats.window_pages.n_cached); }},
    {"quern_engine_evicted_window_pages_total", "counter", "Such pages of the prefix cache given up for new ones.",
     [](const ModelStatus& model) { return to_double(model.stats.window_pages.n_evicted); }},
};

void write_columns(MetricsText& out, std::span<const Column> wanted, const std::vector<const ModelStatus*>& models) {
    for (const Column& column : wanted) {
        out.begin(column.name, column.type, column.help);
        for (const ModelStatus* model : models) out.sample(column.value(*model), {{"model", model->id}});
    }
}

void write_models(MetricsText& out, const std::vector<ModelStatus>& models) {
    out.begin("quern_model_loaded", "gauge", "1 while the model is in memory.");
    for (const ModelStatus& model : models) out.sample(model.info ? 1 : 0, {{"model", model.id}});
    std::vector<const ModelStatus*> loaded, windowed;
    for (const ModelStatus& model : models) {
        if (!model.info) continue;
        loaded.push_back(&model);
        if (model.stats.window_pages.n > 0) windowed.push_back(&model);
    }
    write_columns(out, columns, loaded);
    if (!windowed.empty()) write_columns(out, window_columns, windowed);
}

void write_store(MetricsText& out, const ModelStore& store, const std::vector<ModelStatus>& models) {
    const auto n_resident = std::count_if(models.begin(), models.end(), [](const ModelStatus& model) { return model.info.has_value(); });
    out.gauge("quern_models_resident", "Models in memory.", to_double(n_resident));
    out.gauge("quern_memory_budget_bytes", "Memory that all models may take.", to_double(store.budget_bytes()));
    out.gauge("quern_memory_used_bytes", "Memory that loaded models take.", to_double(store.used_bytes()));
    out.counter("quern_model_loads_total", "Models loaded.", to_double(store.n_loads()));
    out.counter("quern_model_evictions_total", "Models unloaded.", to_double(store.n_evictions()));
}

void write_llama_engine_names(MetricsText& out, const std::vector<ModelStatus>& models) {
    EngineStats sum;
    double n_kv_tokens = 0;
    for (const ModelStatus& model : models) {
        sum.n_running += model.stats.n_running;
        sum.n_waiting += model.stats.n_waiting;
        sum.n_steps += model.stats.n_steps;
        sum.n_generated_tokens += model.stats.n_generated_tokens;
        const EngineStats::Pages& pages = model.stats.pages;  // those of windows hold no tokens that these do not
        sum.pages.n += pages.n;
        sum.pages.n_free += pages.n_free;
        if (model.info && pages.n > 0)
            n_kv_tokens += to_double(model.info->n_kv_tokens) * to_double(pages.n - pages.n_free) / to_double(pages.n);
    }
    const int64_t n_used = sum.pages.n - sum.pages.n_free;
    out.gauge("llamacpp:requests_processing", "Requests whose prompt or answer is being computed.", sum.n_running);
    out.gauge("llamacpp:requests_deferred", "Requests in the queue.", sum.n_waiting);
    out.counter("llamacpp:n_decode_total", "Batches run.", to_double(sum.n_steps));
    out.gauge("llamacpp:n_busy_slots_per_decode", "Answers that a batch brings forward, on average.",
              sum.n_steps > 0 ? to_double(sum.n_generated_tokens) / to_double(sum.n_steps) : 0.0);
    out.gauge("llamacpp:kv_cache_usage_ratio", "Share of the KV cache that running requests hold.",
              sum.pages.n > 0 ? to_double(n_used) / to_double(sum.pages.n) : 0.0);
    out.gauge("llamacpp:kv_cache_tokens", "Tokens that fit in what running requests hold of the KV cache.", n_kv_tokens);
}

void write_process(MetricsText& out) {
    const ProcessUsage usage = process_usage();
    out.gauge("process_resident_memory_bytes", "Memory in use, mapped files included.", to_double(usage.resident_bytes));
    out.gauge("quern_process_anonymous_memory_bytes", "Memory in use without mapped files.", to_double(usage.resident_anonymous_bytes));
    out.counter("process_cpu_seconds_total", "Time of all threads.", usage.cpu_seconds);
    out.gauge("process_start_time_seconds", "When the server began, in seconds since 1970.", usage.start_seconds);
    out.gauge("process_open_fds", "Open files and connections.", to_double(usage.n_open_files));
}

}  // namespace

HttpResponse list_metrics(const ApiContext& api) {
    MetricsText out;
    const std::vector<ModelStatus> models = api.models.list();
    api.metrics.write(out);
    write_models(out, models);
    write_store(out, api.models, models);
    write_process(out);
    api.metrics.write_llama_names(out);
    write_llama_engine_names(out, models);
    return {.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = out.text()};
}

}  // namespace quern
