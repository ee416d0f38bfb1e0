// SPDX-License-Identifier: Apache-2.0
#include "verify/wire.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/units.h"

namespace watchwheel::verify {
namespace {

using core::CheckOptions;
using nlohmann::json;

constexpr std::size_t kTextBytesMost = 512;

// As RFC 3629 has it: no overlong forms, no surrogates, nothing beyond U+10FFFF.
bool is_utf8(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  for (std::size_t i = 0; i < text.size();) {
    const unsigned char first = byte(i);
    const std::size_t more = first < 0x80 ? 0 : first < 0xC2 ? 4 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : first < 0xF5 ? 3 : 4;
    if (more == 4 || text.size() - i <= more) return false;
    for (std::size_t k = 1; k <= more; ++k) {
      if ((byte(i + k) & 0xC0U) != 0x80) return false;
    }
    const unsigned char second = more > 0 ? byte(i + 1) : 0;
    if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
        (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F))
      return false;
    i += more + 1;
  }
  return true;
}

// Nothing that we say to each other is deeper. Deeper values are passed over as they are read, so that eight million brackets are no
// memory.
constexpr int kDepthMost = 8;

json parse_shallow(std::string_view text) {
  return json::parse(
      text, [](int depth, json::parse_event_t, json&) { return depth <= kDepthMost; }, false);
}

core::Error invalid(std::string message) {
  return core::Error{core::ErrorKind::Invalid, std::move(message)};
}

std::string lines(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : "\n") + text;
  return out;
}

std::string lines(const std::vector<core::Header>& headers) {
  std::string out;
  for (const core::Header& header : headers)
    out += (out.empty() ? "" : "\n") + header.name + ": " + header.value;
  return out;
}

std::string flag(bool on) {
  return on ? "true" : "false";
}

std::string text_of(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string shortened(std::string text) {
  if (text.size() > kTextBytesMost) text.resize(kTextBytesMost);
  return text;
}

core::Result<Ask> ask_from(const json& value) {
  if (!value.is_object()) return invalid("a check is no JSON object");
  Ask ask{.id = text_of(value, "id"), .url = text_of(value, "url"), .options = {}};
  if (ask.id.empty() || ask.id.size() > kIdBytesMost)
    return invalid("a check needs an id: a text of 1 to 64 bytes");
  if (ask.url.empty()) return invalid("check " + ask.id + " has no url");
  const auto options = value.find("options");
  if (options == value.end()) return ask;
  if (!options->is_object()) return invalid("check " + ask.id + ": options is no JSON object");
  for (const auto& [name, text] : options->items()) {
    if (!text.is_string())
      return invalid("check " + ask.id + ": option " + name + " is not a text");
    ask.options.emplace_back(name, text.get<std::string>());
  }
  return ask;
}

std::optional<Answer> answer_from(const json& value) {
  if (!value.is_object()) return std::nullopt;
  const auto cause = core::parse_cause(text_of(value, "cause"));
  const auto phase = core::parse_phase(text_of(value, "phase"));
  Answer answer{.id = text_of(value, "id"),
                .cause = cause.value_or(core::Cause::Cancelled),
                .phase = phase.value_or(core::Phase::Dns),
                .detail = shortened(text_of(value, "detail")),
                .address = shortened(text_of(value, "address"))};
  if (!cause || answer.id.empty()) return std::nullopt;
  const auto status = value.find("http_status");
  if (status != value.end() && status->is_number_unsigned())
    answer.http_status =
        static_cast<std::uint16_t>(std::min<std::uint64_t>(status->get<std::uint64_t>(), 999));
  return answer;
}

}  // namespace

core::SiteOptions options_to_send(const CheckOptions& o, bool own_resolvers) {
  static const CheckOptions kDefaults;
  core::SiteOptions out;
  const auto add = [&](std::string_view name, const auto& value, const auto& usual, auto text) {
    if (!(value == usual)) out.emplace_back(name, text(value));
  };
  const auto as_is = [](const std::string& text) { return text; };
  const auto as_lines = [](const auto& list) { return lines(list); };
  const auto as_number = [](auto n) { return std::to_string(n); };
  const auto as_duration = [](core::Duration d) { return core::format_duration(d); };
  const auto as_word = [](auto word) { return std::string(core::to_string(word)); };
  const CheckOptions& d = kDefaults;
  add("body", o.body, d.body, as_is);
  add("body_match", o.body_match, d.body_match, as_lines);
  add("body_not_match", o.body_not_match, d.body_not_match, as_lines);
  add("connect_timeout", o.connect_timeout, d.connect_timeout, as_duration);
  add("detect_error_pages", o.detect_error_pages, d.detect_error_pages, flag);
  add("exchange", o.exchange, d.exchange, as_is);
  add("expect_header", o.expect_header, d.expect_header, as_lines);
  add("expect_status", o.expect_status, d.expect_status, core::format_status_ranges);
  add("forbidden", o.forbidden, d.forbidden, as_lines);
  add("header", o.headers, d.headers, as_lines);
  add("http_version", o.http_version, d.http_version, as_is);
  add("ignore_case", o.ignore_case, d.ignore_case, flag);
  add("ip", o.ip, d.ip, as_word);
  add("json_equals", o.json_equals, d.json_equals, as_lines);
  add("keyword", o.keyword, d.keyword, as_lines);
  add("latency_warning", o.latency_warning, d.latency_warning, as_duration);
  add("max_body", o.max_body_bytes, d.max_body_bytes, as_number);
  add("max_redirects", o.max_redirects, d.max_redirects, as_number);
  add("method", o.method, d.method, as_is);
  add("redirects", o.redirects, d.redirects, as_word);
  if (own_resolvers) add("resolver", o.resolvers, d.resolvers, as_lines);
  add("size_max", o.size_max_bytes, d.size_max_bytes, as_number);
  add("size_min", o.size_min_bytes, d.size_min_bytes, as_number);
  add("timeout", o.timeout, d.timeout, as_duration);
  add("tls_min", o.tls_min, d.tls_min, as_is);
  add("tls_verify", o.tls_verify, d.tls_verify, flag);
  add("user_agent", o.user_agent, d.user_agent, as_is);
  return out;
}

