// Attention on the CPU: the batch is cut into (sequence, tile of tokens, KV head) and, where that is too little work for the team, along
// KV.
#include <algorithm>

#include "backend/cpu/cpu_device.h"

namespace quern {
namespace {

constexpr int64_t tokens_per_tile = 16;
// A shorter share of the cache than this is not worth merging.
constexpr int64_t least_split = 256;

struct Tile {
    const SequenceSpan* sequence;
    int64_t token;  // first of the tile, within the sequence
    int64_t n_tokens;
    int kv_head;
};

int64_t n_tiles(const SequenceSpan& sequence) { return (sequence.n_tokens + tokens_per_tile - 1) / tokens_per_tile; }

// The item-th tile. Late tiles of a long prompt see more keys, so they come first and the team finishes together.
Tile find_tile(const AttentionOperation& operation, int64_t item) {
    const int kv_head = static_cast<int>(item % operation.n_kv_heads);
    int64_t tile = item / operation.n_kv_heads;
    const SequenceSpan* sequence = operation.sequences.data();
    for (; tile >= n_tiles(*sequence); ++sequence) tile -= n_tiles(*sequence);
    const int64_t token = (n_tiles(*sequence) - 1 - tile) * tokens_per_tile;
    return {sequence, token, std::min(tokens_per_tile, sequence->n_tokens - token), kv_head};
}

AttentionTask make_task(const AttentionOperation& operation, const Tile& tile) {
    const int64_t row = tile.sequence->first_token + tile.token;
    const int64_t first_position = tile.sequence->first_position + tile.token;
    const int64_t begin = operation.window > 0 ? std::max<int64_t>(0, first_position + 1 - operation.window) : 0;
    return {.q = operation.q.data + row * operation.q.stride,
            .q_stride = operation.q.stride,
            .n_tokens = tile.n_tokens,
            .first_position = first_position,
            .keys = operation.keys,
            .values = operation.values,
            .page_table = tile.sequence->page_table,
            .kv_begin = begin,
            .kv_end = operation.causal ? first_position + tile.n_tokens : tile.sequence->first_position + tile.sequence->n_tokens,
            .n_heads = operation.n_heads,
            .n_kv_heads = operation.n_kv_heads,
            .head_dim = operation.head_dim,
            .kv_head = tile.kv_head,
            .scale = operation.scale,
            .window = operation.window,
            .softcap = operation.softcap,
            .sinks = operation.sinks,
            .causal = operation.causal,
            .out = operation.out.data + row * operation.out.stride,
            .out_stride = operation.out.stride};
}

}  // namespace

void CpuDevice::attend(const AttentionOperation& operation) noexcept {
    int64_t n_items = 0, longest = 0;
    for (const SequenceSpan& sequence : operation.sequences) {
        n_items += n_tiles(sequence) * operation.n_kv_heads;
        const int64_t seen = sequence.first_position + sequence.n_tokens;
        longest = std::max(longest, operation.window > 0 ? std::min(seen, operation.window + sequence.n_tokens) : seen);
    }
    const int64_t enough = 2 * pool_.n_threads();
    const int64_t splits = std::min<int64_t>({(enough + n_items - 1) / n_items, longest / least_split, max_splits()});
    if (splits > 1 && operation.n_tokens <= tokens_per_tile) return attend_split(operation, splits);
    pool_.for_each(n_items, [&](int64_t item, int) noexcept { kernels_.attention(make_task(operation, find_tile(operation, item))); });
}

// Few tokens, long caches: each tile is scored in shares of its KV range, then the shares are merged.
void CpuDevice::attend_split(const AttentionOperation& operation, int64_t kv_splits) noexcept {
    const int64_t width = static_cast<int64_t>(operation.n_heads) * operation.head_dim;
    const int64_t split_stride = tokens_per_tile * width, stats_stride = tokens_per_tile * operation.n_heads * 2;
    int64_t n_items = 0;
    for (const SequenceSpan& sequence : operation.sequences) n_items += n_tiles(sequence) * operation.n_kv_heads;
    pool_.for_each(n_items * kv_splits, [&](int64_t item, int) noexcept {
        const int64_t split = item % kv_splits;
        const Tile tile = find_tile(operation, item / kv_splits);
        AttentionTask task = make_task(operation, tile);
        const int64_t first = task.kv_begin, row = tile.sequence->first_token + tile.token;
        const int64_t share = (task.kv_end - first + kv_splits - 1) / kv_splits;
        task.kv_begin = std::min(task.kv_end, first + split * share);
        task.kv_end = std::min(task.kv_end, task.kv_begin + share);
        if (split > 0) task.sinks = nullptr;  // they count once
        task.out = partial_out_ + split * split_stride + row * width;
        task.out_stride = width;
        task.partial = partial_stats_ + split * stats_stride + row * operation.n_heads * 2;
        kernels_.attention(task);
    });
    pool_.for_each(operation.n_tokens * operation.n_heads, [&](int64_t item, int) noexcept {
        const int64_t token = item / operation.n_heads, head = item % operation.n_heads;
        kernels_.combine({.outs = partial_out_ + token * width + head * operation.head_dim,
                          .split_stride = split_stride,
                          .partials = partial_stats_ + item * 2,
                          .partial_stride = stats_stride,
                          .n_splits = static_cast<int>(kv_splits),
                          .head_dim = operation.head_dim,
                          .out = operation.out.data + token * operation.out.stride + head * operation.head_dim});
    });
}

}  // namespace quern
