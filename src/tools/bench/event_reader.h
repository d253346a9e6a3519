// Server-sent events out of a stream of bytes. Source: HTML Living Standard, 9.2.6 (without lines that end in a lone CR).
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace quern {

class EventReader {
  public:
    static constexpr size_t max_event_bytes = 1 << 20;

    /// @param on_data  called with the data of each event
    explicit EventReader(std::function<void(std::string_view)> on_data) : on_data_(std::move(on_data)) {}

    /// @throws CallFailure  when an event is longer than max_event_bytes
    void push(std::string_view bytes);

  private:
    void take_line(std::string_view line);
    void check_size(size_t n_bytes) const;

    const std::function<void(std::string_view)> on_data_;
    std::string partial_line_, data_;
    bool has_data_ = false;
};

}  // namespace quern
