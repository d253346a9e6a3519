#include "base/cgroup.h"

#include <fstream>
#include <iterator>
#include <sstream>

#include "base/error.h"

namespace quern {
namespace {

// Each line is "id:controllers:folder"; that of version 2 names no controllers.
std::string own_group(std::string_view controller, const std::string& proc_self_cgroup) {
    std::istringstream lines(proc_self_cgroup);
    const std::string wanted = concat(',', controller, ',');
    for (std::string line; std::getline(lines, line);) {
        const size_t first = line.find(':');
        const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
        if (second == std::string::npos) continue;
        std::string controllers(1, ',');
        controllers.append(line, first + 1, second - first - 1).push_back(',');
        if (controller.empty() ? controllers == wanted : controllers.find(wanted) != std::string::npos) return line.substr(second + 1);
    }
    return "/";
}

}  // namespace

std::vector<std::string> cgroup_folders(std::string_view controller, const std::string& proc_self_cgroup, const std::string& mount) {
    std::vector<std::string> folders;
    for (std::string group = own_group(controller, proc_self_cgroup); group.size() > 1; group.resize(group.rfind('/'))) {
        if (group.front() != '/') break;
        folders.push_back(mount + group);
    }
    folders.push_back(mount);
    return folders;
}

std::vector<std::string> cgroup_folders(std::string_view controller) {
    std::ifstream file("/proc/self/cgroup");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    return cgroup_folders(controller, text, controller.empty() ? "/sys/fs/cgroup" : concat("/sys/fs/cgroup/", controller));
}

}  // namespace quern
