// Attention on the CPU: the batch is cut into (sequence, tile of tokens, KV head) and, for answers, along KV.
#include <algorithm>

#include "backend/cpu/cpu_device.h"

namespace quern {
namespace {

constexpr int64_t tokens_per_tile = 16;
// A shorter share of the cache than this is not worth merging.
constexpr int64_t least_share = 512;

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
    return {.q = operation.q.data + row * operation.q.stride,
            .q_stride = operation.q.stride,
            .n_tokens = tile.n_tokens,
            .first_position = first_position,
            .keys = operation.keys,
            .values = operation.values,
            .page_table = tile.sequence->page_table,
            .kv_begin = 0,
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
            .scoring = operation.kernels == TokenKernels::few ? KeyScoring::direct : KeyScoring::transposed,
            .out = operation.out.data + row * operation.out.stride,
            .out_stride = operation.out.stride};
}

}  // namespace

void CpuDevice::attend(const AttentionOperation& operation) noexcept {
    if (operation.kernels == TokenKernels::many || !operation.causal)
        attend_prompts(operation);
    else
        attend_answers(operation);
}

void CpuDevice::attend_prompts(const AttentionOperation& operation) noexcept {
    int64_t n_items = 0;
    for (const SequenceSpan& sequence : operation.sequences) n_items += n_tiles(sequence) * operation.n_kv_heads;
    pool_.for_each(n_items, [&](int64_t item, int) noexcept { kernels_.attention(make_task(operation, find_tile(operation, item))); });
}

namespace {

// Positions in one share of the cache of a token at this position: enough to be worth merging, and never more than `most_splits` shares.
// It is a matter of the position alone: other shares would be other sums.
int64_t share_at(int64_t position, int64_t most_splits) {
    int64_t share = least_share;
    while (share * most_splits <= position) share *= 2;
    return share;
}

}  // namespace

struct CpuDevice::AnswerTile {
    const SequenceSpan* sequence;
    int64_t token;     ///< first one, within the sequence
    int64_t n_tokens;  ///< with those of the tiles before it at most tokens_per_round
    int64_t share, n_splits;
    int64_t first_row;  ///< in the round
};

// Each token is scored in fixed shares of its cache, which then are merged: enough work for a team even with one token.
void CpuDevice::attend_answers(const AttentionOperation& operation) noexcept {
    AnswerTile tiles[tokens_per_round];
    int64_t n_tiles = 0, n_rows = 0, most = 0;
    const auto flush = [&] {
        if (n_tiles > 0) attend_round(operation, {tiles, static_cast<size_t>(n_tiles)}, most);
        n_tiles = n_rows = most = 0;
    };
    for (const SequenceSpan& sequence : operation.sequences)
        for (int64_t token = 0; token < sequence.n_tokens;) {
            const int64_t position = sequence.first_position + token, share = share_at(position, most_splits);
            int64_t n = 1;
            while (n < tokens_per_round - n_rows && token + n < sequence.n_tokens && share_at(position + n, most_splits) == share) ++n;
            const int64_t n_splits = (position + n + share - 1) / share;
            tiles[n_tiles++] = {&sequence, token, n, share, n_splits, n_rows};
            most = std::max(most, n_splits);
            n_rows += n;
            token += n;
            if (n_rows == tokens_per_round) flush();
        }
    flush();
}

void CpuDevice::attend_round(const AttentionOperation& operation, std::span<const AnswerTile> tiles, int64_t most) noexcept {
    const int64_t width = static_cast<int64_t>(operation.n_heads) * operation.head_dim;
    const int64_t split_stride = tokens_per_round * width, stats_stride = tokens_per_round * operation.n_heads * 2;
    pool_.for_each(static_cast<int64_t>(tiles.size()) * operation.n_kv_heads * most, [&](int64_t item, int) noexcept {
        const int64_t split = item % most;
        const AnswerTile& tile = tiles[static_cast<size_t>(item / most / operation.n_kv_heads)];
        if (split >= tile.n_splits) return;
        AttentionTask task =
            make_task(operation, {tile.sequence, tile.token, tile.n_tokens, static_cast<int>(item / most % operation.n_kv_heads)});
        task.kv_begin = split * tile.share;
        task.kv_end = std::min(task.kv_end, task.kv_begin + tile.share);
        if (split > 0) task.sinks = nullptr;  // they count once
        task.out = partial_out_ + split * split_stride + tile.first_row * width;
        task.out_stride = width;
        task.partial = partial_stats_ + split * stats_stride + tile.first_row * operation.n_heads * 2;
        kernels_.attention(task);
    });
    const AnswerTile& last = tiles.back();
    pool_.for_each((last.first_row + last.n_tokens) * operation.n_heads, [&](int64_t item, int) noexcept {
        const int64_t row = item / operation.n_heads, head = item % operation.n_heads;
        const AnswerTile* tile = tiles.data();
        while (row >= tile->first_row + tile->n_tokens) ++tile;
        const int64_t token = tile->token + row - tile->first_row;
        const int64_t n_splits = (tile->sequence->first_position + token) / tile->share + 1;
        kernels_.combine(
            {.outs = partial_out_ + row * width + head * operation.head_dim,
             .split_stride = split_stride,
             .partials = partial_stats_ + item * 2,
             .partial_stride = stats_stride,
             .n_splits = static_cast<int>(n_splits),
             .head_dim = operation.head_dim,
             .out = operation.out.data + (tile->sequence->first_token + token) * operation.out.stride + head * operation.head_dim});
    });
}

}  // namespace quern
