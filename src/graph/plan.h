// A graph lowered to the phases that a device runs, and where each value lives in the workspace.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "backend/operations.h"
#include "graph/graph.h"

namespace quern {

/// Index of a value in Plan::values.
using ValueId = int32_t;

/// A block of the workspace, alive from the step that writes it first to the step that reads it last.
struct Value {
    int64_t n_cols = 0;
    bool output_rows = false;
    int first_step = -1, last_step = -1;
    uint64_t offset = 0;  ///< bytes, set by plan_memory()
};

enum class EmbedBy : uint8_t { token, position, type };

struct EmbedStep {
    TensorView table;
    ValueId out;
    EmbedBy by = EmbedBy::token;
    AdapterList adapters = {};
};

/// A norm with its parameters; without data in `weight` there is none.
struct PlannedNorm {
    NormKind kind = NormKind::rms;
    TensorView weight, bias;
    float eps = 0;

    Norm pointers() const { return {kind, weight.f32(), bias.f32(), eps}; }
};

struct NormStep {
    PlannedNorm norm;
    ValueId x, out;
    ValueId add_to = -1;  ///< the residual, which becomes the result
};

/// Where a linear output is written besides its value.
enum class CacheSide : uint8_t { none, keys, values };

struct LinearStepOutput {
    TensorView weight;
    AdapterList adapters;
    TensorView bias;  ///< data is null if there is none
    ValueId out = -1;
    PlannedNorm head_norm;  ///< of each head
    Activation activation;
    int rope = -1;  ///< index into the graph's ropes
    CacheSide store = CacheSide::none;
    int layer = -1;
    ValueId add_to = -1;  ///< the residual, which becomes the result
};

struct LinearStep {
    ValueId x;
    PlannedNorm norm;
    std::vector<LinearStepOutput> outputs;
    std::optional<Gating> gating;
    int head_dim = 0;
};

/// Copies n values of each head: out[t, h, to + i] = x[t, h, from + i].
struct CopyHeadsStep {
    ValueId x, out;
    int n_heads;
    int64_t n, from, to;
};

/// Each head through a matrix of its own.
struct HeadMatmulStep {
    TensorView weight;
    ValueId x, out;
};

struct RopeStep {
    ValueId x;
    int n_heads, head_dim, rope;
};

struct StoreStep {
    ValueId x;
    CacheSide side;
    int layer, n_kv_heads, head_dim;
};

struct AttendStep {
    ValueId q, out;
    int layer, n_heads, n_kv_heads, head_dim;
    Attention attention;
    bool values_are_keys = false;
};

struct ExpertsStep {
    Experts experts;
    ValueId x, logits, out;
    ValueId add_to = -1;  ///< the residual, which becomes the result
};

struct ElementwiseStep {
    Elementwise kind;
    ValueId a = -1, b = -1, out = -1;
    TensorView bias;
    Activation activation;
    float factor = 1;
};

struct SelectStep {
    ValueId x, out;
};

using Step = std::variant<EmbedStep, NormStep, LinearStep, CopyHeadsStep, HeadMatmulStep, RopeStep, StoreStep, AttendStep, ExpertsStep,
                          ElementwiseStep, SelectStep>;

struct Plan {
    std::vector<Step> steps;
    std::vector<Value> values;
    ValueId result = -1;
    uint64_t workspace_bytes = 0;  ///< set by plan_memory()
};

/// One line for each step, for people and tests.
std::string to_string(const Plan& plan);

}  // namespace quern
