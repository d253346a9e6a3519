#include "tools/bench/answer_reader.h"

#include <algorithm>

#include "base/printable.h"

namespace quern {
namespace {

using nlohmann::json;

constexpr size_t max_refusal_bytes = 64 << 10;
constexpr size_t max_json_bytes = 16 << 20;
constexpr size_t max_message_bytes = 300;

int64_t n_characters(std::string_view text) {
    return std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; });
}

const json* find(const json& object, const char* name) {
    if (!object.is_object()) return nullptr;
    const auto found = object.find(name);
    return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string_view text_of(const json& object, const char* name) {
    const json* found = find(object, name);
    return found != nullptr && found->is_string() ? std::string_view(found->get_ref<const std::string&>()) : std::string_view();
}

/// The message in an error object of any server: OpenAI's {"error": {"message"}}, {"error": "..."}, FastAPI's {"detail"}, {"message"}.
std::string message_in(const json& object) {
    for (const char* name : {"error", "detail", "message"}) {
        const json* found = find(object, name);
        if (found == nullptr) continue;
        if (found->is_string()) return found->get<std::string>();
        const std::string_view inner = text_of(*found, "message");
        return inner.empty() ? found->dump(-1, ' ', false, json::error_handler_t::replace) : std::string(inner);
    }
    return {};
}

std::string shortened(const std::string& message) { return printable(message, max_message_bytes); }

/// What the user can do about a status.
const char* advice(int status) {
    if (status == 401 || status == 403) return "; give the server's key with --api-key";
    if (status == 404) return "; check the URL, --model, and --chat or --completions";
    return "";
}

}  // namespace

std::optional<int64_t> integer_of(const json& object, const char* name) {
    const json* found = find(object, name);
    if (found == nullptr || !found->is_number_integer()) return std::nullopt;
    constexpr int64_t most = int64_t{1} << 40;
    return std::clamp(found->get<int64_t>(), int64_t{0}, most);
}

bool Refusal::add(std::string_view bytes) {
    body_ += bytes.substr(0, max_refusal_bytes - body_.size());
    return body_.size() < max_refusal_bytes;
}

void Refusal::raise() const {
    std::string message = message_in(json::parse(body_, nullptr, false));
    if (message.empty()) message = body_.substr(0, body_.find('\n'));
    const std::string said = message.empty() ? "" : concat(": ", shortened(message));
    throw CallFailure(concat("HTTP ", status_), concat("the server answered with status ", status_, said, advice(status_)));
}

StreamReader::StreamReader(RequestRecord& record, Clock::time_point zero)
    : record_(record), zero_(zero), events_([this](std::string_view data) { take_data(data); }) {}

void StreamReader::on_head(int status, std::string_view content_type) {
    refusal_.set_status(status);
    if (status == 200 && !content_type.starts_with("text/event-stream"))
        throw CallFailure("no stream", concat("the server answered with ", content_type.empty() ? "nothing named" : quoted(content_type),
                                              " where a stream of events (text/event-stream) was asked for"));
}

bool StreamReader::on_bytes(std::string_view bytes) {
    if (refusal_.is_one()) {
        if (!refusal_.add(bytes)) refusal_.raise();
        return true;
    }
    events_.push(bytes);
    return !is_done_;
}

void StreamReader::on_end() {
    if (refusal_.is_one()) refusal_.raise();
    if (!is_done_ && !has_finish_) throw CallFailure("cut off", "the stream ended before the answer did");
}

void StreamReader::take_data(std::string_view data) {
    if (is_done_) return;
    if (data == "[DONE]") {
        is_done_ = true;
        return;
    }
    const json event = json::parse(data, nullptr, false);
    if (!event.is_object()) throw CallFailure("bad event", concat("an event is no JSON object: ", printable(data, 100)));
    if (find(event, "error") != nullptr)
        throw CallFailure("error in the stream", concat("the stream ended with an error: ", shortened(message_in(event))));
    if (const json* usage = find(event, "usage")) {
        record_.n_prompt_tokens = integer_of(*usage, "prompt_tokens");
        record_.n_output_tokens = integer_of(*usage, "completion_tokens");
        if (const json* details = find(*usage, "prompt_tokens_details")) record_.n_cached_tokens = integer_of(*details, "cached_tokens");
    }
    const json* choices = find(event, "choices");
    if (choices == nullptr || !choices->is_array() || choices->empty()) return;
    const json& choice = choices->front();
    has_finish_ = has_finish_ || !text_of(choice, "finish_reason").empty();
    const json* delta = find(choice, "delta");
    int64_t n_new = n_characters(text_of(choice, "text"));
    if (delta != nullptr) n_new += n_characters(text_of(*delta, "content")) + n_characters(text_of(*delta, "reasoning_content"));
    const bool has_token = n_new > 0 || find(choice, "logprobs") != nullptr;  // a token may have no text, and is a token all the same
    if (!has_token) return;
    record_.n_characters += n_new;
    record_.pieces.push_back(now());
}

bool JsonReader::on_bytes(std::string_view bytes) {
    if (refusal_.is_one()) {
        if (!refusal_.add(bytes)) refusal_.raise();
        return true;
    }
    if (body_.size() + bytes.size() > max_json_bytes) throw CallFailure("too long", "the server's answer is longer than 16 MiB");
    body_ += bytes;
    return true;
}

void JsonReader::on_end() {
    if (refusal_.is_one()) refusal_.raise();
    json_ = json::parse(body_, nullptr, false);
    if (!json_.is_object()) throw CallFailure("no JSON", concat("the server's answer is no JSON object: ", printable(body_, 100)));
}

}  // namespace quern
