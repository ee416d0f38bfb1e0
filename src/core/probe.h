// SPDX-License-Identifier: Apache-2.0
// core/probe.h - what one attempt saw: a fact, never edited. The words are those of the public
// interface.
//
// A ProbeResult is a value: copied, compared, logged, sent over rings.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/probe_trace.h"

namespace watchwheel::core {

enum class Outcome : std::uint8_t {
  Up,
  Down,
  NotMeasured,  // *We* could not look. Nothing is said about the site.
};

// Where a probe ended.
enum class Phase : std::uint8_t { Dns, Connect, Tls, Request, FirstByte, Body, Content, Done };

// The closed list of why. The order groups them by phase; to_string gives the public name
// ("tls_cert_expired").
enum class Cause : std::uint8_t {
  Ok,
  // dns
  DnsNxdomain, DnsNoAddress, DnsServfail, DnsRefused, DnsTimeout, DnsMalformed,
  // connect
  ConnectRefused, ConnectReset, ConnectTimeout, ConnectUnreachable,
  // tls
  TlsHandshake, TlsProtocol, TlsTimeout, TlsCertExpired, TlsCertNotYetValid, TlsCertHostname, TlsCertSelfSigned, TlsCertUntrusted,
  // request, first_byte
  HttpTimeout, HttpClosed, HttpMalformed, HttpStatus, RedirectTooMany, RedirectRefused, RedirectInvalid,
  // body
  BodyTimeout, BodyTruncated, BodyMalformed,
  // content
  KeywordMissing, KeywordForbidden, ContentErrorPage, ContentJson, ContentHeader, ContentSize,
  // not_measured: ours
  AddressBlocked, TargetInvalid, LocalOverload, LocalResources, LocalNetwork, ResolverUnreachable, Cancelled,
};
inline constexpr std::size_t kCauseCount = static_cast<std::size_t>(Cause::Cancelled) + 1;

enum class Warning : std::uint8_t { TlsExpiring, TlsDeprecated, LatencyExceeded, RedirectDowngrade };

[[nodiscard]] std::string_view to_string(Outcome outcome);
[[nodiscard]] std::string_view to_string(Phase phase);
[[nodiscard]] std::string_view to_string(Cause cause);
[[nodiscard]] std::string_view to_string(Warning warning);
[[nodiscard]] std::optional<Cause> parse_cause(std::string_view name);
[[nodiscard]] std::optional<Outcome> parse_outcome(std::string_view name);
[[nodiscard]] std::optional<Phase> parse_phase(std::string_view name);

// Each cause has one outcome: Ok is Up, ours are NotMeasured, all others Down. So a result cannot
// contradict itself.
[[nodiscard]] Outcome outcome_of(Cause cause);

// The warning steps before a certificate ends: 30, 14 or 7 (also when it has ended), or 0 when there is more time than that.
[[nodiscard]] int expiry_step_days(WallTime not_after, WallTime now);

// A set of warnings.
class Warnings {
 public:
  void add(Warning w) { bits_ = static_cast<std::uint8_t>(bits_ | (1U << static_cast<unsigned>(w))); }
  [[nodiscard]] bool has(Warning w) const { return (bits_ >> static_cast<unsigned>(w)) & 1U; }
  [[nodiscard]] bool empty() const { return bits_ == 0; }
  friend bool operator==(Warnings, Warnings) = default;

 private:
  std::uint8_t bits_ = 0;
};

// What the TLS handshake of the last hop showed.
struct TlsFacts {
  std::string version;  // "TLSv1.3"
  std::string cipher;
  std::string issuer;   // Names as RFC 4514 text, at most 512 bytes each.
  std::string subject;
  std::vector<std::string> sans;  // At most 32, each at most 256 bytes.
  std::string key_type;           // "EC 256", "RSA 2048"
  WallTime not_before = kNoWallTime;
  WallTime not_after = kNoWallTime;
  std::array<std::uint8_t, 32> fingerprint{};  // SHA-256 of the leaf's DER.
  // The certificates above the leaf as the server sent them, at most 8: "subject; issued by issuer; until TIME".
  std::vector<std::string> chain;

  friend bool operator==(const TlsFacts&, const TlsFacts&) = default;
};

struct ProbeResult {
  Cause cause = Cause::Cancelled;
  Phase phase = Phase::Dns;
  Warnings warnings;
  std::uint16_t http_status = 0;      // 0: none seen.
  std::uint16_t addresses_tried = 0;  // On the last hop.
  std::uint16_t redirects = 0;        // Followed.
  std::uint32_t body_bytes = 0;       // Read, after decompression.
  WallTime started_at = kNoWallTime;
  SteadyTime started = kNoSteadyTime;
  Timings timings;
  // From the start of the check until its last request could be sent: waiting for its turn, names, connections and hops before
  // included. Nothing: no server was asked.
  std::optional<Duration> asked;
  std::string detail;     // For a person, at most 512 bytes, never credentials or query strings. Empty for a plain Ok.
  std::string address;    // The last one connected or tried, "" when none.
  std::string final_url;  // "" when it is the URL asked for.
  std::shared_ptr<const TlsFacts> tls;  // Of the last hop. Null when it showed no certificate. Shared: most checks of a site show the same.
  std::shared_ptr<const ProbeTrace> trace;  // Null unless the checker was asked for it (checker::Settings::trace).

  [[nodiscard]] Outcome outcome() const { return outcome_of(cause); }
};

}  // namespace watchwheel::core
