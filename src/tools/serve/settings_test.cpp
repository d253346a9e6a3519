#include "tools/serve/settings.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "tools/serve/relaxed_json.h"
#include "tools/serve/yaml.h"

using namespace quern;

namespace {

/// A file that is removed at the end of its scope.
class TemporaryFile {
  public:
    explicit TemporaryFile(const std::string& text, const char* ending = ".json")
        : path_((std::filesystem::temp_directory_path() / ("quern_settings_" + std::to_string(getpid()) + ending)).string()) {
        std::ofstream(path_) << text;
    }
    ~TemporaryFile() { std::filesystem::remove(path_); }
    const std::string& path() const { return path_; }

  private:
    std::string path_;
};

/// An environment variable that is unset at the end of its scope.
class TemporaryVariable {
  public:
    TemporaryVariable(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
    ~TemporaryVariable() { unsetenv(name_); }

  private:
    const char* name_;
};

FlagValues flags(std::initializer_list<std::pair<const char*, std::vector<std::string>>> given) {
    FlagValues values;
    for (const auto& [key, texts] : given)
        for (const Setting& setting : serve_settings())
            if (std::string_view(setting.key) == key) values.emplace_back(&setting, texts);
    REQUIRE(values.size() == given.size());
    return values;
}

std::string complaint(const FlagValues& values, const std::string& config = "") {
    try {
        if (config.empty()) {
            collect_settings(values, std::nullopt);
        } else {
            collect_settings(values, TemporaryFile(config).path());
        }
        return "none";
    } catch (const InvalidInput& error) {
        return error.what();
    }
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

const auto with_model = [] { return flags({{"model", {"a.gguf"}}}); };

}  // namespace

TEST_CASE("flags go before the file, and the file before the environment") {
    const TemporaryVariable ctx("N_CTX", "100"), threads("N_THREADS", "3"), batch("N_BATCH", "64");
    const TemporaryFile file(R"({"port": 9000, "models": [{"model": "a.gguf", "model_alias": "a", "n_ctx": 200, "n_batch": 32}]})");
    const ServeSettings settings = collect_settings(flags({{"n_batch", {"16"}}, {"host", {"localhost"}}}), file.path());
    REQUIRE(settings.models.size() == 1);
    CHECK(settings.models[0].options.n_threads == 3);
    CHECK(settings.models[0].options.n_ctx == 200);
    CHECK(settings.models[0].options.n_batch == 16);
    CHECK(settings.models[0].alias == "a");
    CHECK(settings.port == 9000);
    CHECK(settings.host == "localhost");
}

TEST_CASE("the environment alone can start a server") {
    const TemporaryVariable model("MODEL", "m.gguf"), port("PORT", "0"), key("API_KEY", "k"), gpu("N_GPU_LAYERS", "-1"),
        np("PARALLEL", "5");
    const ServeSettings settings = collect_settings({}, std::nullopt);
    CHECK(settings.models[0].options.model_path == "m.gguf");
    CHECK(settings.port == 0);
    CHECK(settings.api_keys == std::vector<std::string>{"k"});
    CHECK(settings.models[0].options.n_gpu_layers == -1);
    CHECK(settings.models[0].options.n_sequences == 5);
    const TemporaryVariable keys("API_KEY", R"(["a", "b"])");
    CHECK(collect_settings({}, std::nullopt).api_keys == std::vector<std::string>{"a", "b"});
    const TemporaryFile file(R"({"models": [{"model": "from_file.gguf"}]})");
    const TemporaryVariable config("CONFIG_FILE", file.path().c_str());
    CHECK(collect_settings({}, std::nullopt).models[0].options.model_path == "from_file.gguf");
}

TEST_CASE("a configuration may list several models, with comments and trailing commas") {
    const TemporaryFile file(
        "{ // the server\n\"host\": \"127.0.0.1\", /* two\n models */ \"api_key\": \"k//k\", \"interrupt_requests\": true,\n"
        "\"models\": [{\"model\": \"a.gguf\", \"n_gpu_layers\": -1, \"verbose\": true, \"rope_freq_base\": 0.0,}, {\"model\": \"b.gguf\", "
        "\"n_threads\": -1,},],}\n");
    const ServeSettings settings = collect_settings({}, file.path());
    REQUIRE(settings.models.size() == 2);
    CHECK(settings.models[1].options.model_path == "b.gguf");
    CHECK(settings.models[1].options.n_threads == 0);
    CHECK(settings.api_keys == std::vector<std::string>{"k//k"});
}

TEST_CASE("a wrong setting is one line that says where it stands") {
    CHECK(contains(complaint({}), "model"));
    CHECK(contains(complaint(flags({{"model", {"a"}}, {"n_ctx", {"many"}}})), "--n-ctx must be an integer, not \"many\""));
    CHECK(contains(complaint(flags({{"model", {"a"}}, {"port", {"65536"}}})), "--port must be from 0 to 65535"));
    CHECK(contains(complaint(flags({{"model", {"a"}}, {"n_batch", {""}}})), "--n-batch"));
    CHECK(contains(complaint(with_model(), R"({"port": "x"})"), "port must be an integer, not \"x\""));
    CHECK(contains(complaint({}, R"({"models": [{"model": "a"}, {"model": "b", "n_ctx": 1.5}]})"), "models[1].n_ctx must be an integer"));
    CHECK(contains(complaint({}, R"({"models": [{"n_ctx": 1}]})"), "models[0] has no \"model\""));
    CHECK(contains(complaint({}, R"({"models": 5})"), "models must be a list"));
    CHECK(contains(complaint({}, R"({"models": [5]})"), "models[0] must be an object"));
    CHECK(contains(complaint({}, R"({"models": [{"model": "a", "lora_path": 3}]})"), "models[0].lora_path"));
    CHECK(contains(complaint({}, R"({"models": [{"model": "a", "chat_template_kwargs": 5}]})"), "chat_template_kwargs must be an object"));
    CHECK(contains(complaint(with_model(), R"({"models": [{"model": "a"}, {"model": "b"}]})"), "--model"));
    CHECK(contains(complaint({}, "{\"a\":\n\n}"), "not valid JSON"));
    CHECK(contains(complaint({}, "[]"), "must hold an object"));
    for (const char* config : {"{\"a\":\n\n}", "[]", R"({"port": "x"})"}) CHECK(!contains(complaint({}, config), "\n"));
    const TemporaryVariable port("PORT", "x");
    CHECK(contains(complaint(with_model()), "the environment variable PORT"));
}

TEST_CASE("unknown keys are said, and harmless ones of llama-cpp-python taken") {
    CHECK(contains(complaint(with_model(), R"({"no_such_key": 1})"), "no_such_key is no setting"));
    CHECK(complaint({}, R"({"interrupt_requests": true, "models": [{"model": "a", "use_mlock": true, "seed": 1, "verbose": false}]})") ==
          "none");
}

TEST_CASE("what is printed as the configuration is one that comes to the same") {
    const TemporaryFile override_file("{{ messages[0].content }}", ".jinja");
    const ServeSettings settings = collect_settings(flags({{"model", {"a.gguf", "b.gguf"}},
                                                           {"n_ctx", {"77"}},
                                                           {"kv_overrides", {"a.b=int:-5", "c=str:x:y", "d=bool:true", "e=float:0.5"}},
                                                           {"rope_scaling_type", {"2"}},
                                                           {"rope_scale", {"4"}},
                                                           {"yarn_beta_fast", {"16"}},
                                                           {"seed", {"7"}},
                                                           {"type_k", {"8"}},
                                                           {"type_v", {"q4_0"}},
                                                           {"cache", {"true"}},
                                                           {"cache_size", {"1000"}},
                                                           {"last_n_tokens_size", {"5"}},
                                                           {"use_mlock", {"true"}},
                                                           {"chat_template_file", {override_file.path()}},
                                                           {"draft_ngram", {"4"}},
                                                           {"cors_origins", {"*"}},
                                                           {"ttl", {"9"}}}),
                                                    std::nullopt);
    const Json printed = to_json(settings);
    const TemporaryFile file(printed.dump());
    const ServeSettings again = collect_settings({}, file.path());
    CHECK(to_json(again) == printed);
    REQUIRE(again.models.size() == 2);
    const EngineOptions& options = again.models[1].options;
    CHECK(options.rope == RopeOverride{.scaling = "yarn", .freq_scale = 0.25, .yarn_beta_fast = 16});
    CHECK(options.kv_overrides.size() == 4);
    CHECK(options.seed == 7);
    CHECK(options.cache_bytes == 1000);
    CHECK(options.cache_type_k == KvType::q8_0);
    CHECK(options.chat_template == "{{ messages[0].content }}");
    CHECK(options.lock_memory);
}

TEST_CASE("every setting can be read back but keys and synonyms, and has a description") {
    for (const Setting& setting : serve_settings()) {
        CAPTURE(setting.key);
        const std::string_view key = setting.key;
        constexpr std::string_view synonyms[] = {"api_key", "draft_model", "rope_scale", "lora_scaled", "lora_path", "reranking"};
        const bool works = !setting.no_effect && !setting.refusal;
        const bool is_synonym = std::find(std::begin(synonyms), std::end(synonyms), key) != std::end(synonyms);
        CHECK(works == (setting.set_server || setting.set_model));
        CHECK((setting.get_server || setting.get_model) == (works && !is_synonym));
        CHECK((!works || *setting.description != '\0'));
        CHECK(find_setting(key, setting.is_of_server()) == &setting);
        CHECK_NOTHROW(Json::parse(setting.neutral));
    }
}

TEST_CASE("a draft model is a file, or any word that is no path") {
    const TemporaryFile file("x", ".gguf");
    const auto with = [](const std::string& value) {
        return collect_settings(flags({{"model", {"a"}}, {"draft_model", {value}}}), std::nullopt).models[0].options;
    };
    CHECK(with(file.path()).draft_model_path == file.path());
    CHECK(with("prompt-lookup-decoding").draft_ngram == 3);
    CHECK(with("prompt-lookup-decoding").n_draft == 10);  // llama-cpp-python's default
    CHECK(with(file.path()).n_draft == 8);
    const FlagValues explicitly =
        flags({{"model", {"a"}}, {"draft_model_num_pred_tokens", {"8"}}, {"draft_model", {"prompt-lookup-decoding"}}});
    CHECK(collect_settings(explicitly, std::nullopt).models[0].options.n_draft == 8);
    CHECK(contains(complaint(flags({{"model", {"a"}}, {"draft_model", {"/no/such/file"}}})), "there is no draft model file /no/such/file"));
    CHECK(contains(complaint(flags({{"model", {"a"}}, {"draft_model", {"absent.gguf"}}})), "there is no draft model file"));
}

TEST_CASE("the environment lists models and their names, and says where the log goes") {
    const TemporaryVariable model("MODEL", R"(["a.gguf", "b.gguf"])"), alias("MODEL_ALIAS", R"(["one", "two"])"), file("LOG_FILE", "x.log"),
        more("LLAMA_LOG_VERBOSITY", "3");
    const ServeSettings settings = collect_settings({}, std::nullopt);
    REQUIRE(settings.models.size() == 2);
    CHECK(settings.models[0].options.model_path == "a.gguf");
    CHECK(settings.models[1].alias == "two");
    CHECK(settings.log_file == "x.log");
    CHECK(settings.verbosity == 3);
}

TEST_CASE("a path in MODEL that only looks like a list is a path") {
    for (const char* path : {"[a].gguf", "[]", "[1]"}) {
        const TemporaryVariable model("MODEL", path);
        const ServeSettings settings = collect_settings({}, std::nullopt);
        REQUIRE(settings.models.size() == 1);
        CHECK(settings.models[0].options.model_path == path);
    }
}

TEST_CASE("the address comes from the environment before the file, and llama.cpp's variables count") {
    const TemporaryFile file(R"({"host": "10.0.0.1", "port": 1, "models": [{"model": "a", "ctx_size": 5, "rope-freq-base": 7}]})");
    const TemporaryVariable port("PORT", "9"), ctx("LLAMA_ARG_CTX_SIZE", "3"), batch("LLAMA_ARG_BATCH", "17"), key("LLAMA_API_KEY", "k");
    const ServeSettings settings = collect_settings({}, file.path());
    CHECK(settings.host == "10.0.0.1");
    CHECK(settings.port == 9);
    CHECK(settings.models[0].options.n_ctx == 5);
    CHECK(settings.models[0].options.n_batch == 17);
    CHECK(settings.models[0].options.rope.freq_base == 7);
    CHECK(settings.api_keys == std::vector<std::string>{"k"});
    CHECK(collect_settings(flags({{"port", {"2"}}}), file.path()).port == 2);
}

TEST_CASE("llama-cpp-python's defaults are no change, and what cannot be done is refused") {
    const TemporaryFile file(R"({"interrupt_requests": true, "disable_ping_events": false, "root_path": "", "models": [{"model": "a",
        "split_mode": 1, "main_gpu": 0, "tensor_split": null, "vocab_only": false, "use_mmap": true, "use_mlock": true, "kv_overrides": null,
        "rpc_servers": null, "seed": 4294967295, "n_ctx": 2048, "n_batch": 512, "n_ubatch": 512, "n_threads": -1, "n_threads_batch": -1,
        "rope_scaling_type": -1, "rope_freq_base": 0.0, "rope_freq_scale": 0.0, "yarn_ext_factor": -1.0, "yarn_attn_factor": 1.0,
        "yarn_beta_fast": 32.0, "yarn_beta_slow": 1.0, "yarn_orig_ctx": 0, "mul_mat_q": true, "logits_all": true, "embedding": false,
        "offload_kqv": true, "flash_attn": false, "last_n_tokens_size": 64, "lora_base": null, "numa": false, "chat_format": null,
        "clip_model_path": null, "cache": false, "cache_type": "ram", "cache_size": 2147483648, "hf_model_repo_id": null,
        "draft_model": null, "draft_model_num_pred_tokens": 10, "type_k": null, "type_v": 1, "verbose": true}]})");
    const ServeSettings settings = collect_settings({}, file.path());
    CHECK(!settings.models[0].options.seed);
    CHECK(!settings.models[0].options.rope.is_about_yarn());
    CHECK(settings.models[0].options.cache_bytes == 0);
    const auto refuse = [&](const char* key, const char* value, const char* expected) {
        CHECK(contains(complaint(flags({{"model", {"a"}}, {key, {value}}})), expected));
    };
    refuse("hf_model_repo_id", "a/b", "does not download");
    refuse("clip_model_path", "x", "images");
    refuse("vocab_only", "true", "weights");
    refuse("chat_format", "functionary", "tools");
    refuse("chat_format", "llava-1-5", "images");
    refuse("chat_format", "no-such", "known are chatml");
    refuse("kv_overrides", "a=b", "KEY=TYPE:VALUE");
    refuse("rope_scaling_type", "9", "yarn (2)");
    refuse("rope_freq_base", "nan", "--rope-freq-base must be from");
    refuse("hf_tokenizer_config_path", "/no/such/file", "cannot read");
    CHECK(complaint({}, R"({"cont_batching": true, "models": [{"model": "a", "cache-ram": 8192}]})") == "none");  // flags of llama.cpp
    CHECK(contains(complaint({}, R"({"models": [{"model": "a", "grammar": "x"}]})"), "models[0].grammar: "));
    CHECK(contains(complaint({}, R"({"models": [{"model": "a", "port": 1}]})"), "belongs beside"));
    CHECK(contains(complaint(with_model(), R"({"n_ctx": 1})"), "belongs into an entry"));
}

