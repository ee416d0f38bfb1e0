// SPDX-License-Identifier: Apache-2.0
#include "checker/resolver_servers.h"

#include <array>
#include <fstream>
#include <sstream>

namespace watchwheel::checker {
namespace {

constexpr std::uint16_t kDnsPort = 53;
constexpr std::string_view kBlank = " \t\r";

// The next word of `line`, which it loses.
std::string_view take_word(std::string_view& line) {
  const auto first = line.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return line = {};
  line.remove_prefix(first);
  const std::string_view word = line.substr(0, line.find_first_of(kBlank));
  line.remove_prefix(word.size());
  return word;
}

}  // namespace

std::vector<Endpoint> parse_resolv_conf(std::string_view text) {
  std::vector<Endpoint> servers;
  while (!text.empty() && servers.size() < kMachineServersMax) {
    const auto end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (take_word(line) != "nameserver") continue;  // Comments ('#', ';') among the rest.
    const auto ip = parse_ip(take_word(line));
    if (ip) servers.push_back({*ip, kDnsPort});
  }
  return servers;
}

std::vector<Endpoint> machine_servers(std::span<const std::string> files) {
  for (const std::string& path : files) {
    const std::ifstream file(path);
    if (!file) continue;
    std::ostringstream text;
    text << file.rdbuf();
    auto servers = parse_resolv_conf(text.str());
    if (!servers.empty()) return servers;
  }
  return {Endpoint{*parse_ip("127.0.0.1"), kDnsPort}};
}

std::vector<Endpoint> machine_servers() {
  const std::array<std::string, 2> files{"/run/systemd/resolve/resolv.conf", "/etc/resolv.conf"};
  return machine_servers(files);
}

}  // namespace watchwheel::checker
