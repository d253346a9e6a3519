#include "tools/bench/event_reader.h"

#include "tools/bench/http_call.h"

namespace quern {

void EventReader::check_size(size_t n_bytes) const {
    if (n_bytes > max_event_bytes) throw CallFailure("too long", "the server sent an event of more than 1 MiB");
}

void EventReader::push(std::string_view bytes) {
    for (size_t end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n')) {
        check_size(partial_line_.size() + end);
        if (partial_line_.empty()) {
            take_line(bytes.substr(0, end));
        } else {
            partial_line_ += bytes.substr(0, end);
            const std::string line = std::exchange(partial_line_, {});
            take_line(line);
        }
        bytes.remove_prefix(end + 1);
    }
    check_size(partial_line_.size() + bytes.size());
    partial_line_ += bytes;
}

void EventReader::take_line(std::string_view line) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) {
        const std::string data = std::exchange(data_, {});
        if (std::exchange(has_data_, false)) on_data_(data);
        return;
    }
    if (!line.starts_with("data:")) return;  // a comment, or a field that says nothing here
    line.remove_prefix(5);
    if (line.starts_with(' ')) line.remove_prefix(1);
    check_size(data_.size() + line.size());
    if (has_data_) data_ += '\n';
    data_ += line;
    has_data_ = true;
}

}  // namespace quern
