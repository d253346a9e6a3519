// Loading a model and taking requests; the engine thread itself is in engine_thread.cpp.
#include "engine/local_engine.h"

#include <algorithm>
#include <filesystem>
#include <future>

#include "base/log.h"
#include "base/memory.h"
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
    if (options.n_threads < 0 || options.n_threads > 1024) throw InvalidInput("n_threads must be 0 to 1024", "n_threads");
}

BatchLimits batch_limits(const EngineOptions& options) {
    return {.n_tokens = std::max<int64_t>(options.n_batch, options.n_sequences),
            .n_outputs = std::max<int64_t>(options.n_outputs > 0 ? options.n_outputs : usual_outputs, options.n_sequences)};
}

KvShape kv_shape_of(const Model& model, const EngineOptions& options) {
    KvShape shape = model.kv_shape();
    shape.type = options.f32_cache ? KvType::f32 : KvType::f16;
    return shape;
}

}  // namespace

MemoryNeed memory_need(const EngineOptions& options) {
    check_options(options);
    const auto file = GgufFile::open(options.model_path);
    const auto model = load_model(*file);
    const auto device = make_cpu_device(options.n_threads, options.isa);
    MemoryNeed need{.n_ctx = options.n_ctx > 0 ? options.n_ctx : model->n_ctx_train(), .weight_bytes = file->file_bytes()};
    const auto n_pages = static_cast<uint64_t>((need.n_ctx + kv_page_tokens - 1) / kv_page_tokens);
    need.kv_bytes = n_pages * KvCache::page_bytes(kv_shape_of(*model, options));
    need.workspace_bytes = Executor::memory_bytes(model->build(need.n_ctx), *device, batch_limits(options));
    return need;
}

std::unique_ptr<Engine> Engine::load(const EngineOptions& options) {
    check_options(options);
    return std::make_unique<LocalEngine>(options);
}

LocalEngine::LocalEngine(const EngineOptions& options)
    : options_(options),
      file_(GgufFile::open(options.model_path)),
      model_(load_model(*file_)),
      device_(make_cpu_device(options.n_threads, options.isa)) {
    if (options.n_gpu_layers != 0) log_warning("this build has no GPU backend: the model runs on the CPU");
    load_text(options);
    if (options.n_ctx > model_->n_ctx_most())
        throw InvalidInput(concat("this model has no positions beyond ", model_->n_ctx_most(), "; ask for a smaller window"), "n_ctx");
    const Graph graph = model_->build(options.n_ctx > 0 ? options.n_ctx : model_->n_ctx_train());
    check_weights(graph);
    const BatchLimits limits = batch_limits(options);
    const uint64_t workspace = Executor::memory_bytes(graph, *device_, limits);
    const uint64_t available = available_memory_bytes();
    const KvBudget budget = plan_kv(options, kv_shape(), model_->n_ctx_train(), available - std::min(available, workspace));
    executor_ = std::make_unique<Executor>(graph, *device_, limits);
    cache_ = std::make_unique<KvCache>(*device_, kv_shape(), budget.n_pages);
    pool_ = std::make_unique<PagePool>(budget.n_pages);
    scheduler_ = std::make_unique<Scheduler>(*pool_, SchedulerLimits{.n_batch = limits.n_tokens, .n_sequences = options.n_sequences});
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
    work_arrived_.notify_all();
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
    tokenizer_ = Tokenizer::create(std::move(vocabulary));
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
    info_.kv_bytes_per_token = KvCache::page_bytes(kv_shape()) / kv_page_tokens;
    info_.kv_bytes = KvCache::page_bytes(kv_shape()) * static_cast<uint64_t>(pool_->n_pages());
    info_.n_threads = options_.n_threads ? options_.n_threads : usable_cores();
    info_.isa = options_.isa.value_or(best_isa());
    info_.device = device_->description();
}

std::vector<TokenId> LocalEngine::tokenize_chat(const TemplateInput& input) const {
    if (!template_) throw InvalidInput(concat("model ", info_.name, " has no chat template; choose one with --chat-format"), "messages");
    // A file's own template writes BOS itself if it wants one; the named formats leave it to the vocabulary.
    return tokenize_prompt_parts(*tokenizer_, template_->render(input), !options_.chat_format.empty());
}

void LocalEngine::check_tokens(std::span<const TokenId> tokens) const {
    for (const TokenId token : tokens)
        if (token.value < 0 || token.value >= info_.n_vocab)
            throw InvalidInput(concat("token ", token.value, " is outside the vocabulary of ", info_.n_vocab), "prompt");
}

std::unique_ptr<Sequence> LocalEngine::make_sequence(Request& request) const {
    validate(request.sampling);
    const auto n_prompt = static_cast<int64_t>(request.prompt.size());
    if (n_prompt == 0) throw InvalidInput("the prompt is empty", "prompt");
    check_tokens(request.prompt);
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
                                                        .sampler = Sampler(request.sampling, never_sampled_),
                                                        .n_prompt = n_prompt,
                                                        .n_limit = n_prompt + std::min(room, request.max_tokens.value_or(room)),
                                                        .n_logprobs = request.n_logprobs,
                                                        .ignore_end = request.ignore_end,
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
    const auto wake = [this] {
        {
            const std::lock_guard lock(mutex_);
            cancelled_ = true;
        }
        work_arrived_.notify_one();
    };
    auto generation = std::make_shared<ChannelGeneration>(sequence->channel, *tokenizer_, std::move(request.stop), at_start, wake);
    {
        const std::lock_guard lock(mutex_);
        const auto n_waiting = static_cast<int>(submitted_.size()) + stats_.n_waiting;
        if (n_waiting >= options_.n_queue) throw EngineBusy(concat(n_waiting, " requests are waiting already; try again later"));
        submitted_.push_back(std::move(sequence));
    }
    work_arrived_.notify_one();
    return generation;
}

void LocalEngine::evaluate(std::span<const TokenId> tokens, int64_t first_wanted, const LogitsSink& sink) {
    if (tokens.empty()) throw InvalidInput("there are no tokens to evaluate", "prompt");
    check_tokens(tokens);
    if (first_wanted < 0 || first_wanted >= static_cast<int64_t>(tokens.size()))
        throw InvalidInput(concat("there is no position ", first_wanted, " in a text of ", tokens.size(), " tokens"));
    if (static_cast<int64_t>(tokens.size()) > info_.n_ctx)
        throw ContextOverflow(concat("this model's window is ", info_.n_ctx, " tokens, but the prompt has ", tokens.size()), "prompt");
    std::packaged_task<void()> task([&] { evaluate_now(tokens, first_wanted, sink); });
    std::future<void> done = task.get_future();
    {
        const std::lock_guard lock(mutex_);
        jobs_.emplace_back([&] { task(); });
    }
    work_arrived_.notify_one();
    done.get();
}

EngineStats LocalEngine::stats() const {
    const std::lock_guard lock(mutex_);
    return stats_;
}

}  // namespace quern