std::string_view bound_to_here(const CheckOptions& options) {
  if (!options.ca_file.empty()) return "ca_file";
  if (!options.client_cert_file.empty()) return "client_cert_file";
  if (!options.client_key_file.empty()) return "client_key_file";
  if (!options.auth_password_file.empty()) return "auth_password_file";
  if (!options.bearer_token_file.empty()) return "bearer_token_file";
  return "";
}

bool can_be_sent(std::string_view url, const CheckOptions& options) {
  const core::SiteOptions sent = options_to_send(options, true);
  return is_utf8(url) && std::all_of(sent.begin(), sent.end(),
                                     [](const auto& option) { return is_utf8(option.second); });
}

std::string encode(const Request& request) {
  json checks = json::array();
  for (const Ask& ask : request.checks) {
    json options = json::object();
    for (const auto& [name, text] : ask.options) options[name] = text;
    checks.push_back({{"id", ask.id}, {"url", ask.url}, {"options", std::move(options)}});
  }
  const auto ms = core::duration_cast<std::chrono::milliseconds>(request.deadline).count();
  return json{{"deadline_ms", ms}, {"checks", std::move(checks)}}.dump(
      -1, ' ', false, json::error_handler_t::replace);
}

core::Result<Request> decode_request(std::string_view body, std::size_t batch_max) {
  const json value = parse_shallow(body);
  if (!value.is_object()) return invalid("the body is no JSON object");
  Request request;
  if (const auto ms = value.find("deadline_ms"); ms != value.end()) {
    constexpr auto kMost =
        static_cast<std::uint64_t>(core::duration_cast<std::chrono::milliseconds>(kDeadlineMost).count());
    if (!ms->is_number_unsigned() || ms->get<std::uint64_t>() > kMost)
      return invalid("deadline_ms is no whole number of milliseconds up to 300000");
    request.deadline = std::max<core::Duration>(
        std::chrono::milliseconds{ms->get<std::int64_t>()}, kDeadlineLeast);
  }
  const auto checks = value.find("checks");
  if (checks == value.end() || !checks->is_array() || checks->empty())
    return invalid("checks is missing: a list of at least one");
  if (checks->size() > batch_max)
    return invalid("the batch has " + std::to_string(checks->size()) + " checks; at most " +
                   std::to_string(batch_max));
  for (const json& one : *checks) {
    auto ask = ask_from(one);
    if (!ask) return ask.error();
    request.checks.push_back(*std::move(ask));
  }
  return request;
}

std::string encode_reply(std::string_view name, std::string_view region,
                         const std::vector<std::string>& ids,
                         const std::vector<std::string>& results) {
  const auto dumped = [](const json& value) {
    return value.dump(-1, ' ', false, json::error_handler_t::replace);
  };
  std::string out =
      "{\"vantage\": " + dumped({{"name", name}, {"region", region}}) + ",\n\"results\": [";
  for (std::size_t i = 0; i < results.size(); ++i) {
    out += i == 0 ? "\n" : ",\n";
    out += "{\"id\": " + dumped(json(ids[i])) + ",";
    out.append(results[i], 1);  // After its brace.
  }
  return out + "]}\n";
}

core::Result<Reply> decode_reply(std::string_view body) {
  const json value = parse_shallow(body);
  if (!value.is_object()) return invalid("the answer is no JSON object");
  Reply reply;
  if (const auto vantage = value.find("vantage"); vantage != value.end() && vantage->is_object()) {
    reply.name = shortened(text_of(*vantage, "name"));
    reply.region = shortened(text_of(*vantage, "region"));
  }
  const auto results = value.find("results");
  if (results == value.end() || !results->is_array())
    return invalid("the answer has no list of results");
  for (const json& one : *results) {
    if (auto answer = answer_from(one)) reply.answers.push_back(*std::move(answer));
  }
  return reply;
}

}  // namespace watchwheel::verify
