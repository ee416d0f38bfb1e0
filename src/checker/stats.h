// SPDX-License-Identifier: Apache-2.0
// checker/stats.h - what a checker counts. Written by its lane, read by any thread.
#pragma once

#include <array>

#include "core/probe.h"
#include "core/stats.h"

namespace watchwheel::checker {

enum class DnsQueryResult : std::uint8_t { Ok, Nxdomain, Nodata, Servfail, Refused, Timeout, Malformed, Unreachable };
inline constexpr std::size_t kDnsQueryResultCount = 8;

// The phases that have a duration of their own: dns, connect, tls, first_byte, transfer.
inline constexpr std::array<std::string_view, 5> kTimedPhases{"dns", "connect", "tls", "first_byte", "transfer"};

// Who spoke HTTP (exchange_router.h).
enum class ExchangedBy : std::uint8_t { Direct, Curl };
inline constexpr std::array<std::string_view, 2> kExchangedBy{"direct", "curl"};

struct Stats {
  std::array<core::Counter, core::kCauseCount> results;  // By cause; Ok among them.
  core::Histogram duration;
  std::array<core::Histogram, kTimedPhases.size()> phase_duration;
  std::array<core::Counter, kDnsQueryResultCount> dns_queries;
  core::Counter dns_cache_hits;
  core::Gauge dns_cache_entries;
  core::Counter tls_chain_hits;  // Handshakes whose certificate chain was verified before, and those for which it had to be.
  core::Counter tls_chain_misses;
  core::Gauge tls_chain_entries;
  // Times a store of trusted certificates, or the secrets and client certificate of a plan, had changed on disk and were read
  // again, or could not be.
  core::Counter trust_reloads;
  core::Counter trust_reload_failures;
  core::Counter dials_without_port;  // Every ephemeral port was taken, for their destination.
  std::array<core::Counter, kExchangedBy.size()> exchanges;  // Begun: each hop is one.
  [[nodiscard]] core::Counter& exchange(ExchangedBy by) { return exchanges[static_cast<std::size_t>(by)]; }
  core::Gauge in_flight;
  core::Gauge judging;             // Answers away at the judge's thread.
  core::Gauge kept_body_bytes;     // For expressions and JSON, when one was last judged.
  core::Counter bodies_not_kept;   // There was no room for them.
};

}  // namespace watchwheel::checker
