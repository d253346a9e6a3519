// A loader without models, for the tests of the store.
#pragma once

#include <doctest/doctest.h>

#include <atomic>

#include "server/fake_engine_test.h"
#include "server/http/test_client_test.h"
#include "server/model_store.h"

namespace quern {

inline constexpr uint64_t mib = 1 << 20;

/// Loads fake engines of 10 MiB each; "bad" fails, "missing" has no file, "slow" waits for leave.
struct FakeLoader {
    std::atomic<int> n_loads{0};
    std::atomic<bool> may_load{false};

    ModelLoader loader() {
        return {.load = [this](const EngineOptions& options) -> std::unique_ptr<Engine> {
                    ++n_loads;
                    if (options.model_path == "bad") throw ModelError("bad is broken");
                    while (options.model_path == "slow" && !may_load) std::this_thread::sleep_for(std::chrono::milliseconds(1));
                    auto engine = std::make_unique<FakeEngine>();
                    engine->set_memory(10 * mib);
                    engine->set_places(options.n_sequences);
                    return engine;
                },
                .need =
                    [](const EngineOptions& options) {
                        if (options.model_path == "unreadable") throw ModelError("unreadable is no GGUF file");
                        return MemoryNeed{.n_ctx = 64, .weight_bytes = options.model_path == "huge" ? 1000 * mib : 10 * mib};
                    },
                .has_file = [](const std::string& path) { return path != "missing"; }};
    }
};

inline ModelEntry entry(const char* path, const char* alias = "") { return {.options = {.model_path = path}, .alias = alias}; }

/// Waits for the model as a request does.
inline ModelLease get(ModelStore& store, const char* name) {
    const auto ticket = store.request(name, [] {});
    REQUIRE(comes_true([&] { return ticket->is_ready(); }));
    return ticket->take();
}

inline ModelState state_of(const ModelStore& store, const char* name) { return store.status(name).state; }

}  // namespace quern
