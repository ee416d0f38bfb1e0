// SPDX-License-Identifier: Apache-2.0
#include "app/node_identity.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <string_view>

#include "db/lease_store.h"

namespace watchwheel::app {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// The kernel's: of this boot, and of what we see of its processes.
std::string where_we_are() {
  std::array<char, 64> ns{};
  const ssize_t n = ::readlink("/proc/self/ns/pid", ns.data(), ns.size() - 1);
  const std::string seen(ns.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
  return first_line("/proc/sys/kernel/random/boot_id") + "/" + seen;
}

// When the process was started, in ticks since the boot; "" when it is not there. A number is given again, this is not.
std::string start_of(const std::string& pid) {
  const std::string stat = first_line("/proc/" + pid + "/stat");
  const auto name_end = stat.rfind(')');  // The name may hold anything.
  if (name_end == std::string::npos) return "";
  std::string_view rest = std::string_view(stat).substr(name_end + 1);
  constexpr int kStartField = 20;  // Counted from the one after the name.
  for (int field = 0; field < kStartField; ++field) {
    rest.remove_prefix(std::min(rest.size(), rest.find_first_not_of(' ')));
    if (field + 1 < kStartField) rest.remove_prefix(std::min(rest.size(), rest.find(' ')));
  }
  return std::string(rest.substr(0, rest.find(' ')));
}

}  // namespace

core::Result<std::string> node_name(const std::string& configured) {
  std::string name = configured;
  if (name.empty()) {
    std::array<char, 256> host{};
    if (::gethostname(host.data(), host.size() - 1) == 0) name = host.data();
    for (char& c : name) {
      if (!db::is_node_name(std::string_view(&c, 1))) c = '-';
    }
    name.resize(std::min<std::size_t>(name.size(), 64));
  }
  if (db::is_node_name(name)) return name;
  return core::Error{core::ErrorKind::Invalid,
                     "the node needs a name of 1 to 64 of A-Z a-z 0-9 . _ -: set cluster.node"};
}

std::string process_instance() {
  const std::string pid = std::to_string(::getpid());
  return where_we_are() + "/" + pid + "/" + start_of(pid);
}

bool is_surely_dead(const std::string& instance) {
  const std::string here = where_we_are() + "/";
  if (!instance.starts_with(here)) return false;
  const std::string rest = instance.substr(here.size());
  const auto slash = rest.find('/');
  if (slash == std::string::npos) return false;
  const std::string pid = rest.substr(0, slash);
  if (pid.empty() || pid.find_first_not_of("0123456789") != std::string::npos) return false;
  // What we may not look at (another user's, under ProtectProc or hidepid) is there nevertheless.
  const std::string start = start_of(pid);
  if (start.empty()) {
    pid_t number = 0;
    const auto [end, failed] = std::from_chars(pid.data(), pid.data() + pid.size(), number);
    return failed == std::errc{} && ::kill(number, 0) != 0 && errno == ESRCH;
  }
  return start != rest.substr(slash + 1);
}

}  // namespace watchwheel::app
