#include "server/model_store.h"

#include <doctest/doctest.h>

#include <atomic>

#include "server/api_service.h"
#include "server/fake_loader_test.h"
#include "server/http/errors.h"
#include "server/http/test_client_test.h"

using namespace quern;
using namespace std::chrono_literals;

TEST_CASE("a model is loaded once for all who ask for it meanwhile") {
    FakeLoader fake;
    ModelStore store(100 * mib, fake.loader());
    store.declare(entry("slow"));
    std::vector<std::shared_ptr<ModelTicket>> tickets;
    std::atomic<int> n_woken{0};
    for (int i = 0; i < 5; ++i) tickets.push_back(store.request("slow", [&] { ++n_woken; }));
    CHECK(!tickets[0]->is_ready());
    CHECK(state_of(store, "slow") == ModelState::loading);
    CHECK_THROWS_AS(store.unload("slow"), ApiError);
    tickets.pop_back();  // a client that has gone
    fake.may_load = true;
    CHECK(comes_true([&] { return n_woken == 4; }));
    for (const auto& ticket : tickets) CHECK(ticket->take()->id == "slow");
    CHECK(fake.n_loads == 1);
    CHECK(state_of(store, "slow") == ModelState::loaded);
}

TEST_CASE("the least recently used model makes room, and never one in use or pinned") {
    FakeLoader fake;
    ModelStore store(30 * mib, fake.loader());
    ModelEntry pinned = entry("pinned");
    pinned.pin = true;
    store.declare(pinned);
    for (const char* name : {"a", "b", "c"}) store.declare(entry(name));
    get(store, "pinned");
    ModelLease a = get(store, "a");
    get(store, "b");
    get(store, "c");
    CHECK(state_of(store, "pinned") == ModelState::loaded);
    CHECK(state_of(store, "a") == ModelState::loaded);
    CHECK(state_of(store, "b") == ModelState::unloaded);
    const ModelLease c = get(store, "c");
    const auto b = store.request("b", [] {});
    std::this_thread::sleep_for(20ms);
    CHECK(!b->is_ready());  // all others are busy or pinned
    a.reset();
    CHECK(comes_true([&] { return b->is_ready(); }));
    CHECK(state_of(store, "a") == ModelState::unloaded);
    CHECK(store.used_bytes() <= store.budget_bytes());
}

TEST_CASE("a model that is never idle is drained for one that is wanted, and comes back for those who wait") {
    FakeLoader fake;
    ModelStore store(10 * mib, fake.loader());
    for (const char* name : {"a", "b"}) store.declare(entry(name));
    ModelLease running = get(store, "a");
    const auto b = store.request("b", [] {});
    std::shared_ptr<ModelTicket> late;
    CHECK(comes_true([&] {  // as under constant load: somebody always holds a
        late = store.request("a", [] {});
        if (late->is_ready()) running = late->take();
        return !late->is_ready();
    }));
    CHECK(!b->is_ready());
    CHECK(running->engine->failure().empty());
    running.reset();
    CHECK(comes_true([&] { return b->is_ready(); }));
    CHECK(!late->is_ready());
    b->take().reset();
    CHECK(comes_true([&] { return late->is_ready(); }));
    CHECK(late->take()->id == "a");
    CHECK(fake.n_loads == 3);
}

TEST_CASE("a model is not drained any longer when nobody waits for the other one") {
    FakeLoader fake;
    ModelStore store(10 * mib, fake.loader());
    for (const char* name : {"a", "b"}) store.declare(entry(name));
    const ModelLease running = get(store, "a");
    auto b = store.request("b", [] {});
    std::shared_ptr<ModelTicket> late;
    CHECK(comes_true([&] { return !(late = store.request("a", [] {}))->is_ready(); }));
    b.reset();
    CHECK(comes_true([&] { return late->is_ready(); }));
    CHECK(late->take() == running);
    CHECK(comes_true([&] { return state_of(store, "b") == ModelState::unloaded; }));
    CHECK(fake.n_loads == 1);
}

