// quern's entry point: picks the subcommand, turns exceptions into one line and an exit code.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <new>
#include <string>

#include "base/error.h"
#include "base/printable.h"
#include "base/version.h"
#include "tools/command_line.h"
#include "tools/foreign_flags.h"
#include "tools/process_start.h"

namespace quern {
namespace {

constexpr int exit_user_error = 1;       // or the file's, or the machine's: all that a message can help with
constexpr int exit_internal_error = 70;  // EX_SOFTWARE of sysexits.h

constexpr const Subcommand* subcommands[] = {
    &run_command,        &serve_command,      &bench_command, &inspect_command,      &tokenize_command,   &quantize_command,
    &imatrix_command,    &split_command,      &merge_command, &verify_command,       &perplexity_command, &convert_command,
    &convert_py_command, &convert_hf_command, &embed_command, &convert_lora_command, &merge_lora_command,
};

void complain(const std::string& where, std::string_view message) {
    std::fprintf(stderr, "%s\n", one_line(concat(where, ": ", message)).c_str());
}

/// One line for what CLI11 found wrong; its own text for --help and --version.
int answer_parse_error(const CLI::App& app, const CLI::App* chosen, const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    const std::string program = chosen == nullptr ? "quern" : "quern " + chosen->get_name();
    complain(program, concat(error.what(), " (see ", program, " --help)"));
    return exit_user_error;
}

int run_subcommand(CLI::App& app, CLI::App* chosen, const Command& command, std::span<const char* const> arguments) {
    try {
        std::vector<std::string> words = normalize_flags(*chosen, arguments);
        words.insert(words.begin(), chosen->get_name());
        std::reverse(words.begin(), words.end());  // CLI11 takes them last first
        app.parse(words);
        const std::string note = check_foreign_flags(*chosen);
        if (!note.empty()) complain("quern " + chosen->get_name(), note);
    } catch (const CLI::ParseError& error) {
        return answer_parse_error(app, chosen, error);
    }
    return command();
}

/// Adds the chosen subcommand's name to `program`, which stands before every complaint.
int main_checked(int argc, char** argv, std::string& program) {
    CLI::App app("quern: runs and serves language models from GGUF files", "quern");
    app.set_version_flag("--version", concat("quern ", program_version()));
    app.require_subcommand(1);
    app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
    const std::string name = argc > 1 ? argv[1] : "";
    CLI::App* chosen = nullptr;
    Command command;
    for (const Subcommand* each : subcommands) {
        CLI::App* sub = app.add_subcommand(each->name, each->description);
        if (name != each->name) continue;
        chosen = sub;
        program += " " + name;
        command = each->setup(*sub);
        declare_foreign_flags(*sub);
    }
    if (chosen != nullptr) return run_subcommand(app, chosen, command, {argv + 2, static_cast<size_t>(argc - 2)});
    if (!name.empty() && name.front() != '-') throw InvalidInput(concat("unknown subcommand ", name, " (see quern --help)"));
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return answer_parse_error(app, nullptr, error);
    }
    return exit_user_error;
}

}  // namespace
}  // namespace quern

int main(int argc, char** argv) {
    std::string program = "quern";
    quern::open_standard_streams();
    quern::explain_bus_errors();
    try {
        return quern::main_checked(argc, argv, program);
    } catch (const quern::InternalError& error) {
        quern::complain(program, error.what());
    } catch (const quern::Error& error) {
        quern::complain(program, error.what());
        return quern::exit_user_error;
    } catch (const std::filesystem::filesystem_error& error) {
        quern::complain(program, error.what());
        return quern::exit_user_error;
    } catch (const std::bad_alloc&) {
        quern::complain(program, "out of memory");
        return quern::exit_user_error;
    } catch (const std::exception& error) {
        quern::complain(program, quern::concat("internal error: ", error.what()));
    }
    return quern::exit_internal_error;
}
