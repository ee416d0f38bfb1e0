// SPDX-License-Identifier: Apache-2.0
#include "app/result_words.h"

#include <algorithm>

#include "core/ensure.h"

namespace watchwheel::app {
namespace {

using core::Cause;

struct Words {
  Cause cause;
  std::string_view text;
};

// In the order of the enumeration.
constexpr std::array<Words, core::kCauseCount> kCauseWords{{
    {Cause::Ok, "the site is as it should be"},
    {Cause::DnsNxdomain, "the name does not exist"},
    {Cause::DnsNoAddress, "the name has no address of the wanted family"},
    {Cause::DnsServfail, "the name's servers fail to answer"},
    {Cause::DnsRefused, "the resolver refuses to answer for this name"},
    {Cause::DnsTimeout, "the name's servers do not answer in time"},
    {Cause::DnsMalformed, "the name's servers answer what cannot be read"},
    {Cause::ConnectRefused, "nobody listens: the connection was refused"},
    {Cause::ConnectReset, "the connection was reset before anything was sent"},
    {Cause::ConnectTimeout, "the connection was not accepted in time"},
    {Cause::ConnectUnreachable, "the network does not lead there"},
    {Cause::TlsHandshake, "the server broke off the TLS handshake"},
    {Cause::TlsProtocol, "no common TLS version, or what answers is not TLS"},
    {Cause::TlsTimeout, "the TLS handshake did not end in time"},
    {Cause::TlsCertExpired, "a certificate has expired"},
    {Cause::TlsCertNotYetValid, "a certificate is not valid yet"},
    {Cause::TlsCertHostname, "the certificate is for other names"},
    {Cause::TlsCertSelfSigned, "the certificate is signed by itself alone"},
    {Cause::TlsCertUntrusted, "nobody we trust vouches for the certificate"},
    {Cause::HttpTimeout, "no complete answer in time"},
    {Cause::HttpClosed, "the connection ended before the answer"},
    {Cause::HttpMalformed, "the answer is not proper HTTP"},
    {Cause::HttpStatus, "the status is not an expected one"},
    {Cause::RedirectTooMany, "too many redirects"},
    {Cause::RedirectRefused, "a redirect leads where the policy forbids"},
    {Cause::RedirectInvalid, "a redirect leads nowhere that can be asked"},
    {Cause::BodyTimeout, "the body did not come in time"},
    {Cause::BodyTruncated, "the body ended early"},
    {Cause::BodyMalformed, "the body's framing or compression is broken"},
    {Cause::KeywordMissing, "a text that must be in the body is not"},
    {Cause::KeywordForbidden, "a text that must not be in the body is"},
    {Cause::ContentErrorPage, "the page only says that there is an error"},
    {Cause::ContentJson, "the JSON does not hold what it must"},
    {Cause::ContentHeader, "a response header is not as it must be"},
    {Cause::ContentSize, "the body is smaller or larger than it must be"},
    {Cause::AddressBlocked, "the address guard lets no address of it through"},
    {Cause::TargetInvalid, "the URL cannot be asked"},
    {Cause::LocalOverload, "this machine was too busy for the check"},
    {Cause::LocalResources, "this machine had not the means to find out"},
    {Cause::LocalNetwork, "this machine has no network or no route"},
    {Cause::ResolverUnreachable, "no resolver gives an answer that can be heard"},
    {Cause::Cancelled, "the check was cancelled"},
}};

std::string days_words(std::int64_t days) {
  return std::to_string(days) + (days == 1 ? " day" : " days");
}

}  // namespace

std::string_view cause_words(core::Cause cause) {
  const auto index = static_cast<std::size_t>(cause);
  ENSURE(index < kCauseWords.size() && kCauseWords[index].cause == cause,
         "a cause outside its list");
  return kCauseWords[index].text;
}

std::string warning_words(core::Warning warning, const core::ProbeResult& result) {
  switch (warning) {
    case core::Warning::TlsExpiring: {
      if (!result.tls) return "the certificate ends soon";
      const std::int64_t days = days_until(result.tls->not_after, result.started_at);
      const int step = core::expiry_step_days(result.tls->not_after, result.started_at);
      if (result.tls->not_after < result.started_at) return "the certificate has expired";
      return "the certificate ends in " + days_words(days) + ", within the step of " +
             std::to_string(step);
    }
    case core::Warning::TlsDeprecated:
      return (result.tls ? result.tls->version : std::string("the version")) +
             " was agreed on; what is below TLS 1.2 is deprecated";
    case core::Warning::LatencyExceeded:
      return "the check took longer than latency_warning allows";
    case core::Warning::RedirectDowngrade:
      return "a redirect led from https to http";
  }
  ENSURE(false, "a warning outside its list");
}

std::int64_t days_until(core::WallTime t, core::WallTime now) {
  return std::chrono::duration_cast<std::chrono::days>(t - now).count();
}

std::string certificate_time(core::WallTime t) {
  std::string text = core::to_iso8601(t);
  return text.ends_with(".000Z") ? text.substr(0, text.size() - 5) + "Z" : text;
}

std::string without_userinfo(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return std::string(url);
  const std::size_t from = scheme + 3;
  const std::size_t end = std::min(url.find_first_of("/?#", from), url.size());
  const std::size_t at = url.substr(0, end).rfind('@');
  if (at == std::string_view::npos || at < from) return std::string(url);
  return std::string(url.substr(0, from)) + std::string(url.substr(at + 1));
}

}  // namespace watchwheel::app
