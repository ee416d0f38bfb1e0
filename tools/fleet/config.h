// SPDX-License-Identifier: Apache-2.0
// fleet/config.h - everything a run of the fleet is told, with its defaults and its limits.
//
// A value. `problem_of` checks the fields alone and against each other before anything is opened.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "fleet/units.h"

namespace watchwheel::fleet {

enum class CertMode { Shared, Distinct };

struct Config {
  std::uint32_t sites = 200;
  std::uint32_t https = 0;           // Sites 0 to https-1 are served over TLS.
  std::uint32_t addresses = 0;       // 0: one for each site.
  std::uint32_t base = 0x7f400001U;  // 127.64.0.1
  bool spread = false;               // Addresses all over 127.0.0.0/8 above base, not in a row.
  std::string domain = "fleet.test";
  std::uint16_t http_port = 18080;
  std::uint16_t https_port = 18443;
  Duration interval = std::chrono::seconds(10);  // What the engine is told; the observer's measure.
  Duration timeout = std::chrono::seconds(10);   // Of a check: a wait above both is `expired`.
  std::uint32_t list_from = 0;                   // The first site that `sites` lists,
  bool list_interval = true;                     // and whether with an interval of its own.
  std::uint32_t body_bytes = 2048;
  Duration delay{0};
  Duration delay_jitter{0};  // Each answer waits delay plus an even share of 0 to this.
  bool keep_alive = true;
  bool defer_accept = true;
  std::uint32_t connections_max = 15'000;
  Endpoint dns{0x7f000001U, 15353};
  Duration dns_ttl = std::chrono::seconds(5);
  std::optional<Duration> dns_negative_ttl;  // Nothing: the same.
  Endpoint control{0x7f000001U, 18081};
  std::string cert_dir = "fleet-certs";
  CertMode cert_mode = CertMode::Shared;
  std::uint32_t tls_tickets = 0;  // Session tickets a handshake; the engine wants none.
  std::string timeline_file;
  Duration duration{0};  // 0: until told to stop.
};

inline constexpr std::uint32_t kSitesMax = 12'000'000;
inline constexpr std::uint32_t kHttpsDistinctMax = 250'000;  // A leaf is about 5 KB of memory.
inline constexpr std::uint32_t kConnectionsMax = 19'900;
inline constexpr std::uint32_t kBodyBytesMin = 512;
inline constexpr std::uint32_t kBodyBytesMax = 16U << 20U;
inline constexpr Duration kDelayMax = std::chrono::seconds(25);  // Below the idle limit of 30 s.

// What is wrong with `config`, and the remedy; empty when nothing is.
[[nodiscard]] std::string problem_of(const Config& config);

// How many addresses the sites share: `addresses`, or one each.
[[nodiscard]] std::uint32_t addresses_in_use(const Config& config) noexcept;

}  // namespace watchwheel::fleet
