// Strings that know, per run of bytes, whether they were written by the template or came from its input.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/chat/jinja/budget.h"

namespace quern::jinja {

/// Who wrote a run of text: the template (control tokens allowed) or the request (never).
enum class Origin : uint8_t { source, input };

/// The bytes from the end of the previous run up to `end`.
struct Run {
    size_t end;
    Origin origin;
};

/// An immutable UTF-8 string with its origins. Shared between values and threads.
class Text {
  public:
    Text(std::string bytes, Origin origin) : bytes_(std::move(bytes)), origin_(origin) {}

    const std::string& bytes() const { return bytes_; }
    size_t size() const { return bytes_.size(); }
    Origin origin_at(size_t byte) const;

    /// True after `|safe` and `|escape`: `+` then escapes what it appends, as Python's Markup does.
    bool is_markup() const { return is_markup_; }

    /// Calls visit(piece, origin) for the runs that overlap bytes [from, to).
    template <typename Visit>
    void for_each_run(size_t from, size_t to, Visit&& visit) const {
        const std::string_view all = bytes_;
        if (runs_.empty()) {
            if (from < to) visit(all.substr(from, to - from), origin_);
            return;
        }
        for (size_t i = first_run_after(from); i < runs_.size() && from < to; ++i) {
            const size_t end = runs_[i].end < to ? runs_[i].end : to;
            visit(all.substr(from, end - from), runs_[i].origin);
            from = end;
        }
    }
    template <typename Visit>
    void for_each_run(Visit&& visit) const {
        for_each_run(0, bytes_.size(), std::forward<Visit>(visit));
    }

  private:
    friend class TextBuilder;
    size_t first_run_after(size_t byte) const;

    std::string bytes_;
    std::vector<Run> runs_;  // empty when all bytes are of origin_
    Origin origin_;
    bool is_markup_ = false;
};

using TextPtr = std::shared_ptr<const Text>;

/// Builds a Text; every byte is charged to the budget. @throws InvalidInput  beyond 16 MiB
class TextBuilder {
  public:
    explicit TextBuilder(Budget& budget) : budget_(budget) {}

    void append(std::string_view bytes, Origin origin);
    void append(const Text& text) { append(text, 0, text.size()); }
    void append(const Text& text, size_t from, size_t to);
    void mark_markup() { is_markup_ = true; }
    size_t size() const { return bytes_.size(); }

    /// The text so far. The builder is empty afterwards.
    TextPtr finish();

  private:
    Budget& budget_;
    std::string bytes_;
    std::vector<Run> runs_;
    Origin origin_ = Origin::source;
    bool is_markup_ = false;
};

/// Bytes [from, to) of a text, without a copy when that is all of it.
TextPtr slice(const TextPtr& text, size_t from, size_t to, Budget& budget);

}  // namespace quern::jinja
