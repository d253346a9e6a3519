#include "server/fake_loader_test.h"
#include "server/http/errors.h"

using namespace quern;

TEST_CASE("a model that is loaded already can be added under a name of its own") {
    FakeLoader fake;
    ModelStore store(100 * mib, fake.loader());
    store.declare(entry("a"));
    store.add(std::make_unique<FakeEngine>(), "b", "");
    CHECK(get(store, "b")->id == "b");
    CHECK_THROWS_AS(store.add(std::make_unique<FakeEngine>(), "other", "a"), InvalidInput);
    CHECK(state_of(store, "a") == ModelState::unloaded);
    CHECK(store.list().size() == 2);
    CHECK(fake.n_loads == 0);
}

TEST_CASE("entries are replaced while a server runs: what has not changed stays loaded") {
    FakeLoader fake;
    ModelStore store(100 * mib, fake.loader());
    for (const char* name : {"a", "b", "c"}) store.declare(entry(name));
    for (const char* name : {"a", "b", "c"}) get(store, name);
    const ModelLease old_b = get(store, "b"), old_c = get(store, "c");
    ModelEntry other_b = entry("b"), pinned_a = entry("a");
    other_b.options.n_sequences = 7;
    pinned_a.pin = true;
    const ModelChanges changes = store.replace({pinned_a, other_b, entry("d")});
    CHECK(changes.added == std::vector<std::string>{"d"});
    CHECK(changes.changed == std::vector<std::string>{"a", "b"});
    CHECK(changes.removed == std::vector<std::string>{"c"});
    CHECK_THROWS_AS(store.request("c", [] {}), ApiError);
    CHECK(store.list().size() == 3);
    CHECK(state_of(store, "a") == ModelState::loaded);
    CHECK(store.status("a").is_pinned);
    const ModelLease new_b = get(store, "b");
    CHECK(new_b != old_b);
    CHECK(new_b->engine->info().n_sequences == 7);
    CHECK(old_b->engine->info().n_sequences == EngineOptions().n_sequences);  // as it was, until its last answer has ended
    CHECK(old_c->engine->info().name == "fake");
    CHECK(fake.n_loads == 4);
    CHECK(store.used_bytes() == 30 * mib);  // both of b read one file
}

TEST_CASE("a model whose entry is gone is unloaded after its last answer") {
    FakeLoader fake;
    ModelStore store(100 * mib, fake.loader());
    for (const char* name : {"a", "b"}) store.declare(entry(name));
    get(store, "a");
    ModelLease b = get(store, "b");
    store.replace({entry("a")});
    CHECK(store.used_bytes() == 20 * mib);
    b.reset();
    CHECK(comes_true([&] { return store.used_bytes() == 10 * mib; }));
    CHECK(store.replace({entry("a"), entry("b")}).added.size() == 1);
    CHECK(get(store, "b") != nullptr);
}

TEST_CASE("who waits for a model gets it as it was when they asked") {
    FakeLoader fake;
    ModelStore store(100 * mib, fake.loader());
    store.declare(entry("slow"));
    const auto ticket = store.request("slow", [] {});
    ModelEntry other = entry("slow");
    other.options.n_sequences = 7;
    store.replace({other});
    const auto later = store.request("slow", [] {});
    fake.may_load = true;
    REQUIRE(comes_true([&] { return ticket->is_ready() && later->is_ready(); }));
    CHECK(ticket->take()->engine->info().n_sequences == EngineOptions().n_sequences);
    CHECK(later->take()->engine->info().n_sequences == 7);
}

TEST_CASE("entries that cannot be change nothing, and new ones that are to be preloaded are loaded at once") {
    FakeLoader fake;
    ModelStore store(100 * mib, fake.loader());
    store.declare(entry("a"));
    CHECK_THROWS_AS(store.replace({entry("b", "x"), entry("c", "x")}), InvalidInput);
    CHECK(store.list().size() == 1);
    CHECK(store.id_of(std::nullopt) == "a");
    ModelEntry eager = entry("e");
    eager.preload = true;
    store.replace({entry("d"), entry("a"), eager});
    CHECK(store.id_of(std::nullopt) == "d");
    CHECK(comes_true([&] { return state_of(store, "d") == ModelState::loaded && state_of(store, "e") == ModelState::loaded; }));
    CHECK(state_of(store, "a") == ModelState::unloaded);
}

TEST_CASE("a model without a file is refused to those who ask, who need not try again") {
    FakeLoader fake;
    ModelStore store(100 * mib, fake.loader());
    store.declare(entry("missing"));
    try {
        get(store, "missing");
        FAIL("it was loaded");
    } catch (const ApiError& error) {
        CHECK(error.details().status == 503);
        CHECK(error.details().code == "model_unavailable");
        CHECK(error.details().headers == HttpHeaders{{"x-should-retry", "false"}});
        CHECK(std::string(error.what()).find("there is no file missing") != std::string::npos);
    }
    CHECK(fake.n_loads == 0);
    CHECK(state_of(store, "missing") == ModelState::failed);
}

TEST_CASE("a model is called by its alias, or by its file's name without .gguf alone") {
    CHECK(model_id(entry("models/a.gguf")) == "a");
    CHECK(model_id(entry("models/a.Q4_0.bin")) == "a.Q4_0.bin");
    CHECK(model_id(entry("models/a.gguf", "alias")) == "alias");
}

TEST_CASE("an entry whose file is missing is not preloaded, and is loaded when it is asked for") {
    FakeLoader fake;
    ModelStore store(100 * mib, fake.loader());
    ModelEntry missing = entry("gone");
    missing.is_missing = missing.preload = true;
    store.declare(missing);
    store.declare(entry("a"));
    CHECK(store.preload());
    CHECK(state_of(store, "a") == ModelState::loaded);  // the first whose file is there
    CHECK(state_of(store, "gone") == ModelState::failed);
    CHECK(store.status("gone").error.find("no file gone") != std::string::npos);
    CHECK(store.id_of(std::nullopt) == "gone");
    CHECK(fake.n_loads == 1);
    CHECK(get(store, "gone") != nullptr);
    missing.is_missing = false;
    const ModelChanges changes = store.replace({missing, entry("a")});
    CHECK(changes.changed.empty());  // it had come already
    CHECK(fake.n_loads == 2);
}
