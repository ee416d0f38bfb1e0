// SPDX-License-Identifier: Apache-2.0
#include "app/machine.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <optional>
#include <vector>

namespace watchwheel::app {
namespace {

std::optional<std::uint64_t> read_number(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;  // "max", or no such file.
}

MachineLimit read_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0 || CPU_COUNT(&set) < 1)
    return {1, "default: affinity unreadable"};
  return {static_cast<std::uint64_t>(CPU_COUNT(&set)), "cores this process may use"};
}

MachineLimit raise_descriptors() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return {1024, "default: RLIMIT_NOFILE unreadable"};
  if (limit.rlim_cur < limit.rlim_max) {
    rlimit raised = limit;
    raised.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  return {limit.rlim_cur, "RLIMIT_NOFILE"};
}

// A group and all above it: a limit anywhere on the way binds.
void add_with_parents(const std::string& mount, std::string group,
                      const std::vector<std::string>& names, std::vector<std::string>& files) {
  for (;;) {
    while (group.ends_with('/')) group.pop_back();
    for (const std::string& name : names) files.push_back(mount + group + "/" + name);
    if (group.empty()) return;
    group.erase(group.rfind('/') == std::string::npos ? 0 : group.rfind('/'));
  }
}

// Where a limit of our control group may stand, versions 2 and 1: in the group's own folder, as systemd has it, and at the root of
// the mount, as a container sees its own. Beyond memory.high the kernel takes memory back and slows us down, so it is a limit too.
std::vector<std::string> memory_limit_files(const std::string& root) {
  const std::vector<std::string> v2{"memory.max", "memory.high"};
  const std::vector<std::string> v1{"memory.limit_in_bytes"};
  const std::string mount = root + "/sys/fs/cgroup";
  std::vector<std::string> files;
  add_with_parents(mount, "", v2, files);
  add_with_parents(mount + "/memory", "", v1, files);
  std::ifstream groups(root + "/proc/self/cgroup");  // "0::/system.slice/x.service", "4:memory:/…"
  for (std::string line; std::getline(groups, line);) {
    const auto first = line.find(':');
    const auto second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string group = line.substr(second + 1);
    if (controllers == ",,") add_with_parents(mount, group, v2, files);
    if (controllers.find(",memory,") != std::string::npos) {
      add_with_parents(mount + "/memory", group, v1, files);
    }
  }
  return files;
}

MachineLimit read_ports() {
  std::ifstream file("/proc/sys/net/ipv4/ip_local_port_range");
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  if (file >> first >> last && last > first)
    return {last - first + 1, "net.ipv4.ip_local_port_range"};
  return {28'232, "default: ip_local_port_range unreadable"};
}

}  // namespace

MachineLimit memory_of(const std::string& root, std::uint64_t machine_bytes) {
  MachineLimit memory{machine_bytes, "memory of the machine"};
  for (const std::string& path : memory_limit_files(root)) {
    if (const auto limit = read_number(path); limit && *limit < memory.value) {
      memory = {*limit, "cgroup " + path.substr(root.size())};
    }
  }
  return memory;
}

Machine read_machine() {
  const auto pages = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES));
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  return Machine{.cores = read_cores(),
                 .descriptors = raise_descriptors(),
                 .memory_bytes = memory_of("", pages * page),
                 .ephemeral_ports = read_ports()};
}

std::uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t total = 0;
  std::uint64_t resident = 0;
  if (!(file >> total >> resident)) return 0;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace watchwheel::app
