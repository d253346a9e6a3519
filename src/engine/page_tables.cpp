#include "engine/page_tables.h"

#include <algorithm>

namespace quern {

namespace {

// The place is there before the page is taken: no page is lost for want of memory.
template <typename Take>
bool cover_table(std::vector<int32_t>& table, size_t n_pages, Take take) {
    while (table.size() < n_pages) {
        table.push_back(-1);
        const std::optional<PageId> page = take();
        if (!page) {
            table.pop_back();
            return false;
        }
        table.back() = page->value;
    }
    return true;
}

}  // namespace

bool PageTables::cover(PrefixCache& cache, int64_t n_tokens) {
    const auto n = static_cast<size_t>(pages_for(n_tokens));
    if (!cover_table(full_, n, [&] { return cache.take(); })) return false;
    return !cache.has_windows() || cover_table(windows_, n, [&] { return cache.take_window(); });
}

void PageTables::reserve(int64_t n_pages) {
    full_.reserve(static_cast<size_t>(n_pages));
    windows_.reserve(static_cast<size_t>(n_pages));
}

void PageTables::append_found(const PrefixCache::Page& found) noexcept {
    full_.push_back(found.page.value);
    windows_.push_back(found.window.value);
}

int64_t PageTables::keep_usable(PrefixCache& cache, int64_t window) {
    if (!cache.has_windows()) {
        windows_.clear();
        return size();
    }
    int64_t usable = 0, n_present = 0;  // in a row, up to page i
    for (int64_t i = 0; i < size(); ++i) {
        n_present = window_page(i).value >= 0 ? n_present + 1 : 0;
        if (i + 1 - n_present <= first_window_page((i + 1) * kv_page_tokens, window)) usable = i + 1;
    }
    for (; size() > usable; full_.pop_back()) cache.release({full_.back()});
    windows_.resize(full_.size());
    first_window_ = std::min(usable, first_window_page(usable * kv_page_tokens, window));
    std::fill_n(windows_.begin(), first_window_, -1);
    for (int64_t i = first_window_; i < usable; ++i) cache.own_window(window_page(i));
    return usable;
}

void PageTables::replace(int64_t i, const PrefixCache::Page& page) {
    full_[static_cast<size_t>(i)] = page.page.value;
    if (!windows_.empty()) windows_[static_cast<size_t>(i)] = page.window.value;
}

void PageTables::give_back_before(PrefixCache& cache, int64_t position, int64_t window) {
    const int64_t end = std::min(static_cast<int64_t>(windows_.size()), first_window_page(position, window));
    for (; first_window_ < end; ++first_window_) {
        cache.release_window(window_page(first_window_));
        windows_[static_cast<size_t>(first_window_)] = -1;
    }
}

// From the end to the beginning, as the prefix cache wants it.
void PageTables::release_all(PrefixCache& cache) {
    for (auto i = static_cast<int64_t>(windows_.size()); i-- > first_window_;) cache.release_window(window_page(i));
    for (int64_t i = size(); i-- > 0;) cache.release(full_page(i));
    full_.clear();
    windows_.clear();
    first_window_ = 0;
}

}  // namespace quern
