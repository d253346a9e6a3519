#include "graph/plan.h"

#include <sstream>

namespace quern {
namespace {

/// Writes one step as a line: "12 linear %3 -> %4 %5 norm rope store".
struct StepPrinter {
    std::ostream& out;

    void operator()(const EmbedStep& step) const {
        constexpr const char* names[] = {"embed -> %", "embed positions -> %", "embed types -> %"};
        out << names[static_cast<size_t>(step.by)] << step.out;
    }
    void operator()(const NormStep& step) const {
        out << "norm %" << step.x << " -> %" << step.out;
        if (step.add_to >= 0) out << "+add(%" << step.add_to << ")";
    }
    void operator()(const LinearStep& step) const {
        out << "linear " << (step.norm.weight.data ? "norm(%" : "(%") << step.x << ")" << (step.gating ? " gated" : "");
        for (const LinearStepOutput& output : step.outputs) {
            out << " -> " << to_string(output.weight.shape) << (output.bias.data ? "+bias" : "")
                << (output.head_norm.weight.data ? "+norm" : "") << (output.activation.kind != ActivationKind::none ? "+activation" : "")
                << (output.rope >= 0 ? "+rope" : "");
            if (output.store != CacheSide::none) out << (output.store == CacheSide::keys ? "+keys" : "+values") << output.layer;
            if (output.add_to >= 0)
                out << "+add(%" << output.add_to << ")";
            else
                out << " %" << output.out;
        }
    }
    void operator()(const CopyHeadsStep& step) const { out << "copy heads %" << step.x << " -> %" << step.out << " at " << step.to; }
    void operator()(const HeadMatmulStep& step) const {
        out << "matmul of heads %" << step.x << " -> " << to_string(step.weight.shape) << " %" << step.out;
    }
    void operator()(const RopeStep& step) const { out << "rope %" << step.x; }
    void operator()(const StoreStep& step) const {
        out << "store %" << step.x << (step.side == CacheSide::keys ? " keys" : " values") << step.layer;
    }
    void operator()(const AttendStep& step) const { out << "attend %" << step.q << " layer " << step.layer << " -> %" << step.out; }
    void operator()(const ExpertsStep& step) const {
        out << "experts " << step.experts.routing.n_used << " of " << step.experts.routing.n_experts << " %" << step.x << " by %"
            << step.logits << " -> %" << step.out;
        if (step.add_to >= 0) out << "+add(%" << step.add_to << ")";
    }
    void operator()(const ElementwiseStep& step) const {
        static constexpr const char* names[] = {"add", "add_bias", "multiply", "multiply_rows", "scale", "activate", "copy"};
        out << names[static_cast<size_t>(step.kind)] << " %" << step.a;
        if (step.b >= 0) out << " %" << step.b;
        out << " -> %" << step.out;
    }
    void operator()(const SelectStep& step) const { out << "select %" << step.x << " -> %" << step.out; }
};

}  // namespace

std::string to_string(const Plan& plan) {
    std::ostringstream out;
    for (const Step& step : plan.steps) {
        std::visit(StepPrinter{out}, step);
        out << '\n';
    }
    return out.str();
}

}  // namespace quern