TEST_CASE("a tokenizer's configuration may bring the chat template") {
    const auto template_of = [](const char* config) {
        const TemporaryFile file(config);
        return collect_settings(flags({{"model", {"a"}}, {"hf_tokenizer_config_path", {file.path()}}}), std::nullopt)
            .models[0]
            .options.chat_template;
    };
    CHECK(template_of(R"({"chat_template": "{{ x }}"})") == "{{ x }}");
    CHECK(template_of(R"({"chat_template": [{"name": "a", "template": "1"}, {"name": "default", "template": "2"}]})") == "2");
    for (const char* wrong :
         {"", "[]", "{}", R"({"chat_template": 5})", R"({"chat_template": [{"name": "a", "template": "1"}, 7, {"name": "default"}]})"})
        CHECK_THROWS_AS(template_of(wrong), InvalidInput);
}

TEST_CASE("several models may be given as flags, with aliases in order") {
    const ServeSettings settings =
        collect_settings(flags({{"model", {"a.gguf", "b.gguf"}}, {"model_alias", {"one"}}, {"n_ctx", {"64"}}}), std::nullopt);
    REQUIRE(settings.models.size() == 2);
    CHECK(settings.models[0].alias == "one");
    CHECK(settings.models[1].options.model_path == "b.gguf");
    CHECK(settings.models[1].options.n_ctx == 64);
    CHECK(contains(complaint(flags({{"model", {"a"}}, {"model_alias", {"x", "y"}}})), "2 aliases for 1 models"));
}

