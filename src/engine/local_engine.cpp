// Loading a model, and taking requests for answers.
#include "engine/local_engine.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/log.h"
#include "base/memory.h"
#include "base/printable.h"
#include "engine/chat_tokens.h"
#include "engine/load_chat_template.h"
#include "engine/load_vocabulary.h"
#include "engine/model_file.h"
#include "models/classifier_head.h"

namespace quern {
namespace {

void check_options(const EngineOptions& options) {
    if (options.n_ctx < 0) throw InvalidInput("n_ctx must not be negative", "n_ctx");
    if (options.n_batch < 1 || options.n_batch > 1 << 16) throw InvalidInput("n_batch must be 1 to 65536", "n_batch");
    if (options.n_sequences < 1 || options.n_sequences > 4096)
        throw InvalidInput("the number of parallel sequences must be 1 to 4096", "parallel");
    if (options.n_outputs < 0 || options.n_outputs > options.n_batch) throw InvalidInput("n_outputs must be 0 to n_batch", "n_outputs");
    if (options.n_draft < 1 || options.n_draft > 64) throw InvalidInput("the tokens to draft must be 1 to 64", "draft");
    if (options.draft_ngram < 0 || options.draft_ngram > 64)
        throw InvalidInput("the run of tokens to look up must be 0 to 64", "draft_ngram");
    if (options.n_threads < 0 || options.n_threads > 1024) throw InvalidInput("n_threads must be 0 to 1024", "n_threads");
}

// All tokens of a text that becomes a vector are computed in one step, after which nothing is kept: keys and values can stay exact.
EngineOptions options_for(const Model& model, EngineOptions options) {
    if (options.n_ctx > model.n_ctx_most())
        throw InvalidInput(concat("this model has no positions beyond ", model.n_ctx_most(), "; ask for a smaller window"), "n_ctx");
    if (model.predicts_tokens()) return options;
    if (!options.draft_model_path.empty())
        throw InvalidInput(concat(options.model_path, ": this model makes vectors of texts: there is nothing to guess ahead"),
                           "model_draft");
    constexpr int64_t longest = 1 << 16;
    options.n_ctx = options.n_batch = options.n_outputs = std::min(options.n_ctx > 0 ? options.n_ctx : model.n_ctx_train(), longest);
    options.n_sequences = 1;
    options.cache_type_k = options.cache_type_v = KvType::f32;
    options.prefix_cache = false;
    options.draft_ngram = 0;
    return options;
}

Graph build_graph(const Model& model, int64_t n_ctx, const AdapterSet& adapters) {
    Graph graph = model.build(n_ctx);
    adapters.apply(graph);
    return graph;
}

Graph vector_graph(const Model& model, int64_t n_ctx, const AdapterSet& adapters) {
    Graph graph = model.build_vectors(n_ctx);
    adapters.apply(graph, Adapter::Reach::as_far_as_it_goes);
    return graph;
}

/// How the model is to make vectors of texts; nothing: not at all.
std::optional<Pooling> pooling_of(const Model& model, const EngineOptions& options) {
    if (options.pooling == Pooling::rank && !model.head())
        throw InvalidInput(concat(options.model_path, ": this model has no head that scores pairs of texts: take a cross-encoder"),
                           "pooling");
    if (options.pooling) return options.pooling;
    const auto own = model.pooling();
    if (own && (*own != Pooling::rank || model.head())) return own;
    return options.embeddings ? std::optional(Pooling::last) : std::nullopt;
}

BatchLimits vector_limits(const EngineOptions& options) {
    const int64_t n = prompt_limits(options).n_tokens;
    return {.n_tokens = n, .n_outputs = n};
}

// Of the executor that only makes vectors, where the model needs another for that.
uint64_t vector_bytes(const Model& model, const EngineOptions& options, int64_t n_ctx, const AdapterSet& adapters) {
    if (!model.predicts_tokens() || !pooling_of(model, options)) return 0;
    return Executor::workspace_bytes(vector_graph(model, n_ctx, adapters), vector_limits(options));
}

}  // namespace

MemoryNeed memory_need(const EngineOptions& asked) {
    check_options(asked);
    const auto file = open_model_file(asked);
    const auto model = load_model(*file);
    const EngineOptions options = options_for(*model, asked);
    const auto device = make_cpu_device(options.n_threads, options.isa);
    const AdapterSet adapters(options.adapters, *file, Adapter::Reading::shapes);
    const Graph graph = build_graph(*model, options.n_ctx > 0 ? options.n_ctx : model->n_ctx_train(), adapters);
    MemoryNeed need = needs_of(*file, *model, graph, *device, options).memory;
    need.workspace_bytes += adapters.bytes() + vector_bytes(*model, options, need.n_ctx, adapters);
    return need;
}

std::unique_ptr<Engine> Engine::load(const EngineOptions& options) {
    check_options(options);
    return std::make_unique<LocalEngine>(options);
}

LocalEngine::LocalEngine(const EngineOptions& options)
    : file_(open_model_file(options)),
      model_(load_model(*file_)),
      options_(options_for(*model_, options)),
      adapters_(options_.adapters, *file_),
      device_(make_cpu_device(options.n_threads, options.isa)),
      inbox_(std::make_shared<EngineInbox>(options_.n_sequences, options_.n_queue)) {
    if (options.n_threads > usable_cores())
        log_warning(
            concat("n_threads is ", options.n_threads, ", but this process may use ", usable_cores(), " cores: it will be slower for it"));
    if (options.n_gpu_layers != 0) log_warning("this build has no GPU backend: the model runs on the CPU");
    load_text(options);
    for (const AdapterSource& each : options_.adapters) adapter_scales_.push_back(each.scale);
    info_.pooling = pooling_of(*model_, options_);
    const int64_t n_ctx = options_.n_ctx > 0 ? options_.n_ctx : model_->n_ctx_train();
    const Graph graph = build_graph(*model_, n_ctx, adapters_);
    check_weights(graph);
    ModelNeeds needs = needs_of(*file_, *model_, graph, *device_, options_);
    needs.memory.workspace_bytes += adapters_.bytes() + vector_bytes(*model_, options_, n_ctx, adapters_);
    const KvBudget budget = plan_kv(options_, needs, options_.memory_bytes ? options_.memory_bytes : available_memory_bytes());
    if (options_.lock_memory) file_->lock_in_memory();
    EngineParts parts = make_parts(graph, budget);
    if (parts.draft_model) info_.draft_kv_bytes = parts.draft_model->kv_bytes();
    info_.n_ctx = budget.n_ctx;
    info_.workspace_bytes = needs.memory.workspace_bytes;
    info_.draft_file_bytes = needs.memory.draft_weight_bytes;
    for (const Node& node : graph.nodes()) info_.weight_bytes_per_token += graph.weight_bytes_per_token(node);
    fill_info(budget);
    loop_ = std::make_unique<EngineLoop>(std::move(parts), inbox_);
    thread_ = std::thread([this] { loop_->run(); });
}

EngineParts LocalEngine::make_parts(const Graph& graph, const KvBudget& budget) const {
    EngineParts parts{.file = file_,
                      .tokenizer = tokenizer_,
                      .prompts = std::make_unique<Executor>(graph, *device_, prompt_limits(options_), Fusion::on, TokenKernels::many),
                      .answers = std::make_unique<Executor>(graph, *device_, answer_limits(options_), Fusion::on, TokenKernels::few),
                      .vectors = nullptr,
                      .cache = std::make_unique<KvCache>(*device_, budget.shape, budget.n_pages, budget.n_window_pages),
                      .n_pages = budget.n_pages,
                      .n_window_pages = budget.n_window_pages,
                      .window = budget.shape.window,
                      .keeps_prefixes = options_.prefix_cache,
                      .draft_model = options_.draft_model_path.empty() ? nullptr : load_draft_model(budget),
                      .draft_ngram = options_.draft_ngram,
                      .n_draft = options_.n_draft,
                      .n_sequences = options_.n_sequences,
                      .n_vocab = model_->n_vocab()};
    if (model_->predicts_tokens() && info_.pooling) {
        const int64_t n_ctx = options_.n_ctx > 0 ? options_.n_ctx : model_->n_ctx_train();
        parts.vectors = std::make_unique<Executor>(vector_graph(*model_, n_ctx, adapters_), *device_, vector_limits(options_));
    }
    return parts;
}

LocalEngine::~LocalEngine() {
    inbox_->stop();
    thread_.join();
}

void LocalEngine::load_text(const EngineOptions& options) {
    Vocabulary vocabulary = load_vocabulary(*file_);
    const int64_t n_vocab = model_->n_vocab();
    if (vocabulary.empty()) {  // token ids without texts: enough to measure with
        vocabulary.pieces.resize(static_cast<size_t>(n_vocab));
        vocabulary.kinds.assign(vocabulary.pieces.size(), TokenKind::control);
    }
    if (static_cast<int64_t>(vocabulary.pieces.size()) > n_vocab)
        throw ModelError(concat(file_->path(), ": the vocabulary has ", vocabulary.pieces.size(), " tokens, but token_embd.weight only ",
                                n_vocab, " rows"));
    struct Owner {  // the vocabulary's texts stand in the file
        std::shared_ptr<const GgufFile> file;
        std::unique_ptr<const Tokenizer> tokenizer;
    };
    const auto owner = std::make_shared<const Owner>(file_, make_tokenizer(*file_, std::move(vocabulary)));
    tokenizer_ = {owner, owner->tokenizer.get()};
    never_sampled_ = tokenizer_->never_sampled();
    for (int32_t id = tokenizer_->n_vocab(); id < n_vocab; ++id) never_sampled_.push_back({id});  // rows that pad the table
    LoadedTemplate loaded = choose_chat_template(*file_, *tokenizer_, options);
    template_ = std::move(loaded.format);
    template_adds_bos_ = loaded.adds_bos;
    info_.chat_template_error = loaded.error;
    if (!loaded.error.empty())
        log_warning(concat(loaded.error, "; chats are refused until --chat-format or --chat-template-file gives another"));
}

// The device must read every format before the first request does. A matrix may be a part of its tensor.
void LocalEngine::check_weights(const Graph& graph) const {
    for (const Node& node : graph.nodes())
        for (const TensorView& matrix : graph.matrices(node)) {
            if (device_->supports(matrix.dtype)) continue;
            for (const GgufTensor& tensor : file_->tensors())
                if (matrix.data >= tensor.view.data && matrix.data < tensor.view.data + tensor.view.bytes())
                    throw ModelError(concat(file_->path(), ": tensor ", tensor.name, " is ", dtype_name(tensor.view.dtype),
                                            ", which quern cannot run yet"));
        }
}

std::unique_ptr<DraftModel> LocalEngine::load_draft_model(const KvBudget& budget) const {
    auto draft_model = std::make_unique<DraftModel>(
        *device_,
        DraftModel::Options{
            .path = options_.draft_model_path, .n_sequences = options_.n_sequences, .n_ctx = budget.n_ctx, .n_pages = budget.n_pages});
    const auto pieces = load_vocabulary(draft_model->file()).pieces, own = tokenizer_->vocabulary().pieces;
    const size_t n = std::min(pieces.size(), own.size());
    if (draft_model->n_vocab() > model_->n_vocab() ||
        !std::equal(pieces.begin(), pieces.begin() + static_cast<std::ptrdiff_t>(n), own.begin()))
        throw InvalidInput(concat(options_.draft_model_path, ": the draft model has another vocabulary than ", file_->path(),
                                  "; take a smaller model of the same family"),
                           "model_draft");
    return draft_model;
}

void LocalEngine::fill_info(const KvBudget& budget) {
    const Metadata& metadata = file_->metadata();
    info_.name = std::string(metadata.string("general.name").value_or(""));
    if (info_.name.empty()) info_.name = std::filesystem::path(file_->path()).stem().string();
    info_.architecture = std::string(metadata.require_string("general.architecture"));
    info_.path = file_->path();
    info_.file_bytes = file_->file_bytes();
    for (const GgufTensor& tensor : file_->tensors()) info_.n_params += static_cast<uint64_t>(tensor.view.shape.n_values());
    info_.n_layers = budget.shape.n_layers;
    info_.n_embd = model_->n_embd();
    info_.n_vocab = model_->n_vocab();
    info_.n_ctx_train = model_->n_ctx_train();
    info_.generates = model_->predicts_tokens();
    if (const ClassifierHead* head = model_->head()) {
        info_.n_labels = head->n_labels();
        info_.label_names = head->label_names();
    }
    info_.kv_bytes_per_token = (KvCache::page_bytes(budget.shape) + KvCache::window_page_bytes(budget.shape)) / kv_page_tokens;
    info_.kv_bytes = budget.bytes();
    info_.n_kv_tokens = budget.n_pages * kv_page_tokens;
    info_.kv_window = budget.shape.window;
    info_.n_windowed_layers = budget.shape.n_windowed();
    info_.draft_model = options_.draft_model_path;
    info_.is_speculative = !options_.draft_model_path.empty() || options_.draft_ngram > 0;
    info_.n_batch = options_.n_batch;
    info_.n_sequences = options_.n_sequences;
    info_.cache_type_k = options_.cache_type_k;
    info_.cache_type_v = options_.cache_type_v;
    info_.n_threads = options_.n_threads ? options_.n_threads : usable_cores();
    info_.isa = options_.isa.value_or(best_isa());
    info_.device = device_->description();
    info_.seed = options_.seed;
    info_.repeat_last_n = options_.repeat_last_n;
}

std::vector<TokenId> LocalEngine::tokenize_chat(const TemplateInput& input) const {
    require_predictions();
    if (!template_) refuse_chat(info_);
    return tokenize_prompt_parts(*tokenizer_, template_->render(input), template_adds_bos_);
}

void LocalEngine::check_tokens(std::span<const TokenId> tokens, const char* field) const {
    for (const TokenId token : tokens)
        if (token.value < 0 || token.value >= info_.n_vocab)
            throw InvalidInput(concat("token ", token.value, " is outside the vocabulary of ", info_.n_vocab), field);
}

void LocalEngine::require_predictions() const {
    if (!info_.generates)
        throw InvalidInput(concat("model ", info_.name, " makes vectors of texts (embeddings) and cannot go on with a text"), "model");
}

std::unique_ptr<Sequence> LocalEngine::make_sequence(Request& request) const {
    require_predictions();
    validate(request.sampling);
    const auto n_prompt = static_cast<int64_t>(request.prompt.size());
    if (n_prompt == 0) throw InvalidInput("the prompt is empty", "prompt");
    check_tokens(request.prompt, "prompt");
    for (const std::string& stop : request.stop)
        if (stop.empty()) throw InvalidInput("a stop string is empty", "stop");
    if (request.max_tokens && *request.max_tokens < 0) throw InvalidInput("max_tokens must not be negative", "max_tokens");
    const bool wants_nothing = request.max_tokens && *request.max_tokens == 0;  // but the prompt to be read
    if (n_prompt > info_.n_ctx || (n_prompt == info_.n_ctx && !wants_nothing))
        throw ContextOverflow(concat("this model's maximum context length is ", info_.n_ctx, " tokens, but the prompt has ", n_prompt,
                                     request.max_tokens ? concat(" and max_tokens asks for ", *request.max_tokens, " more") : std::string(),
                                     "; shorten the prompt"),
                              "prompt");
    const int64_t room = info_.n_ctx - n_prompt;
    std::vector<float> scales = request.adapter_scales.empty() ? default_scales() : request.adapter_scales;
    adapters_.check_scales(scales);
    auto sequence = std::make_unique<Sequence>(Sequence{.channel = std::make_shared<OutputChannel>(std::move(request.on_output)),
                                                        .sampler = Sampler(request.sampling, never_sampled_, tokenizer_.get()),
                                                        .n_prompt = n_prompt,
                                                        .n_limit = n_prompt + std::min(room, request.max_tokens.value_or(room)),
                                                        .n_logprobs = request.n_logprobs,
                                                        .ignore_end = request.ignore_end,
                                                        .reuse_prefix = request.reuse_prefix,
                                                        .cache_salt = adapters_.salt(scales, request.cache_salt),
                                                        .adapter_scales = std::move(scales),
                                                        .sampling = std::make_shared<const SamplingParams>(request.sampling),
                                                        .submitted = Sequence::Clock::now()});
    sequence->tokens.reserve(static_cast<size_t>(n_prompt) + 64);
    for (const TokenId token : request.prompt) {
        sequence->tokens.push_back(token.value);
        sequence->sampler.accept(token);
    }
    sequence->stats.n_prompt_tokens = n_prompt;
    return sequence;
}

std::shared_ptr<Generation> LocalEngine::submit(Request request) {
    loop_->require_intact_files();
    std::unique_ptr<Sequence> sequence = make_sequence(request);
    const bool at_start =
        std::all_of(request.prompt.begin(), request.prompt.end(), [&](TokenId token) { return tokenizer_->token_bytes(token).empty(); });
    OutputEnds ends{.stops = std::move(request.stop), .line_time = request.line_time};
    auto generation = std::make_shared<ChannelGeneration>(sequence->channel, tokenizer_, std::move(ends), at_start, waker());
    inbox_->submit(std::move(sequence), request.goes_on);
    return generation;
}

/// Tells the engine that somebody has gone. Safe also when the engine itself has.
std::function<void()> LocalEngine::waker() const {
    return [inbox = inbox_] { inbox->notice_cancel(); };
}

void LocalEngine::observe_inputs(InputObserver observer) {
    const auto set = [this](const LinearObserver& show) { inbox_->run_between_steps([&] { loop_->observe(show); }).get(); };
    if (!observer) return set({});
    std::map<const std::byte*, std::string_view> names;
    for (const GgufTensor& tensor : file_->tensors()) names.emplace(tensor.view.data, tensor.name);
    const auto show = [names = std::move(names), observer = std::move(observer)](const LinearInput& input) {
        std::vector<std::string_view> tensors;
        for (const LinearStepOutput& matrix : input.matrices)
            if (const auto name = names.find(matrix.weight.data); name != names.end()) tensors.push_back(name->second);
        observer(
            {.tensors = tensors, .rows = input.rows.data, .n_rows = input.n_rows, .n_cols = input.n_cols, .stride = input.rows.stride});
    };
    set(show);
}

std::vector<float> LocalEngine::default_scales() const {
    const std::lock_guard lock(mutex_);
    return adapter_scales_;
}

std::vector<AdapterSource> LocalEngine::adapters() const {
    std::vector<AdapterSource> all = options_.adapters;
    const std::vector<float> scales = default_scales();
    for (size_t i = 0; i < all.size(); ++i) all[i].scale = scales[i];
    return all;
}

void LocalEngine::set_adapter_scales(std::span<const float> scales) {
    adapters_.check_scales(scales);
    const std::lock_guard lock(mutex_);
    adapter_scales_.assign(scales.begin(), scales.end());
}

EngineStats LocalEngine::stats() const { return inbox_->stats(); }

std::string LocalEngine::failure() const {
    std::string damage = loop_->damage();
    return damage.empty() ? inbox_->failure() : damage;
}

}  // namespace quern
