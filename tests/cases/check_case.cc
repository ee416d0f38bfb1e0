// SPDX-License-Identifier: Apache-2.0
#include "cases/check_case.h"

#include <array>

namespace watchwheel::testing {
namespace {

using core::Cause;
using core::Phase;

constexpr std::array kWarnings{core::Warning::TlsExpiring, core::Warning::TlsDeprecated,
                               core::Warning::LatencyExceeded, core::Warning::RedirectDowngrade};

std::string names_of(const core::Warnings& warnings) {
  std::string names;
  for (const core::Warning w : kWarnings)
    if (warnings.has(w)) names += " " + std::string(to_string(w));
  return names;
}

std::string text(Cause cause, Phase phase, std::uint16_t status, const core::Warnings& warnings) {
  std::string out = std::string(to_string(cause)) + " at " + std::string(to_string(phase));
  if (status != 0) out += ", status " + std::to_string(status);
  if (!warnings.empty()) out += ", warnings" + names_of(warnings);
  return out;
}

core::Warnings set_of(const std::vector<core::Warning>& list) {
  core::Warnings set;
  for (const core::Warning w : list) set.add(w);
  return set;
}

}  // namespace

std::string describe(const CheckCase& expected) {
  std::string out =
      text(expected.cause, expected.phase, expected.http_status, set_of(expected.warnings));
  if (!expected.detail.empty()) out += ", detail with \"" + expected.detail + "\"";
  return out;
}

std::string mismatch(const CheckCase& expected, const core::ProbeResult& got) {
  const bool is_right = got.cause == expected.cause && got.phase == expected.phase &&
                        (expected.http_status == 0 || got.http_status == expected.http_status) &&
                        got.warnings == set_of(expected.warnings) &&
                        got.detail.find(expected.detail) != std::string::npos;
  if (is_right) return "";
  return "got " + text(got.cause, got.phase, got.http_status, got.warnings) + ", detail \"" +
         got.detail + "\"";
}

bool is_our_haste(const CheckCase& expected, Cause got) {
  return got != expected.cause && (got == Cause::LocalOverload || got == Cause::LocalResources);
}

const std::vector<UncausedFromOutside>& causes_without_cases() {
  static const std::vector<UncausedFromOutside> causes{
      {Cause::LocalOverload,
       "the whole time has to be gone before it begins: tests/integration/checker/causes_test.cc"},
      {Cause::LocalResources,
       "this process has to be out of descriptors: tests/integration/checker/causes_test.cc"},
      {Cause::Cancelled,
       "who asked has to change his mind: tests/integration/checker/causes_test.cc"},
  };
  return causes;
}

bool phase_fits(Cause cause, Phase phase) {
  if (cause == Cause::Ok) return phase == Phase::Done;
  if (cause <= Cause::DnsMalformed) return phase == Phase::Dns;
  if (cause <= Cause::ConnectUnreachable) return phase == Phase::Connect;
  if (cause <= Cause::TlsCertUntrusted) return phase == Phase::Tls;
  if (cause <= Cause::RedirectInvalid) return phase == Phase::Request || phase == Phase::FirstByte;
  if (cause <= Cause::BodyMalformed) return phase == Phase::Body;
  if (cause <= Cause::ContentSize) return phase == Phase::Content;
  if (cause == Cause::ResolverUnreachable) return phase == Phase::Dns;
  return true;  // Ours: wherever it struck.
}

core::CheckOptions case_defaults() {
  core::CheckOptions options;
  options.timeout = std::chrono::seconds{3};
  options.connect_timeout = std::chrono::seconds{2};
  return options;
}

core::SiteOptions on_loopback(core::SiteOptions options) {
  options.emplace_back("allow", "127.0.0.0/8\n::1/128");
  return options;
}

// Grows with the files of this folder.
const std::vector<NamedArea>& case_areas() {
  static const std::vector<NamedArea> areas{
      {"dns", dns_cases},
      {"connect", connect_cases},
      {"guard", guard_cases},
      {"tls", tls_cases},
      {"http", http_cases},
      {"content", content_cases},
      {"server", server_cases},
  };
  return areas;
}

}  // namespace watchwheel::testing
