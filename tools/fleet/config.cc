// SPDX-License-Identifier: Apache-2.0
#include "fleet/config.h"

#include <algorithm>

namespace watchwheel::fleet {
namespace {

bool is_domain(const std::string& domain) {
  if (domain.empty() || domain.size() > 200 || domain.front() == '.' || domain.back() == '.') {
    return false;
  }
  std::size_t label = 0;
  for (const char c : domain) {
    label = c == '.' ? 0 : label + 1;
    const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
    if (!plain || label > 63) return false;
  }
  return domain.find("..") == std::string::npos;
}

}  // namespace

std::uint32_t addresses_in_use(const Config& config) noexcept {
  return config.addresses == 0 ? config.sites : std::min(config.addresses, config.sites);
}

std::string problem_of(const Config& config) {
  if (config.sites == 0 || config.sites > kSitesMax) {
    return "--sites must be 1 to " + std::to_string(kSitesMax);
  }
  if (config.https > config.sites) return "--https must not be above --sites";
  if (config.cert_mode == CertMode::Distinct && config.https > kHttpsDistinctMax) {
    return "--certs distinct serves at most " + std::to_string(kHttpsDistinctMax) +
           " HTTPS sites: use --certs shared";
  }
  // Spread addresses lie below a prime, which is near (site_map.h).
  const std::uint64_t last =
      std::uint64_t{config.base} + addresses_in_use(config) - 1 + (config.spread ? 1000 : 0);
  if (!is_loopback(config.base) || last >= 0x7fffffffULL) {
    return "the addresses from " + to_text(config.base) +
           " on leave 127.0.0.0/8: lower --base or --addresses";
  }
  if (config.spread && config.addresses != 0) {
    return "--spread gives each site an address of its own: leave out --addresses";
  }
  if (config.list_from >= config.sites) return "--from must be below --sites";
  if (!is_domain(config.domain)) {
    return "--domain must be a lower-case name such as fleet.test";
  }
  if (config.body_bytes < kBodyBytesMin || config.body_bytes > kBodyBytesMax) {
    return "--body-bytes must be " + std::to_string(kBodyBytesMin) + " to " +
           std::to_string(kBodyBytesMax);
  }
  if (config.delay + config.delay_jitter > kDelayMax) {
    return "--delay and --delay-jitter together must not be above 25s";
  }
  if (config.interval < std::chrono::milliseconds(100)) return "--interval must be at least 100ms";
  if (config.dns_ttl > std::chrono::hours(24)) return "--dns-ttl must not be above 1d";
  if (config.dns_negative_ttl > std::chrono::hours(24)) {
    return "--dns-negative-ttl must not be above 1d";
  }
  if (config.timeout > std::chrono::hours(1)) return "--timeout must not be above 1h";
  if (config.connections_max < 16 || config.connections_max > kConnectionsMax) {
    return "--connections must be 16 to " + std::to_string(kConnectionsMax);
  }
  if (config.tls_tickets > 8) return "--tls-tickets must be 0 to 8";
  if (!is_loopback(config.dns.address) || !is_loopback(config.control.address)) {
    return "--dns and --control must be loopback: use an address within 127.0.0.0/8";
  }
  return {};
}

}  // namespace watchwheel::fleet
