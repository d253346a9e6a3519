// The pages of one text: those of all its tokens, and of windowed layers those from the window's beginning on.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/prefix_cache.h"

namespace quern {

/// Pages that n_tokens take.
constexpr int64_t pages_for(int64_t n_tokens) { return (n_tokens + kv_page_tokens - 1) / kv_page_tokens; }

/// The first page that a token at this position, or a later one, still reads in layers with this window.
constexpr int64_t first_window_page(int64_t position, int64_t window) {
    return position + 1 > window ? (position + 1 - window) / kv_page_tokens : 0;
}

/// The most window pages that a text needs at once while steps of up to `step_tokens` are computed.
constexpr int64_t most_window_pages(int64_t window, int64_t step_tokens) {
    return (window - 1 + step_tokens + 2 * (kv_page_tokens - 1)) / kv_page_tokens;
}

/// Which page holds what. The engine thread's.
class PageTables {
  public:
    /// Takes the pages for positions up to n_tokens. False, or std::bad_alloc, leaves what was taken: it will be used, or released with the
    /// rest.
    bool cover(PrefixCache& cache, int64_t n_tokens);
    /// Takes memory for so many pages.
    void reserve(int64_t n_pages);
    /// Takes over the pages of a prefix, one after the other; its window pages stay where they are. REQUIRES: memory reserved for it, and
    /// keep_usable() before anything else is done with these tables.
    void append_found(const PrefixCache::Page& found) noexcept;
    /// Of what was found, keeps the longest part that a text can go on from: that whose last window is still there. Owns that window.
    /// @return its pages
    int64_t keep_usable(PrefixCache& cache, int64_t window);
    /// Full page i is in the prefix cache from now on.
    void replace(int64_t i, const PrefixCache::Page& page);
    /// Gives back the window pages that no token from `position` on will read.
    void give_back_before(PrefixCache& cache, int64_t position, int64_t window);
    void release_all(PrefixCache& cache);

    const int32_t* full() const noexcept { return full_.data(); }
    /// By the same index as full(); -1 where there is none any more.
    const int32_t* windows() const noexcept { return windows_.data(); }
    int64_t size() const noexcept { return static_cast<int64_t>(full_.size()); }
    PageId full_page(int64_t i) const { return {full_[static_cast<size_t>(i)]}; }
    PageId window_page(int64_t i) const { return windows_.empty() ? PageId{} : PageId{windows_[static_cast<size_t>(i)]}; }

  private:
    std::vector<int32_t> full_, windows_;
    int64_t first_window_ = 0;  // windows_ before it are not owned
};

}  // namespace quern
