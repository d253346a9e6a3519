// The adapters of a model in the engine, and what their scales mean for requests.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "models/adapter.h"

namespace quern {

/// Immutable: any thread.
class AdapterSet {
  public:
    /// @throws ModelError  when one does not fit the base  @throws InvalidInput (scales, their number), DeviceError
    AdapterSet(std::span<const AdapterSource> sources, const GgufFile& base, Adapter::Reading reading = Adapter::Reading::whole);

    size_t size() const noexcept { return adapters_.size(); }
    /// Puts them into a graph of the base; this must outlive the graph's use. @throws ModelError
    void apply(Graph& graph, Adapter::Reach reach = Adapter::Reach::all) const;
    uint64_t bytes() const noexcept;

    /// @throws InvalidInput  when there is not one finite scale for each adapter
    void check_scales(std::span<const float> scales) const;
    /// A salt for the prefix cache: keys and values of one set of scales are never those of another.
    std::string salt(std::span<const float> scales, const std::string& salt) const;

  private:
    std::vector<std::unique_ptr<const Adapter>> adapters_;
};

}  // namespace quern
