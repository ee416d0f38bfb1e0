// SPDX-License-Identifier: Apache-2.0
#include "app/result_json.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "app/problem.h"

namespace watchwheel::app {
namespace {

using Json = nlohmann::ordered_json;  // The order of the reference is the order of reading.

constexpr std::array kWarnings{core::Warning::TlsExpiring, core::Warning::TlsDeprecated,
                               core::Warning::LatencyExceeded, core::Warning::RedirectDowngrade};

// Milliseconds with three decimals: what is measured, and short to read.
double rounded_ms(core::Duration d) {
  return std::round(core::to_ms(d) * 1000) / 1000;
}

Json ms_or_null(const std::optional<core::Duration>& d) {
  return d ? Json(rounded_ms(*d)) : Json();
}
Json text_or_null(std::string_view text) {
  return text.empty() ? Json() : Json(text);
}
Json time_or_null(core::WallTime t) {
  return t == core::kNoWallTime ? Json() : Json(core::to_iso8601(t));
}

// Whole days until `t`, or negative since; a part of a day does not count.
std::int64_t days_until(core::WallTime t, core::WallTime now) {
  return std::chrono::duration_cast<std::chrono::days>(t - now).count();
}

// Certificates know no fractions of a second.
std::string certificate_time(core::WallTime t) {
  std::string text = core::to_iso8601(t);
  return text.ends_with(".000Z") ? text.substr(0, text.size() - 5) + "Z" : text;
}
Json certificate_time_or_null(core::WallTime t) {
  return t == core::kNoWallTime ? Json() : Json(certificate_time(t));
}

std::string hex(const std::array<std::uint8_t, 32>& bytes) {
  static constexpr std::array<char, 17> kHex{"0123456789abcdef"};
  std::string out;
  for (const std::uint8_t b : bytes) {
    out += kHex[b >> 4U];
    out += kHex[b & 15U];
  }
  return out;
}

Json tls_json(const core::ProbeResult& result) {
  if (!result.tls) return {};
  const core::TlsFacts& tls = *result.tls;
  const bool dated = tls.not_after != core::kNoWallTime;
  return {{"version", text_or_null(tls.version)},
          {"not_after", certificate_time_or_null(tls.not_after)},
          {"days_left", dated ? Json(days_until(tls.not_after, result.started_at)) : Json()},
          {"issuer", tls.issuer},
          {"subject", tls.subject},
          {"not_before", certificate_time_or_null(tls.not_before)},
          {"sans", tls.sans},
          {"key_type", text_or_null(tls.key_type)},
          {"cipher", text_or_null(tls.cipher)},
          {"fingerprint_sha256", hex(tls.fingerprint)}};
}

// The output of a check lands in tickets and build logs; a password in the URL must not.
std::string without_userinfo(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return std::string(url);
  const std::size_t from = scheme + 3;
  const std::size_t end = std::min(url.find_first_of("/?#", from), url.size());
  const std::size_t at = url.substr(0, end).rfind('@');
  if (at == std::string_view::npos || at < from) return std::string(url);
  return std::string(url.substr(0, from)) + std::string(url.substr(at + 1));
}

std::string shown_ms(core::Duration d) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%.1f ms", core::to_ms(d));
  return text.data();
}

void line(std::string& out, std::string_view label, std::string_view value) {
  std::string padded(label);
  padded.resize(std::max<std::size_t>(padded.size(), 14), ' ');
  out += "  " + padded + " " + printable(value, 1024) + "\n";
}

void add_timings(std::string& out, const core::Timings& timings) {
  const std::array<std::pair<std::string_view, std::optional<core::Duration>>, 5> phases{
      {{"dns", timings.dns},
       {"connect", timings.connect},
       {"tls", timings.tls},
       {"first byte", timings.first_byte},
       {"transfer", timings.transfer}}};
  for (const auto& [name, took] : phases) line(out, name, took ? shown_ms(*took) : "-");
  line(out, "total", shown_ms(timings.total));
}

void add_certificate(std::string& out, const core::ProbeResult& result, bool verbose) {
  const core::TlsFacts& tls = *result.tls;
  std::string validity = tls.version;
  if (tls.not_after != core::kNoWallTime) {
    const std::int64_t days = days_until(tls.not_after, result.started_at);
    validity += ", certificate until " + certificate_time(tls.not_after);
    validity += tls.not_after < result.started_at
                    ? " (expired " + std::to_string(-days) + " days ago)"
                    : " (" + std::to_string(days) + " days left)";
  }
  line(out, "tls", validity);
  if (!verbose) return;
  line(out, "subject", tls.subject);
  line(out, "issuer", tls.issuer);
  std::string names;
  for (const std::string& san : tls.sans) names += (names.empty() ? "" : ", ") + san;
  line(out, "names", names);
  line(out, "key", tls.key_type);
  line(out, "cipher", tls.cipher);
  line(out, "sha256", hex(tls.fingerprint));
}

}  // namespace

std::string result_json(std::string_view url, const core::ProbeResult& result) {
  Json warnings = Json::array();
  for (const core::Warning warning : kWarnings) {
    if (result.warnings.has(warning)) warnings.push_back(core::to_string(warning));
  }
  const core::Timings& t = result.timings;
  const std::string shown = without_userinfo(url);
  const Json json{
      {"url", shown},
      {"outcome", core::to_string(result.outcome())},
      {"cause", core::to_string(result.cause)},
      {"detail", result.detail},
      {"phase", core::to_string(result.phase)},
      {"http_status", result.http_status == 0 ? Json() : Json(result.http_status)},
      {"address", text_or_null(result.address)},
      {"addresses_tried", result.addresses_tried},
      {"redirects", result.redirects},
      {"final_url", result.final_url.empty() ? shown : without_userinfo(result.final_url)},
      {"started_at", time_or_null(result.started_at)},
      {"timings_ms",
       {{"dns", ms_or_null(t.dns)},
        {"connect", ms_or_null(t.connect)},
        {"tls", ms_or_null(t.tls)},
        {"first_byte", ms_or_null(t.first_byte)},
        {"transfer", ms_or_null(t.transfer)},
        {"total", rounded_ms(t.total)}}},
      {"tls", tls_json(result)},
      {"body_bytes", result.body_bytes},
      {"warnings", warnings}};
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string result_text(std::string_view url, const core::ProbeResult& result, bool verbose) {
  std::string out = printable(without_userinfo(url), 2048) + ": " +
                    std::string(core::to_string(result.outcome()));
  if (result.cause != core::Cause::Ok) {
    out += ", " + std::string(core::to_string(result.cause)) + " (ended in phase " +
           std::string(core::to_string(result.phase)) + ")";
  }
  out += "\n";
  if (!result.detail.empty()) line(out, "detail", result.detail);
  if (result.http_status != 0) line(out, "http status", std::to_string(result.http_status));
  if (!result.address.empty()) line(out, "address", result.address);
  if (result.redirects != 0)
    line(out, "redirects",
         std::to_string(result.redirects) + ", to " + without_userinfo(result.final_url));
  add_timings(out, result.timings);
  if (result.tls) add_certificate(out, result, verbose);
  if (verbose) {
    line(out, "started", core::to_iso8601(result.started_at));
    line(out, "tried",
         std::to_string(result.addresses_tried) +
             (result.addresses_tried == 1 ? " address" : " addresses"));
    line(out, "body", std::to_string(result.body_bytes) + " bytes");
  }
  for (const core::Warning warning : kWarnings) {
    if (result.warnings.has(warning)) line(out, "warning", core::to_string(warning));
  }
  return out;
}

}  // namespace watchwheel::app
