// SPDX-License-Identifier: Apache-2.0
#include "core/probe.h"

#include "core/ensure.h"

namespace watchwheel::core {
namespace {

// In the order of the enumerations.
constexpr std::array<std::string_view, 3> kOutcomes{"up", "down", "not_measured"};
constexpr std::array<std::string_view, 8> kPhases{"dns", "connect", "tls", "request", "first_byte", "body", "content", "done"};
constexpr std::array<std::string_view, 4> kWarnings{"tls_expiring", "tls_deprecated", "latency_exceeded", "redirect_downgrade"};
constexpr std::array<std::string_view, kCauseCount> kCauses{
    "ok",
    "dns_nxdomain", "dns_no_address", "dns_servfail", "dns_refused", "dns_timeout", "dns_malformed",
    "connect_refused", "connect_reset", "connect_timeout", "connect_unreachable",
    "tls_handshake", "tls_protocol", "tls_timeout", "tls_cert_expired", "tls_cert_not_yet_valid", "tls_cert_hostname",
    "tls_cert_self_signed", "tls_cert_untrusted",
    "http_timeout", "http_closed", "http_malformed", "http_status", "redirect_too_many", "redirect_refused", "redirect_invalid",
    "body_timeout", "body_truncated", "body_malformed",
    "keyword_missing", "keyword_forbidden", "content_error_page", "content_json", "content_header", "content_size",
    "address_blocked", "target_invalid", "local_overload", "local_resources", "local_network", "resolver_unreachable",
    "cancelled"};

template <typename Enum, std::size_t N>
std::string_view name_of(const std::array<std::string_view, N>& names, Enum value) {
  const auto index = static_cast<std::size_t>(value);
  ENSURE(index < N, "an enumerator outside its list");
  return names[index];
}

template <typename Enum, std::size_t N>
std::optional<Enum> value_of(const std::array<std::string_view, N>& names, std::string_view name) {
  for (std::size_t i = 0; i < N; ++i) {
    if (names[i] == name) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

}  // namespace

std::string_view to_string(Outcome outcome) { return name_of(kOutcomes, outcome); }
std::string_view to_string(Phase phase) { return name_of(kPhases, phase); }
std::string_view to_string(Cause cause) { return name_of(kCauses, cause); }
std::string_view to_string(Warning warning) { return name_of(kWarnings, warning); }
std::optional<Cause> parse_cause(std::string_view name) { return value_of<Cause>(kCauses, name); }
std::optional<Outcome> parse_outcome(std::string_view name) { return value_of<Outcome>(kOutcomes, name); }
std::optional<Phase> parse_phase(std::string_view name) { return value_of<Phase>(kPhases, name); }

Outcome outcome_of(Cause cause) {
  if (cause == Cause::Ok) return Outcome::Up;
  return cause >= Cause::AddressBlocked ? Outcome::NotMeasured : Outcome::Down;
}

int expiry_step_days(WallTime not_after, WallTime now) {
  if (not_after == kNoWallTime) return 0;
  for (const int days : {7, 14, 30}) {
    if (not_after - now <= std::chrono::hours{24 * days}) return days;
  }
  return 0;
}

}  // namespace watchwheel::core
