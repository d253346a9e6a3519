// What a caller asks of the engine, and the stream of text and tokens that it gets back.
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sampling/logprobs.h"
#include "sampling/params.h"
#include "text/token.h"

namespace quern {

struct Request {
    std::vector<TokenId> prompt;  ///< at least one token, all within the vocabulary
    SamplingParams sampling;
    std::optional<int64_t> max_tokens;  ///< nothing: until the window is full
    std::vector<std::string> stop;      ///< output ends before the earliest of these; none may be empty
    /// Output ends at the first token so long after the first one, once it has a line break; 0: does not.
    std::chrono::milliseconds line_time = {};
    int n_logprobs = -1;                ///< -1: none; 0: of the chosen token; k: and of the k most likely
    bool ignore_end = false;            ///< go on past end-of-generation tokens
    bool reuse_prefix = true;           ///< take keys and values of an equal beginning from the prefix cache, where it has them
    std::string cache_salt;             ///< shares cached prefixes only with requests of the same salt and the same scales of adapters
    bool goes_on = false;               ///< with a request that was let in: the length of the queue is no reason to refuse it
    std::vector<float> adapter_scales;  ///< one for each of the engine's adapters, 0: not applied; empty: the engine's own scales
    /// Called on the engine thread whenever output arrives or the state changes; must return at once. May be empty.
    std::function<void()> on_output;
};

enum class FinishReason : uint8_t {
    stop,       ///< end-of-generation token or stop string
    length,     ///< max_tokens, or the window is full
    cancelled,  ///< by the caller
    error,      ///< this request failed; Generation::failure() says how
};

/// One generated token.
struct TokenOutput {
    TokenId token;
    std::string text;                       ///< the bytes of this token alone; may be part of a UTF-8 sequence
    std::optional<TokenLogprobs> logprobs;  ///< as Request::n_logprobs asked
};

/// What has arrived since the last look. `text` is valid UTF-8 and append-only; it never holds a stop string or a part of one.
struct OutputDelta {
    std::string text;
    std::vector<TokenOutput> tokens;
    std::optional<FinishReason> finish;  ///< set once, on the last delta
    std::string stop;                    ///< the stop string that ended the text; "": none
};

/// Token counts and times of a request, complete once finished.
struct GenerationStats {
    int64_t n_prompt_tokens = 0;
    int64_t n_cached_tokens = 0;     ///< of the prompt, found in the prefix cache instead of computed
    int64_t n_generated_tokens = 0;  ///< an end-of-generation token is not counted
    int64_t n_drafted_tokens = 0;    ///< guessed ahead by speculation
    int64_t n_accepted_tokens = 0;   ///< of these, those that were right
    double queue_ms = 0;             ///< from submit until its first token was processed
    double prompt_ms = 0;            ///< processing the prompt, until the first token was sampled
    double generation_ms = 0;        ///< from the first sampled token to the last
};

/// The consumer's end of a request. One consumer thread at a time; dropping the last reference cancels the request.
class Generation {
  public:
    virtual ~Generation() = default;

    /// What has arrived, or nothing. After a delta with `finish` there is nothing more.
    virtual std::optional<OutputDelta> poll() = 0;
    /// Waits for the next delta. REQUIRES: the last one had no `finish`.
    virtual OutputDelta next() = 0;
    /// Stops the generation; its pages are free before the engine's next step. Safe at any time, from any thread.
    virtual void cancel() noexcept = 0;
    /// What went wrong when the reason is FinishReason::error, else nullptr.
    virtual std::exception_ptr failure() const = 0;
    virtual GenerationStats stats() const = 0;
};

}  // namespace quern
