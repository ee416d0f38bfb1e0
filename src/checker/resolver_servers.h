// SPDX-License-Identifier: Apache-2.0
// checker/resolver_servers.h - which name servers this machine uses.
//
// Thread   any; reads files, so at start only.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checker/address.h"

namespace watchwheel::checker {

inline constexpr std::size_t kMachineServersMax = 3;  // As resolv.conf(5).

// The "nameserver" lines of a resolv.conf, in order, port 53. Addresses with a zone are left out (they mean something on one link
// only), and so is whatever is no address; other lines are not ours.
[[nodiscard]] std::vector<Endpoint> parse_resolv_conf(std::string_view text);

// Of the first of `files` that can be read and names a server; 127.0.0.1 when none does.
[[nodiscard]] std::vector<Endpoint> machine_servers(std::span<const std::string> files);

// The upstream servers of systemd-resolved (its local stub collapses under a fleet's load), else /etc/resolv.conf.
[[nodiscard]] std::vector<Endpoint> machine_servers();

}  // namespace watchwheel::checker
