#include "tools/run/options.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/log.h"
#include "tools/engine_flags.h"
#include "tools/environment.h"
#include "tools/run/escapes.h"
#include "tools/template_sources.h"
#include "tools/text_file.h"

namespace quern {
namespace {

void declare_prompt_flags(CLI::App& app, RunOptions& options) {
    app.add_option("-p,--prompt", options.prompt, "the text to go on with; in a chat, the first message")->type_name("TEXT");
    app.add_option("-f,--file", options.prompt_file, "read the prompt from a file")->type_name("FILE");
    app.add_option("-n,--n-predict,--predict", options.n_predict, "most tokens to generate; -1: until the window is full")
        ->check(CLI::Range(int64_t{-2}, int64_t{1} << 31))
        ->capture_default_str()
        ->type_name("N");
    app.add_flag("-e,--escape,--escapes", options.escapes, "read \\n, \\t, \\xHH and so on in the prompt and the other texts");
    app.add_flag("--no-escape,--no-escapes", options.no_escapes, "leave backslashes alone: the default");
    app.add_flag("--no-display-prompt", options.no_display_prompt, "print only what is generated");
    app.add_option("--logits-out", options.logits_file, "write the logits of the prompt's last token to a file, as f32")->type_name("FILE");
    app.add_flag("--logits-all", options.all_logits, "with --logits-out: those of every token, a row each");
}

void declare_chat_flags(CLI::App& app, RunOptions& options) {
    app.add_flag("--chat,--conversation", options.chat, "-cnv: a conversation through the model's chat template");
    app.add_flag("--no-chat,--no-conversation", options.no_chat, "-no-cnv: no conversation, even without -p");
    app.add_flag("--single-turn", options.single_turn, "-st: one answer, then end");
    app.add_option("--system-prompt", options.system_prompt, "-sys: what the model is told before the conversation")->type_name("TEXT");
    app.add_option("--system-prompt-file", options.system_prompt_file, "-sysf: the same from a file")->type_name("FILE");
    app.add_option_function<std::string>(
           "--chat-format,--chat-template", [&options](const std::string& text) { set_chat_template(text, options.engine); },
           "a built-in format in place of the model's template: chatml ...; or a template's text")
        ->type_name("NAME");
    app.add_option_function<std::string>(
           "--chat-template-file", [&options](const std::string& path) { options.engine.chat_template = read_text_file(path); },
           "a file with a template in place of the model's own")
        ->type_name("FILE");
    app.add_flag("-i,--interactive", options.interactive, "take turns with the user without a chat template");
    app.add_flag("--interactive-first", options.interactive_first, "-if: the user goes first");
    app.add_option("-r,--reverse-prompt", options.reverse_prompts, "text at which the user's turn comes; may be given several times")
        ->allow_extra_args(false)
        ->type_name("TEXT");
    app.add_option("--in-prefix", options.in_prefix, "put before what the user types")->type_name("TEXT");
    app.add_option("--in-suffix", options.in_suffix, "put after what the user types")->type_name("TEXT");
    app.add_flag("--color,--colour", options.colour, "tell prompt, user and model apart by colour");
    app.add_flag("--simple-io", options.simple_io, "no line editing");
}

void declare_more_samplers(CLI::App& app, SamplingParams& sampling) {
    const auto number = [&](const char* names, auto& value, const char* description, auto least, auto most) {
        app.add_option(names, value, description)->check(CLI::Range(least, most))->capture_default_str()->type_name("X");
    };
    constexpr int most = std::numeric_limits<int>::max();
    number("--typical,--typical-p", sampling.typical_p, "choose among the least surprising in either way, up to this share; 1: off", 0.0,
           1.0);
    number("--top-nsigma,--top-n-sigma", sampling.top_n_sigma, "choose within so many standard deviations of the best logit; -1: off", -1.0,
           1e6);
    number("--xtc-probability", sampling.xtc_probability, "how often the likeliest are left out; 0: never", 0.0, 1.0);
    number("--xtc-threshold", sampling.xtc_threshold, "what counts as likely then", 0.0, 1.0);
    number("--dynatemp-range", sampling.dynatemp_range, "the temperature moves by up to this with the entropy; 0: off", 0.0, 100.0);
    number("--dynatemp-exp", sampling.dynatemp_exponent, "how it moves", 0.0, 100.0);
    number("--mirostat", sampling.mirostat, "1, 2: Mirostat in place of the other filters; 0: off", 0, 2);
    number("--mirostat-ent", sampling.mirostat_tau, "Mirostat's wanted surprise in bits", 0.0, 100.0);
    number("--mirostat-lr", sampling.mirostat_eta, "how fast Mirostat corrects", 0.0, 1.0);
    number("--dry-multiplier", sampling.dry_multiplier, "how much repetitions cost; 0: nothing", 0.0, 1e6);
    number("--dry-base", sampling.dry_base, "by what they cost more with each token", 1.0, 1e6);
    number("--dry-allowed-length", sampling.dry_allowed_length, "repetitions up to this length are free", 0, most);
    number("--dry-penalty-last-n", sampling.dry_penalty_last_n, "how many tokens back they are looked for; -1: all", -1, most);
    app.add_option_function<std::vector<std::string>>(
           "--dry-sequence-breaker",
           [&sampling](const std::vector<std::string>& texts) {
               sampling.dry_sequence_breakers = texts;
               if (texts.size() == 1 && texts.front() == "none") sampling.dry_sequence_breakers.clear();
           },
           "a text that no repetition reaches across; may be given several times; none: no such text")
        ->allow_extra_args(false)
        ->type_name("TEXT");
    app.add_option_function<std::string>(
           "--samplers", [&sampling](const std::string& names) { sampling.samplers = parse_samplers(names); },
           "the stages and their order: " + to_string(default_sampler_order()))
        ->type_name("NAMES");
}

void declare_sampling_flags(CLI::App& app, RunOptions& options) {
    SamplingParams& sampling = options.sampling;
    sampling.temperature = 0.8f;  // llama.cpp's defaults
    sampling.top_k = 40;
    sampling.top_p = 0.95f;
    sampling.min_p = 0.05f;
    const auto number = [&](const char* names, auto& value, const char* description, auto least, auto most) {
        app.add_option(names, value, description)->check(CLI::Range(least, most))->capture_default_str()->type_name("X");
    };
    number("--temp,--temperature", sampling.temperature, "0 or less: always the likeliest token", -1e6, 100.0);
    number("--top-k", sampling.top_k, "choose among the k likeliest; 0 or less: all", -1, std::numeric_limits<int>::max());
    number("--top-p", sampling.top_p, "choose among the likeliest that make up this share", 0.0, 1.0);
    number("--min-p", sampling.min_p, "choose among those with this share of the likeliest's chance", 0.0, 1.0);
    number("--repeat-penalty", sampling.repeat_penalty, "above 1: repeat less", 0.01, 100.0);
    number("--repeat-last-n", sampling.repeat_last_n, "how many tokens back the penalties look; -1: all", -1,
           std::numeric_limits<int>::max());
    number("--presence-penalty", sampling.presence_penalty, "for tokens that occurred", -100.0, 100.0);
    number("--frequency-penalty", sampling.frequency_penalty, "for tokens, by how often they occurred", -100.0, 100.0);
    declare_more_samplers(app, sampling);
    app.add_option("-s,--seed", options.seed, "of the random choices; below 0: a new one each time")->capture_default_str()->type_name("N");
    app.add_flag("--ignore-eos", options.ignore_eos, "go on past the model's end token");
}

void replace_escapes(RunOptions& options) {
    if (options.prompt) options.prompt = unescape(*options.prompt);
    options.system_prompt = unescape(options.system_prompt);
    options.in_prefix = unescape(options.in_prefix);
    options.in_suffix = unescape(options.in_suffix);
    for (std::string& each : options.reverse_prompts) each = unescape(each);
}

void check_together(const RunOptions& options) {
    if (options.chat && options.no_chat) throw InvalidInput("--chat and --no-chat contradict each other", "chat");
    if (options.escapes && options.no_escapes) throw InvalidInput("--escape and --no-escape contradict each other", "escape");
    if (options.all_logits && options.logits_file.empty()) throw InvalidInput("--logits-all needs --logits-out FILE", "logits-all");
    if (!options.logits_file.empty() && (!options.prompt || options.chat))
        throw InvalidInput("--logits-out needs a prompt by -p or -f, and no --chat", "logits-out");
    check_chat_format(options.engine.chat_format);
    if (!options.engine.chat_format.empty() && !options.engine.chat_template.empty())
        throw InvalidInput("there are two chat templates: a format by name, and a template of your own; leave one out", "chat-format");
    for (const std::string& each : options.reverse_prompts)
        if (each.empty()) throw InvalidInput("--reverse-prompt may not be empty", "reverse-prompt");
}

}  // namespace

Request RunOptions::request() const {
    Request request;
    request.sampling = sampling;
    if (seed >= 0) request.sampling.seed = static_cast<uint64_t>(seed);
    if (n_predict >= 0) request.max_tokens = n_predict;
    request.ignore_end = ignore_eos;
    return request;
}

void declare_run_options(CLI::App& app, RunOptions& options) {
    declare_engine_flags(app, options.engine);
    declare_prompt_flags(app, options);
    declare_chat_flags(app, options);
    declare_sampling_flags(app, options);
    declare_log_flags(app);
}

void complete_run_options(RunOptions& options) {
    if (!options.prompt_file.empty()) {
        if (options.prompt) throw InvalidInput("-p and -f both give a prompt: leave one out", "file");
        options.prompt = read_text_file(options.prompt_file);
    }
    if (!options.system_prompt_file.empty()) {
        if (!options.system_prompt.empty()) throw InvalidInput("-sys and -sysf both give a system prompt: leave one out", "system-prompt");
        options.system_prompt = read_text_file(options.system_prompt_file);
    }
    options.sampling.temperature = std::max(0.0f, options.sampling.temperature);
    options.sampling.top_k = std::max(0, options.sampling.top_k);
    if (options.escapes) replace_escapes(options);
    check_together(options);
    options.engine.isa = isa_from_environment();
    options.engine.n_sequences = 1;
    options.quiet = log_level() > LogLevel::warning;
}

}  // namespace quern
