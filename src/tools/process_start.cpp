#include "tools/process_start.h"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>
#include <string_view>

#include "base/file_faults.h"
#include "base/log.h"
#include "base/memory.h"

namespace quern {
namespace {

extern "C" void say_bus_error(int) {
    constexpr std::string_view message =
        "quern: a file became shorter or unreadable while it was in use; restore the file and start again\n";
    const ssize_t written = write(STDERR_FILENO, message.data(), message.size());
    _exit(written < 0 ? 2 : 1);
}

}  // namespace

void open_standard_streams() {
    for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; ++descriptor)
        if (fcntl(descriptor, F_GETFD) < 0 && open("/dev/null", descriptor == STDIN_FILENO ? O_RDONLY : O_WRONLY) < 0) return;
}

void explain_bus_errors() {
    struct sigaction action = {};
    action.sa_handler = say_bus_error;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, nullptr);
}

void survive_bus_errors() { survive_file_faults(say_bus_error); }

void prepare_to_run_for_long() {
    keep_little_freed_memory();
    std::signal(SIGPIPE, SIG_IGN);
    drop_messages_that_block();
}

}  // namespace quern