TEST_CASE("YAML says the same as JSON, and cannot grow without bound") {
    CHECK(
        json_from_yaml(
            "host: localhost\nport: 0x\nmodels:\n  - model: a.gguf\n    n_ctx: 5\n    pin: true\n    ttl: ~\n    model_alias: \"7\"\n") ==
        Json::parse(R"({"host":"localhost","port":"0x","models":[{"model":"a.gguf","n_ctx":5,"pin":true,"ttl":null,"model_alias":"7"}]})"));
    CHECK_THROWS_AS(json_from_yaml("a: [1, 2"), InvalidInput);
    CHECK_THROWS_AS(json_from_yaml(std::string(100, '[') + std::string(100, ']')), InvalidInput);
    std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
    for (int i = 1; i < 9; ++i) {
        bomb += concat("a", i, ": &a", i, " [");
        for (int j = 0; j < 10; ++j) bomb += concat(j ? "," : "", "*a", i - 1);
        bomb += "]\n";
    }
    CHECK_THROWS_AS(json_from_yaml(bomb), InvalidInput);
    const TemporaryFile file("models:\n- model: a.gguf\n", ".yaml");
    CHECK(collect_settings({}, file.path()).models[0].options.model_path == "a.gguf");
}

TEST_CASE("comments and trailing commas go, strings stay") {
    CHECK(to_strict_json("[1, 2, // x\n]") == "[1, 2      \n]");
    CHECK(to_strict_json("{\"a\": \"/* , ] \\\" // */\",}") == "{\"a\": \"/* , ] \\\" // */\" }");
    CHECK(to_strict_json("[1/* x */,/* y */]") == "[1               ]");
    CHECK(to_strict_json("\"unfinished") == "\"unfinished");
    CHECK(to_strict_json("[1, /* unfinished") == "[1, /* unfinished");
}
