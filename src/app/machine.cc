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

std::optional<std::uint64_t> read_number(const char* path) {
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

// Where a limit of our control group may stand, versions 2 and 1: in the group's own folder, as systemd
// has it, and at the root of the mount, as a container sees its own.
std::vector<std::string> memory_limit_files() {
  std::vector<std::string> files{"/sys/fs/cgroup/memory.max",
                                 "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
  std::ifstream groups("/proc/self/cgroup");  // "0::/system.slice/x.service", "4:memory:/…"
  for (std::string line; std::getline(groups, line);) {
    const auto first = line.find(':');
    const auto second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) files.push_back("/sys/fs/cgroup" + group + "/memory.max");
    if (controllers == "memory") {
      files.push_back("/sys/fs/cgroup/memory" + group + "/memory.limit_in_bytes");
    }
  }
  return files;
}

MachineLimit read_memory() {
  const auto pages = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES));
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  MachineLimit memory{pages * page, "memory of the machine"};
  for (const std::string& path : memory_limit_files()) {
    if (const auto limit = read_number(path.c_str()); limit && *limit < memory.value) {
      memory = {*limit, "cgroup " + path};
    }
  }
  return memory;
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

Machine read_machine() {
  return Machine{.cores = read_cores(),
                 .descriptors = raise_descriptors(),
                 .memory_bytes = read_memory(),
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