TEST_CASE("a store that is to stop refuses who waits, and does not wait for a load for long") {
    FakeLoader fake;
    ModelStore store(100 * mib, fake.loader());
    for (const char* name : {"slow", "a"}) store.declare(entry(name));
    const auto slow = store.request("slow", [] {}), a = store.request("a", [] {});
    CHECK(comes_true([&] { return fake.n_loads == 1; }));
    CHECK(!store.stop(20ms));
    fake.may_load = true;
    CHECK(store.stop(10s));
    CHECK(slow->take()->id == "slow");
    REQUIRE(a->is_ready());
    CHECK_THROWS_AS(a->take(), ApiError);
}

TEST_CASE("models are loaded in the order in which they were asked for") {
    FakeLoader fake;
    std::vector<std::string> order;
    ModelLoader loader = fake.loader();
    loader.load = [&, load = loader.load](const EngineOptions& options) {
        order.push_back(options.model_path);
        return load(options);
    };
    ModelStore store(100 * mib, loader);
    for (const char* name : {"a", "b", "c", "slow"}) store.declare(entry(name));
    std::vector<std::shared_ptr<ModelTicket>> tickets{store.request("slow", [] {})};
    CHECK(comes_true([&] { return fake.n_loads == 1; }));
    for (const char* name : {"c", "a", "b", "c"}) tickets.push_back(store.request(name, [] {}));
    tickets[2].reset();  // nobody wants a any more
    fake.may_load = true;
    CHECK(comes_true([&] { return tickets[1]->is_ready() && tickets[3]->is_ready() && tickets[4]->is_ready(); }));
    CHECK(order == std::vector<std::string>{"slow", "c", "b"});
}

TEST_CASE("settings that a model cannot have are the server's fault, not the client's") {
    FakeLoader fake;
    ModelLoader loader = fake.loader();
    loader.load = [](const EngineOptions&) -> std::unique_ptr<Engine> {
        throw InvalidInput("the cache type q8_0 needs heads of 32", "cache_type");
    };
    ModelStore store(100 * mib, loader);
    store.declare(entry("a"));
    ApiService service(store, {.access = AccessRules({}, "localhost", true)});
    RunningServer running(service);
    TestClient client = running.connect();
    client.post("/v1/completions", R"({"prompt":"x"})");
    const std::string answer = client.read_response();
    CHECK(answer.find("HTTP/1.1 500") != std::string::npos);
    CHECK(answer.find("the model a cannot be loaded: the cache type q8_0 needs heads of 32") != std::string::npos);
}

TEST_CASE("a model that cannot be loaded is an error for those who ask, and harms no other") {
    FakeLoader fake;
    ModelStore store(20 * mib, fake.loader());
    for (const char* name : {"good", "bad", "unreadable", "huge"}) store.declare(entry(name));
    const ModelLease good = get(store, "good");
    for (int i = 0; i < 2; ++i) CHECK_THROWS_WITH_AS(get(store, "bad"), "the model bad cannot be loaded: bad is broken", ModelError);
    CHECK_THROWS_AS(get(store, "unreadable"), ModelError);
    CHECK(fake.n_loads == 3);  // a second request tries again, and an unreadable file is not even tried
    CHECK(state_of(store, "bad") == ModelState::failed);
    CHECK(store.status("bad").error == "the model bad cannot be loaded: bad is broken");
    CHECK(state_of(store, "good") == ModelState::loaded);
}

TEST_CASE("a model that is larger than the budget is refused without unloading others in vain") {
    FakeLoader fake;
    ModelStore store(20 * mib, fake.loader());
    for (const char* name : {"good", "huge"}) store.declare(entry(name));
    get(store, "good");
    CHECK_THROWS_AS(get(store, "huge"), DeviceError);
    CHECK(state_of(store, "good") == ModelState::loaded);
}

