// What one rendering may cost. A template comes from a model file and its input from a request: both are hostile.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/error.h"

namespace quern::jinja {

/// Counts the work of one rendering and stops it with InvalidInput at a fixed limit. Not thread-safe: one per rendering.
class Budget {
  public:
    static constexpr uint64_t kMaxSteps = 10'000'000;           ///< about a second; real prompts need some thousands
    static constexpr uint64_t kMaxBytes = uint64_t{256} << 20;  ///< everything ever allocated by one rendering
    static constexpr size_t kMaxTextBytes = size_t{16} << 20;   ///< one string, and the output
    static constexpr int kMaxDepth = 800;                       ///< nested evaluations; each takes well under 1 KiB of stack

    /// Charges `n` units of work: an evaluated node, or some dozens of bytes looked at.
    void step(uint64_t n = 1) {
        steps_ += n;
        if (steps_ > kMaxSteps) throw InvalidInput("the chat template runs too long");
    }

    /// Charges memory that a value takes.
    void allocate(uint64_t n_bytes) {
        bytes_ += n_bytes;
        if (bytes_ > kMaxBytes) throw InvalidInput("the chat template uses too much memory");
    }

    /// Charges work that grows with the bytes of a string.
    void scan(size_t n_bytes) { step(n_bytes / 64); }

    /// Charges the search for a string of `n_needle` bytes, which may compare all of it at every place.
    void search(size_t n_bytes, size_t n_needle) { step(n_bytes / 64 * (1 + n_needle / 64)); }

    /// One level of recursion for as long as it lives.
    class Level {
      public:
        explicit Level(Budget& budget) : budget_(budget) {
            if (budget_.depth_ >= kMaxDepth) throw InvalidInput("the chat template recurses too deeply");
            ++budget_.depth_;
        }
        ~Level() { --budget_.depth_; }
        Level(const Level&) = delete;
        Level& operator=(const Level&) = delete;

      private:
        Budget& budget_;
    };

  private:
    uint64_t steps_ = 0;
    uint64_t bytes_ = 0;
    int depth_ = 0;
};

}  // namespace quern::jinja
