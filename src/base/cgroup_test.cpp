#include "base/cgroup.h"

#include <doctest/doctest.h>

namespace quern {

using Folders = std::vector<std::string>;

TEST_CASE("a limit is looked for in the process's own group and in all its parents") {
    CHECK(cgroup_folders("", "0::/system.slice/quern.service\n", "/m") ==
          Folders{"/m/system.slice/quern.service", "/m/system.slice", "/m"});
    CHECK(cgroup_folders("", "0::/\n", "/m") == Folders{"/m"});
}

TEST_CASE("cgroup v1 has a tree for each controller") {
    const std::string text = "12:cpu,cpuacct:/a/b\n11:memory:/c\n0::/d\n";
    CHECK(cgroup_folders("cpu", text, "/m/cpu") == Folders{"/m/cpu/a/b", "/m/cpu/a", "/m/cpu"});
    CHECK(cgroup_folders("memory", text, "/m/memory") == Folders{"/m/memory/c", "/m/memory"});
    CHECK(cgroup_folders("", text, "/m") == Folders{"/m/d", "/m"});
}

TEST_CASE("a strange or empty list of groups leaves the mount") {
    CHECK(cgroup_folders("", "", "/m") == Folders{"/m"});
    CHECK(cgroup_folders("", "nonsense\n::\n", "/m") == Folders{"/m"});
    CHECK(cgroup_folders("", "0::no/slash/first\n", "/m") == Folders{"/m"});
}

}  // namespace quern