TEST_CASE("a cache is as large as it is useful, and leaves room for the models that may come") {
    uint64_t useful = 20 * mib, window = mib, kv_bytes = 0;
    int64_t n_ctx = 64;
    const ModelLoader loader{
        .load =
            [&](const EngineOptions& options) {
                kv_bytes = options.kv_bytes;
                return std::make_unique<FakeEngine>();
            },
        .need =
            [&](const EngineOptions& options) {
                if (options.model_path == "unreadable") throw ModelError("unreadable is no GGUF file");
                return MemoryNeed{
                    .n_ctx = n_ctx, .weight_bytes = 10 * mib, .kv_bytes = window, .useful_kv_bytes = useful, .workspace_bytes = 2 * mib};
            },
        .has_file = [](const std::string&) { return true; }};
    const auto share = [&](uint64_t budget) {
        ModelStore store(budget, loader);
        for (const char* name : {"a", "b", "unreadable"}) store.declare(entry(name));
        get(store, "a");
        return kv_bytes;
    };
    CHECK(share(100 * mib) == 20 * mib);
    CHECK(share(30 * mib) == 5 * mib);  // less 12 for itself and 13 for the other
    CHECK(share(22 * mib) == 5 * mib);  // the other cannot be beside it: half of the 10 that are left
    CHECK(share(13 * mib) == mib);
    useful = 3 * mib;
    CHECK(share(30 * mib) == 3 * mib);
    useful = 80 * mib;
    window = 8 * mib;
    n_ctx = 8192;
    CHECK(share(60 * mib) == 28 * mib);  // less 12 for itself and 20 for the other with its whole window
    CHECK(share(36 * mib) == 8 * mib);   // whole windows of both are too much: the other comes with one of 4096 tokens
}

TEST_CASE("a model whose file is damaged is unloaded, and loaded anew for who asks next") {
    std::atomic<bool> is_damaged{false};
    struct Damaged final : FakeEngine {
        explicit Damaged(const std::atomic<bool>& flag) : damaged(flag) {}
        std::string failure() const override { return damaged ? "m.gguf was changed" : ""; }
        const std::atomic<bool>& damaged;
    };
    FakeLoader fake;
    ModelLoader loader = fake.loader();
    loader.load = [&](const EngineOptions&) {
        ++fake.n_loads;
        is_damaged = false;
        return std::make_unique<Damaged>(is_damaged);
    };
    ModelStore store(100 * mib, loader);
    store.declare(entry("m.gguf"));
    ModelLease held = get(store, "m");
    is_damaged = true;
    CHECK(store.find_loaded("m") == nullptr);
    get(store, "m");  // although somebody holds the old one
    CHECK(fake.n_loads == 2);
    CHECK(state_of(store, "m") == ModelState::loaded);
    CHECK(store.status("m").n_users == 1);
    is_damaged = true;
    held.reset();
    CHECK(comes_true([&] { return state_of(store, "m") == ModelState::failed; }));
    CHECK(store.status("m").error == "m.gguf was changed");
    get(store, "m");
    CHECK(fake.n_loads == 3);
}

TEST_CASE("a disk that does not answer holds up only those who want its model") {
    struct OnSlowDisk final : FakeEngine {
        explicit OnSlowDisk(const std::atomic<bool>& flag) : hangs(flag) {}
        std::string failure() const override {
            while (hangs) std::this_thread::sleep_for(1ms);
            return "";
        }
        const std::atomic<bool>& hangs;
    };
    std::atomic<bool> hangs{false};
    FakeLoader fake;
    ModelLoader loader = fake.loader();
    loader.load = [&](const EngineOptions& options) -> std::unique_ptr<Engine> {
        if (options.model_path == "remote") return std::make_unique<OnSlowDisk>(hangs);
        return std::make_unique<FakeEngine>();
    };
    ModelStore store(100 * mib, loader);
    for (const char* name : {"remote", "local"}) store.declare(entry(name));
    get(store, "local");
    get(store, "remote");
    hangs = true;
    std::atomic<bool> has_answer{false};
    std::thread waits([&] {
        get(store, "remote");
        has_answer = true;
    });
    std::this_thread::sleep_for(10ms);
    CHECK(get(store, "local") != nullptr);
    CHECK(store.list().size() == 2);
    CHECK(!has_answer);
    hangs = false;
    waits.join();
}

