// Loading a model and taking requests; the engine thread itself is in engine_thread.cpp.
#include "engine/local_engine.h"

#include <algorithm>
#include <filesystem>
#include <future>
#include <map>

#include "base/log.h"
#include "base/memory.h"
#include "base/printable.h"
#include "engine/chat_tokens.h"
#include "engine/load_vocabulary.h"

namespace quern {
namespace {

// Rows of logits in one step when nobody asks for a number.
constexpr int64_t usual_outputs = 64;

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
    if (!model.pooling()) return options;
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

// Tokens in one step of answers: those of all sequences, and room for drafts and for answers that are computed anew.
constexpr int64_t usual_answer_tokens = 64;

BatchLimits prompt_limits(const EngineOptions& options) {
    return {.n_tokens = std::max<int64_t>(options.n_batch, options.n_sequences),
            .n_outputs = std::max<int64_t>(options.n_outputs > 0 ? options.n_outputs : usual_outputs, options.n_sequences)};
}

BatchLimits answer_limits(const EngineOptions& options) {
    const int64_t n = std::max<int64_t>(options.n_sequences, std::min(usual_answer_tokens, options.n_batch));
    return {.n_tokens = n, .n_outputs = options.draft_ngram > 0 || !options.draft_model_path.empty() ? n : options.n_sequences};
}

// Of both executors. Those for answers have less to keep in every respect, so that the scratch memory is that of the prompts'.
uint64_t work_bytes(const Graph& graph, const Device& device, const EngineOptions& options) {
    return Executor::memory_bytes(graph, device, prompt_limits(options)) + Executor::workspace_bytes(graph, answer_limits(options));
}

KvShape kv_shape_of(const Model& model, const EngineOptions& options) {
    KvShape shape = model.kv_shape();
    for (const KvType type : {options.cache_type_k, options.cache_type_v})
        if (shape.head_dim % traits(type).block_values != 0)
            throw InvalidInput(concat("a cache of type ", traits(type).name, " needs heads of a multiple of ", traits(type).block_values,
                                      " values, but this model's have ", shape.head_dim, ": use f16"),
                               "cache_type");
    shape.key_type = options.cache_type_k;
    shape.value_type = options.cache_type_v;
    return shape;
}

}  // namespace

MemoryNeed memory_need(const EngineOptions& asked) {
    check_options(asked);
    const auto file = GgufFile::open(asked.model_path);
    const auto model = load_model(*file);
    const EngineOptions options = options_for(*model, asked);
    const auto device = make_cpu_device(options.n_threads, options.isa);
    MemoryNeed need{.n_ctx = options.n_ctx > 0 ? options.n_ctx : model->n_ctx_train(), .weight_bytes = file->file_bytes()};
    const auto n_pages = static_cast<uint64_t>((need.n_ctx + kv_page_tokens - 1) / kv_page_tokens);
    need.kv_bytes = n_pages * KvCache::page_bytes(kv_shape_of(*model, options));
    need.workspace_bytes = work_bytes(model->build(need.n_ctx), *device, options);
    return need;
}

std::unique_ptr<Engine> Engine::load(const EngineOptions& options) {
    check_options(options);
    return std::make_unique<LocalEngine>(options);
}

LocalEngine::LocalEngine(const EngineOptions& options)
    : file_(GgufFile::open(options.model_path)),
      model_(load_model(*file_)),
      options_(options_for(*model_, options)),
      device_(make_cpu_device(options.n_threads, options.isa)) {
    if (options.n_gpu_layers != 0) log_warning("this build has no GPU backend: the model runs on the CPU");
    load_text(options);
    const Graph graph = model_->build(options_.n_ctx > 0 ? options_.n_ctx : model_->n_ctx_train());
    check_weights(graph);
    const uint64_t workspace = work_bytes(graph, *device_, options_);
    const uint64_t available = options_.memory_bytes ? options_.memory_bytes : available_memory_bytes();
    const KvBudget budget = plan_kv(options_, kv_shape(), model_->n_ctx_train(), available - std::min(available, workspace));
    prompts_ = std::make_unique<Executor>(graph, *device_, prompt_limits(options_), Fusion::on, TokenKernels::many);
    answers_ = std::make_unique<Executor>(graph, *device_, answer_limits(options_), Fusion::on, TokenKernels::few);
    cache_ = std::make_unique<KvCache>(*device_, kv_shape(), budget.n_pages);
    pool_ = std::make_unique<PagePool>(budget.n_pages);
    prefixes_ = std::make_unique<PrefixCache>(*pool_, options_.prefix_cache);
    scheduler_ = std::make_unique<Scheduler>(*prefixes_, SchedulerLimits{.n_batch = prompts_->limits().n_tokens,
                                                                         .n_generation = answers_->limits().n_tokens,
                                                                         .n_sequences = options_.n_sequences,
                                                                         .n_outputs = prompts_->limits().n_outputs});
    if (!options_.draft_model_path.empty()) load_draft_model(budget);
    info_.n_ctx = budget.n_ctx;
    info_.workspace_bytes = workspace;
    for (const Node& node : graph.nodes()) info_.weight_bytes_per_token += graph.weight_bytes_per_token(node);
    fill_info();
    publish_stats();
    thread_ = std::thread([this] { serve(); });
}

LocalEngine::~LocalEngine() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    bell_->rung.notify_all();
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
    tokenizer_ = make_tokenizer(*file_, std::move(vocabulary));
    never_sampled_ = tokenizer_->never_sampled();
    for (int32_t id = tokenizer_->n_vocab(); id < n_vocab; ++id) never_sampled_.push_back({id});  // rows that pad the table
    template_ = options.chat_format.empty() ? load_chat_template(*file_, *tokenizer_)
                                            : ChatTemplate::named(options.chat_format, template_tokens(*tokenizer_));
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

void LocalEngine::load_draft_model(const KvBudget& budget) {
    draft_model_ = std::make_unique<DraftModel>(
        *device_, DraftModel::Options{.path = options_.draft_model_path,
                                      .n_sequences = options_.n_sequences,
                                      .n_ctx = budget.n_ctx,
                                      .kv_bytes = KvCache::page_bytes(kv_shape()) * static_cast<uint64_t>(budget.n_pages) / 4});
    const auto pieces = load_vocabulary(draft_model_->file()).pieces, own = tokenizer_->vocabulary().pieces;
    const size_t n = std::min(pieces.size(), own.size());
    if (draft_model_->n_vocab() > model_->n_vocab() ||
        !std::equal(pieces.begin(), pieces.begin() + static_cast<std::ptrdiff_t>(n), own.begin()))
        throw InvalidInput(concat(options_.draft_model_path, ": the draft model has another vocabulary than ", file_->path(),
                                  "; take a smaller model of the same family"),
                           "model_draft");
    info_.draft_model = options_.draft_model_path;
}

KvShape LocalEngine::kv_shape() const { return kv_shape_of(*model_, options_); }

void LocalEngine::fill_info() {
    const Metadata& metadata = file_->metadata();
    info_.name = std::string(metadata.string("general.name").value_or(""));
    if (info_.name.empty()) info_.name = std::filesystem::path(file_->path()).stem().string();
    info_.architecture = std::string(metadata.require_string("general.architecture"));
    info_.path = file_->path();
    info_.file_bytes = file_->file_bytes();
    for (const GgufTensor& tensor : file_->tensors()) info_.n_params += static_cast<uint64_t>(tensor.view.shape.n_values());
    info_.n_layers = model_->kv_shape().n_layers;
    info_.n_embd = model_->n_embd();
    info_.n_vocab = model_->n_vocab();
    info_.n_ctx_train = model_->n_ctx_train();
    info_.pooling = model_->pooling();
    info_.kv_bytes_per_token = KvCache::page_bytes(kv_shape()) / kv_page_tokens;
    info_.kv_bytes = KvCache::page_bytes(kv_shape()) * static_cast<uint64_t>(pool_->n_pages());
    info_.n_batch = options_.n_batch;
    info_.n_sequences = options_.n_sequences;
    info_.cache_type_k = options_.cache_type_k;
    info_.cache_type_v = options_.cache_type_v;
    info_.n_threads = options_.n_threads ? options_.n_threads : usable_cores();
    info_.isa = options_.isa.value_or(best_isa());
    info_.device = device_->description();
}

std::vector<TokenId> LocalEngine::tokenize_chat(const TemplateInput& input) const {
    require_predictions();
    if (!template_)
        throw InvalidInput(concat("model ", printable(info_.name), " has no chat template; choose one with --chat-format"), "messages");
    // A file's own template writes BOS itself if it wants one; the named formats leave it to the vocabulary.
    return tokenize_prompt_parts(*tokenizer_, template_->render(input), !options_.chat_format.empty());
}

void LocalEngine::check_tokens(std::span<const TokenId> tokens, const char* field) const {
    for (const TokenId token : tokens)
        if (token.value < 0 || token.value >= info_.n_vocab)
            throw InvalidInput(concat("token ", token.value, " is outside the vocabulary of ", info_.n_vocab), field);
}

void LocalEngine::require_predictions() const {
    if (info_.pooling)
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
    if (n_prompt >= info_.n_ctx)
        throw ContextOverflow(concat("this model's window is ", info_.n_ctx, " tokens, but the prompt has ", n_prompt,
                                     request.max_tokens ? concat(" and max_tokens asks for ", *request.max_tokens, " more") : std::string(),
                                     "; shorten the prompt"),
                              "prompt");
    const int64_t room = info_.n_ctx - n_prompt;
    auto sequence = std::make_unique<Sequence>(Sequence{.channel = std::make_shared<OutputChannel>(std::move(request.on_output)),
                                                        .sampler = Sampler(request.sampling, never_sampled_, tokenizer_.get()),
                                                        .n_prompt = n_prompt,
                                                        .n_limit = n_prompt + std::min(room, request.max_tokens.value_or(room)),
                                                        .n_logprobs = request.n_logprobs,
                                                        .ignore_end = request.ignore_end,
                                                        .reuse_prefix = request.reuse_prefix,
                                                        .cache_salt = request.cache_salt,
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
    std::unique_ptr<Sequence> sequence = make_sequence(request);
    const bool at_start =
        std::all_of(request.prompt.begin(), request.prompt.end(), [&](TokenId token) { return tokenizer_->token_bytes(token).empty(); });
    auto generation = std::make_shared<ChannelGeneration>(sequence->channel, tokenizer_, std::move(request.stop), at_start, waker());
    enqueue(std::move(sequence));
    return generation;
}

/// Tells the engine that somebody has gone. Safe also when the engine itself has.
std::function<void()> LocalEngine::waker() const {
    return [bell = bell_] {
        {
            const std::lock_guard lock(bell->mutex);
            bell->cancelled = true;
        }
        bell->rung.notify_one();
    };
}

void LocalEngine::enqueue(std::unique_ptr<Sequence> sequence) {
    {
        const std::lock_guard lock(mutex_);
        const auto n_waiting = static_cast<int>(submitted_.size()) + stats_.n_waiting;
        if (n_waiting >= options_.n_queue) throw EngineBusy(concat(n_waiting, " requests are waiting already; try again later"));
        sequence->id = ++last_id_;
        ++stats_.n_requests;
        submitted_.push_back(std::move(sequence));
    }
    bell_->rung.notify_one();
}

void LocalEngine::observe_inputs(InputObserver observer) {
    const auto set = [this](const LinearObserver& show) {
        run_between_steps([&] {
            prompts_->observe(show);
            answers_->observe(show);
        });
    };
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

// Waits for the engine thread to do it. @throws what the job throws
void LocalEngine::run_between_steps(const std::function<void()>& job) {
    std::packaged_task<void()> task(job);
    std::future<void> done = task.get_future();
    {
        const std::lock_guard lock(mutex_);
        jobs_.emplace_back([&] { task(); });
    }
    bell_->rung.notify_one();
    done.get();
}

EngineStats LocalEngine::stats() const {
    const std::lock_guard lock(mutex_);
    return stats_;
}

}  // namespace quern
