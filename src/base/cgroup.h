// The control groups that this process lives in, whose limits bind it. Source: the kernel's cgroup-v1 and cgroup-v2 documentation.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace quern {

/// The folders of this process's group and of each of its parents, the process's own first, the mount last: a limit on any of them binds.
/// Inside a container that shows only its own part of the tree, folders may be missing.
/// @param controller  of cgroup v1 ("cpu", "memory"); "": cgroup v2, where all controllers share one tree
std::vector<std::string> cgroup_folders(std::string_view controller);

/// The same from the text of /proc/self/cgroup. @param mount  where the hierarchy is mounted
std::vector<std::string> cgroup_folders(std::string_view controller, const std::string& proc_self_cgroup, const std::string& mount);

}  // namespace quern