TEST_CASE("a stop ends the wait for the first load") {
    FakeLoader fake;
    ModelStore store(100 * mib, fake.loader());
    store.declare(entry("slow"));
    std::atomic<bool> has_ended{false};
    std::thread loads([&] {
        CHECK(!store.preload());
        has_ended = true;
    });
    CHECK(comes_true([&] { return fake.n_loads == 1; }));
    CHECK(!store.stop(1ms));
    CHECK(comes_true([&] { return has_ended.load(); }));
    loads.join();
    fake.may_load = true;
}

TEST_CASE("a model that nobody uses for its time to live is unloaded") {
    FakeLoader fake;
    ModelStore store(100 * mib, fake.loader());
    ModelEntry short_lived = entry("short");
    short_lived.ttl = 1s;
    store.declare(short_lived);
    ModelLease lease = get(store, "short");
    std::this_thread::sleep_for(1200ms);
    CHECK(state_of(store, "short") == ModelState::loaded);
    lease.reset();
    CHECK(comes_true([&] { return state_of(store, "short") == ModelState::unloaded; }));
}

TEST_CASE("how long a model stays can be said while it is in memory, and holds until it is unloaded") {
    FakeLoader fake;
    ModelStore store(100 * mib, fake.loader());
    store.declare(entry("a"));
    store.keep("a", 0ms);  // not in memory: nothing to do
    ModelLease lease = get(store, "a");
    CHECK(!store.status("a").expires);
    store.keep("a", 1h);
    CHECK(store.status("a").expires);
    store.keep("a", ModelStore::forever);
    CHECK(!store.status("a").expires);
    store.keep("a", 0ms);
    CHECK(state_of(store, "a") == ModelState::loaded);
    lease.reset();
    CHECK(comes_true([&] { return state_of(store, "a") == ModelState::unloaded; }));
    get(store, "a");
    CHECK(!store.status("a").expires);
    store.keep("a", 0ms);
    CHECK(state_of(store, "a") == ModelState::unloaded);
    CHECK_THROWS_AS(store.keep("b", 0ms), ApiError);
}

TEST_CASE("the same file and alias twice is one model with the slots of both") {
    FakeLoader fake;
    ModelStore store(100 * mib, fake.loader());
    store.declare(entry("m.gguf", "x"));
    store.declare(entry("m.gguf", "x"));
    CHECK(store.list().size() == 1);
    CHECK(get(store, "x")->engine->info().n_sequences == 2 * EngineOptions().n_sequences);
    CHECK_THROWS_AS(store.declare(entry("other.gguf", "x")), InvalidInput);
    CHECK(store.id_of("x:latest") == "x");
    CHECK(store.id_of(std::nullopt) == "x");
}

TEST_CASE("a model in use is not unloaded, an idle one is") {
    FakeLoader fake;
    ModelStore store(100 * mib, fake.loader());
    store.declare(entry("a"));
    ModelLease lease = get(store, "a");
    CHECK_THROWS_AS(store.unload("a"), ApiError);
    lease.reset();
    store.unload("a");
    CHECK(state_of(store, "a") == ModelState::unloaded);
    CHECK_THROWS_AS(store.unload("b"), ApiError);
}

TEST_CASE("a stream that waits for its model gets comments, and then its answer or its error") {
    FakeLoader fake;
    ModelStore store(100 * mib, fake.loader());
    store.declare(entry("slow"));
    ApiService service(store, {.access = AccessRules({}, "localhost", true)});
    HttpLimits limits;
    limits.event_pause = 50ms;
    RunningServer running(service, limits);
    TestClient stream = running.connect(), wrong = running.connect(), plain = running.connect();
    stream.post("/v1/completions", R"({"prompt":"x","stream":true})");
    wrong.post("/v1/completions", R"({"prompt":"x","stream":true,"temperature":"hot"})");
    plain.post("/v1/completions", R"({"prompt":"x"})");
    CHECK(stream.read_to(": waiting\n\n").find("text/event-stream") != std::string::npos);
    wrong.read_to(": waiting\n\n");
    fake.may_load = true;
    CHECK(stream.read_to("0\r\n\r\n").find("data: [DONE]") != std::string::npos);
    CHECK(wrong.read_to("0\r\n\r\n").find("data: {\"error\":") != std::string::npos);
    CHECK(plain.read_response().find("HTTP/1.1 200") != std::string::npos);
}
