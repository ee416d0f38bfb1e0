// SPDX-License-Identifier: Apache-2.0
#include "app/result_json.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "app/result_words.h"
#include "core/hex.h"

namespace watchwheel::app {
namespace {

using Json = nlohmann::ordered_json;  // The order of the reference is the order of reading.

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

Json certificate_time_or_null(core::WallTime t) {
  return t == core::kNoWallTime ? Json() : Json(certificate_time(t));
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
          {"fingerprint_sha256", core::to_hex(tls.fingerprint)},
          {"chain", tls.chain},
          {"expiry_step_days",
           dated ? Json(core::expiry_step_days(tls.not_after, result.started_at)) : Json()}};
}

Json timings_json(const core::Timings& t) {
  return {{"dns", ms_or_null(t.dns)},           {"connect", ms_or_null(t.connect)},
          {"tls", ms_or_null(t.tls)},           {"first_byte", ms_or_null(t.first_byte)},
          {"transfer", ms_or_null(t.transfer)}, {"total", rounded_ms(t.total)}};
}

Json tries_json(const std::vector<core::AddressTry>& tries) {
  Json list = Json::array();
  for (const core::AddressTry& tried : tries) {
    list.push_back({{"address", tried.address},
                    {"after_ms", rounded_ms(tried.after)},
                    {"result", tried.result}});
  }
  return list;
}

Json hop_json(const core::HopTrace& hop, bool headers) {
  Json json{{"url", without_userinfo(hop.url)},
            {"http_status", hop.status == 0 ? Json() : Json(hop.status)},
            {"http_version", text_or_null(hop.http_version)},
            {"resolved", hop.addresses},
            {"dns_cached", hop.dns_cached},
            {"addresses", tries_json(hop.tries)},
            {"timings_ms", timings_json(hop.timings)}};
  if (headers) {
    json["request"] = hop.request;
    json["response"] = hop.response;
  }
  return json;
}

}  // namespace

std::string result_json(std::string_view url, const core::ProbeResult& result, bool headers) {
  Json warnings = Json::array();
  for (const core::Warning warning : kWarnings) {
    if (result.warnings.has(warning)) warnings.push_back(core::to_string(warning));
  }
  Json hops = Json::array();
  if (result.trace) {
    for (const core::HopTrace& hop : result.trace->hops) hops.push_back(hop_json(hop, headers));
  }
  const bool walked = !hops.empty();
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
      {"timings_ms", timings_json(result.timings)},
      {"tls", tls_json(result)},
      {"body_bytes", result.body_bytes},
      {"warnings", warnings},
      {"hops", hops},
      {"addresses", walked ? tries_json(result.trace->hops.back().tries) : Json::array()},
      {"findings", result.trace ? Json(result.trace->findings) : Json::array()}};
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace watchwheel::app
