// SPDX-License-Identifier: Apache-2.0
#include "app/config_keys.h"

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

#include "checker/address.h"
#include "checker/target.h"
#include "core/buckets.h"
#include "core/site.h"
#include "core/units.h"
#include "db/legacy_mapping.h"
#include "db/store_url.h"

namespace watchwheel::app {
namespace {

using core::Error;
using core::ErrorKind;
using core::Result;

constexpr std::uint64_t kNoLimit = UINT64_MAX;
constexpr std::uint64_t kMiB = 1024ULL * 1024;

std::uint64_t ms(core::Duration d) {
  return static_cast<std::uint64_t>(core::duration_cast<std::chrono::milliseconds>(d).count());
}

Error invalid(std::string message) {
  return Error{ErrorKind::Invalid, std::move(message)};
}

template <typename Target>
using Check = std::function<Result<void>(const Value&)>;

// Rows are made by these: `at` gives the field, for reading and for writing.
template <typename Target, typename At>
Key<Target> text(std::string_view section, std::string_view name, At at, Check<Target> check = {}) {
  Key<Target> key{.section = section, .name = name, .kind = Kind::Text};
  key.set = [at, check](Target& target, const Value& value) -> Result<void> {
    if (check) {
      if (Result<void> fit = check(value); !fit) return fit;
    }
    at(target) = value.text;
    return {};
  };
  key.show = [at](const Target& target) { return toml_text(at(target)); };
  return key;
}

template <typename Target, typename At>
Key<Target> texts(std::string_view section, std::string_view name, At at,
                  Check<Target> check = {}) {
  Key<Target> key{.section = section, .name = name, .kind = Kind::Texts};
  key.set = [at, check](Target& target, const Value& value) -> Result<void> {
    if (check) {
      if (Result<void> fit = check(value); !fit) return fit;
    }
    at(target) = value.texts;
    return {};
  };
  key.show = [at](const Target& target) { return toml_texts(at(target)); };
  return key;
}

template <typename Target, typename At>
Key<Target> duration(std::string_view section, std::string_view name, core::Duration low,
                     core::Duration high, At at) {
  Key<Target> key{
      .section = section, .name = name, .kind = Kind::Duration, .low = ms(low), .high = ms(high)};
  key.set = [at](Target& target, const Value& value) -> Result<void> {
    at(target) = value.duration;
    return {};
  };
  key.show = [at](const Target& target) { return toml_text(core::format_duration(at(target))); };
  return key;
}

template <typename At>
Key<Config> count(std::string_view section, std::string_view name, std::uint64_t low,
                  std::uint64_t high, At at) {
  Key<Config> key{.section = section, .name = name, .kind = Kind::Count, .low = low, .high = high};
  key.set = [at](Config& config, const Value& value) -> Result<void> {
    using Number = std::remove_reference_t<decltype(at(config))>;
    at(config) = static_cast<Number>(value.number);
    return {};
  };
  key.show = [at](const Config& config) { return std::to_string(at(config)); };
  return key;
}

template <typename Target, typename At>
Key<Target> flag_of(std::string_view section, std::string_view name, At at) {
  Key<Target> key{.section = section, .name = name, .kind = Kind::Flag};
  key.set = [at](Target& target, const Value& value) -> Result<void> {
    at(target) = value.flag;
    return {};
  };
  key.show = [at](const Target& target) { return std::string(at(target) ? "true" : "false"); };
  return key;
}
template <typename At>
Key<Config> flag(std::string_view section, std::string_view name, At at) {
  return flag_of<Config>(section, name, at);
}

template <typename At>
Key<Config> choice(std::string_view section, std::string_view name,
                   std::vector<std::string_view> choices, At at) {
  Key<Config> key = text<Config>(section, name, at);
  key.kind = Kind::Choice;
  key.choices = std::move(choices);
  return key;
}

// A check option: core knows what fits, so that the file, the command line and the site list agree.
Key<Config> option(std::string_view name, std::string_view core_name, Kind kind,
                   std::function<std::string(const core::CheckOptions&)> show) {
  Key<Config> key{.section = "checks", .name = name, .kind = kind, .high = kNoLimit};
  key.set = [core_name](Config& config, const Value& value) -> Result<void> {
    const Result<void> fit = core::apply_option(config.checks.options, core_name, value.text);
    if (fit) return {};
    const std::string prefix =
        std::string(core_name) + ": ";  // The reader of the file has the key already.
    const std::string& message = fit.error().message;
    return invalid(message.starts_with(prefix) ? message.substr(prefix.size()) : message);
  };
  key.show = [show = std::move(show)](const Config& config) { return show(config.checks.options); };
  return key;
}

Key<Config> not_yet(Key<Config> key) {
  key.acted_on = false;
  return key;
}

Key<Config> at_start(Key<Config> key) {
  key.live = false;
  return key;
}

Key<Config> automatic(Key<Config> key) {
  key.automatic = true;
  return key;
}

Result<void> absolute_path(const Value& value) {
  if (value.text.empty() || value.text.front() == '/') return {};
  return invalid(
      "the path is relative, and a service has no useful working directory; write it from the "
      "root, like \"/etc/watchwheel/…\"");
}

// A path from the root, or the name of a systemd credential.
Result<void> path_or_credential(const Value& value) {
  if (value.text.find('/') == std::string::npos) return {};
  return absolute_path(value);
}

Result<void> store_url(const Value& value) {
  if (std::string secret = inline_secret(value.text); !secret.empty()) {
    return invalid(
        secret +
        "; take it out and put the password alone into a file named by store.password_file");
  }
  return db::check_store_url(value.text);
}

Result<void> plain_url(const Value& value) {
  if (std::string secret = inline_secret(value.text); !secret.empty()) {
    return invalid(secret +
                   "; take it out and put it into a file named by the key that ends in _file");
  }
  if (value.text.empty() || value.text.starts_with("https://") || value.text.starts_with("http://"))
    return {};
  return invalid("this is no http:// or https:// URL");
}

Result<void> listen_address(const Value& value) {
  const Result<checker::Endpoint> endpoint = checker::parse_endpoint(value.text, 9464);
  if (endpoint) return {};
  return invalid(endpoint.error().message +
                 "; write IP:PORT, like \"127.0.0.1:9464\" or \"[::1]:9464\"");
}

// Credentials that every site would be sent, in a file that is to hold no secret.
Result<void> no_credentials(const Value& value) {
  static constexpr std::array<std::string_view, 5> kSecretHeaders{
      "authorization", "proxy-authorization", "cookie", "x-api-key", "x-auth-token"};
  for (const std::string& header : value.texts) {
    std::string name = header.substr(0, header.find(':'));
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (std::find(kSecretHeaders.begin(), kSecretHeaders.end(), name) != kSecretHeaders.end()) {
      return invalid("'" + name +
                     "' carries a credential, and a header set here is sent to every site; set it "
                     "for the site that needs it "
                     "(watchwheel sites set URL --header …)");
    }
  }
  return {};
}

Result<void> site_urls(const Value& value) {
  for (const std::string& url : value.texts) {
    if (std::string secret = inline_secret(url); !secret.empty())
      return invalid(secret + "; take it out");
    if (const Result<checker::Target> target = checker::parse_target(url); !target)
      return target.error();
  }
  return {};
}

std::vector<Key<Config>> store_keys() {
  Key<Config> journal = count(
      "store", "journal_max", kMiB, kNoLimit,
      [](auto& c) -> auto& { return c.store.journal_bytes_max; });
  journal.kind = Kind::Size;
  journal.show = [](const Config& c) {
    return toml_text(core::format_size(c.store.journal_bytes_max));
  };
  return {
      at_start(text<Config>(
          "store", "url", [](auto& c) -> auto& { return c.store.url; }, store_url)),
      at_start(text<Config>(
          "store", "password_file", [](auto& c) -> auto& { return c.store.password_file; },
          path_or_credential)),
      at_start(text<Config>(
          "store", "state_dir", [](auto& c) -> auto& { return c.store.state_dir; },
          absolute_path)),
      at_start(journal),
  };
}

std::string show_duration(core::Duration d) {
  return toml_text(core::format_duration(d));
}
std::string show_flag(bool on) {
  return on ? "true" : "false";
}

std::string show_headers(const core::CheckOptions& options) {
  std::vector<std::string> lines;
  for (const core::Header& header : options.headers)
    lines.push_back(header.name + ": " + header.value);
  return toml_texts(lines);
}

// `key` with a check of what stands in the file, before core's.
Key<Config> checked(Key<Config> key, Result<void> (*check)(const Value&)) {
  key.set = [apply = std::move(key.set), check](Config& config,
                                                const Value& value) -> Result<void> {
    if (Result<void> fit = check(value); !fit) return fit;
    return apply(config, value);
  };
  return key;
}

Key<Config> text_option(std::string_view name, std::string core::CheckOptions::*field) {
  return option(name, name, Kind::Text,
                [field](const core::CheckOptions& o) { return toml_text(o.*field); });
}

Key<Config> texts_option(std::string_view name, std::vector<std::string> core::CheckOptions::*field,
                         std::string_view core_name = {}) {
  return option(name, core_name.empty() ? name : core_name, Kind::Texts,
                [field](const core::CheckOptions& o) { return toml_texts(o.*field); });
}

Key<Config> flag_option(std::string_view name, bool core::CheckOptions::*field) {
  return option(name, name, Kind::Flag,
                [field](const core::CheckOptions& o) { return show_flag(o.*field); });
}

Key<Config> size_option(std::string_view name, std::uint64_t core::CheckOptions::*field) {
  return option(name, name, Kind::Size, [field](const core::CheckOptions& o) {
    return toml_text(core::format_size(o.*field));
  });
}

std::vector<Key<Config>> check_keys() {
  using Options = core::CheckOptions;
  Key<Config> keyword = texts_option("keyword", &Options::keyword);
  keyword.kind = Kind::TextOrTexts;
  return {
      duration<Config>(
          "checks", "interval", core::kIntervalMin, core::kIntervalMax,
          [](auto& c) -> auto& { return c.checks.interval; }),
      option("timeout", "timeout", Kind::Duration,
             [](const Options& o) { return show_duration(o.timeout); }),
      option("connect_timeout", "connect_timeout", Kind::Duration,
             [](const Options& o) { return show_duration(o.connect_timeout); }),
      option("latency_warning", "latency_warning", Kind::Duration,
             [](const Options& o) { return show_duration(o.latency_warning); }),
      text_option("method", &Options::method),
      checked(option("header", "header", Kind::Texts, show_headers), no_credentials),
      text_option("body", &Options::body),
      option(
          "expect_status", "expect_status", Kind::Statuses,
          [](const Options& o) { return toml_text(core::format_status_ranges(o.expect_status)); }),
      keyword,
      texts_option("forbidden", &Options::forbidden),
      flag_option("ignore_case", &Options::ignore_case),
      texts_option("body_match", &Options::body_match),
      texts_option("body_not_match", &Options::body_not_match),
      texts_option("json_equals", &Options::json_equals),
      texts_option("expect_header", &Options::expect_header),
      size_option("size_min", &Options::size_min_bytes),
      size_option("size_max", &Options::size_max_bytes),
      option("redirects", "redirects", Kind::Text,
             [](const Options& o) { return toml_text(core::to_string(o.redirects)); }),
      option("max_redirects", "max_redirects", Kind::Count,
             [](const Options& o) { return std::to_string(o.max_redirects); }),
      size_option("max_body", &Options::max_body_bytes),
      text_option("http_version", &Options::http_version),
      text_option("exchange", &Options::exchange),
      text_option("auth_user", &Options::auth_user),
      checked(text_option("auth_password_file", &Options::auth_password_file), path_or_credential),
      checked(text_option("bearer_token_file", &Options::bearer_token_file), path_or_credential),
      text_option("user_agent", &Options::user_agent),
      flag_option("detect_error_pages", &Options::detect_error_pages),
      flag_option("tls_verify", &Options::tls_verify),
      text_option("tls_min", &Options::tls_min),
      checked(text_option("ca_file", &Options::ca_file), absolute_path),
      checked(text_option("client_cert_file", &Options::client_cert_file), path_or_credential),
      checked(text_option("client_key_file", &Options::client_key_file), path_or_credential),
      option("ip", "ip", Kind::Text,
             [](const Options& o) { return toml_text(core::to_string(o.ip)); }),
      texts_option("resolvers", &Options::resolvers, "resolver"),
      texts_option("allow", &Options::allow),
      flag_option("allow_private", &Options::allow_private),
      option("priority", "priority", Kind::Text,
             [](const Options& o) { return toml_text(core::to_string(o.priority)); }),
  };
}

std::vector<Key<Config>> confirm_keys() {
  return {
      count(
          "confirm", "failures", 1, 20, [](auto& c) -> auto& { return c.confirm.policy.failures; }),
      duration<Config>(
          "confirm", "retry_interval", 1s, 10min,
          [](auto& c) -> auto& { return c.confirm.policy.retry_interval; }),
      count(
          "confirm", "successes", 1, 20,
          [](auto& c) -> auto& { return c.confirm.policy.successes; }),
      count(
          "confirm", "quorum", 1, 100, [](auto& c) -> auto& { return c.confirm.quorum; }),
      duration<Config>(
          "confirm", "timeout", 1s, 2min, [](auto& c) -> auto& { return c.confirm.timeout; }),
      duration<Config>(
          "confirm", "dispute", 1min, std::chrono::hours{7 * 24},
          [](auto& c) -> auto& { return c.confirm.dispute; }),
  };
}

std::vector<Key<Config>> flapping_keys() {
  return {
      at_start(count(
          "flapping", "low", 0, 99, [](auto& c) -> auto& { return c.flapping.low; })),
      at_start(count(
          "flapping", "high", 1, 100, [](auto& c) -> auto& { return c.flapping.high; })),
  };
}

std::vector<Key<Config>> warning_keys() {
  Key<Config> steps{.section = "warnings", .name = "certificate", .kind = Kind::Texts};
  steps.set = [](Config& config, const Value& value) -> Result<void> {
    std::vector<core::Duration> wanted;
    for (const std::string& text : value.texts) {
      const Result<core::Duration> step = core::parse_duration(text);
      if (!step) return step.error();
      if (*step < std::chrono::hours{1} || *step > std::chrono::hours{365 * 24})
        return invalid("\"" + text + "\" is out of range; write \"1h\" to \"365d\"");
      wanted.push_back(*step);
    }
    std::sort(wanted.begin(), wanted.end(), std::greater<>());
    if (std::adjacent_find(wanted.begin(), wanted.end()) != wanted.end())
      return invalid("two of them are the same; remove one");
    if (wanted.size() > sideeffects::kWarningStepsMax)
      return invalid("there are " + std::to_string(wanted.size()) + " of them; at most " +
                     std::to_string(sideeffects::kWarningStepsMax));
    config.warnings.certificate = std::move(wanted);
    return {};
  };
  steps.show = [](const Config& config) {
    std::vector<std::string> texts;
    for (const core::Duration step : config.warnings.certificate)
      texts.push_back(core::format_duration(step));
    return toml_texts(texts);
  };
  Key<Config> kinds{.section = "warnings", .name = "kinds", .kind = Kind::Texts};
  kinds.set = [](Config& config, const Value& value) -> Result<void> {
    std::vector<core::EventKind> wanted;
    for (const std::string& text : value.texts) {
      const auto kind = core::parse_event_kind(text);
      if (!kind || *kind == core::EventKind::Outage)
        return invalid("'" + printable(text) +
                       "' is no warning; write some of \"tls_expiring\", \"tls_deprecated\", "
                       "\"latency_exceeded\", \"redirect_downgrade\"");
      if (std::find(wanted.begin(), wanted.end(), *kind) != wanted.end())
        return invalid("'" + text + "' is there twice; remove one");
      wanted.push_back(*kind);
    }
    config.warnings.kinds = std::move(wanted);
    return {};
  };
  kinds.show = [](const Config& config) {
    std::vector<std::string> texts;
    for (const core::EventKind kind : config.warnings.kinds)
      texts.emplace_back(core::to_string(kind));
    return toml_texts(texts);
  };
  return {steps, kinds};
}

std::vector<Key<Config>> engine_keys() {
  Key<Config> memory = count(
      "engine", "memory", 64 * kMiB, kNoLimit,
      [](auto& c) -> auto& { return c.engine.memory_bytes; });
  memory.kind = Kind::Size;
  memory.show = [](const Config& c) { return toml_text(core::format_size(c.engine.memory_bytes)); };
  return {
      at_start(automatic(count(
          "engine", "lanes", 1, 256, [](auto& c) -> auto& { return c.engine.lanes; }))),
      at_start(automatic(memory)),
      at_start(automatic(count(
          "engine", "in_flight_max", 1, 1'000'000,
          [](auto& c) -> auto& { return c.engine.in_flight_max; }))),
      duration<Config>(
          "engine", "drain_timeout", 0s, 5min,
          [](auto& c) -> auto& { return c.engine.drain_timeout; }),
      at_start(flag(
          "engine", "fast_certificates",
          [](auto& c) -> auto& { return c.engine.fast_certificates; })),
  };
}

std::vector<Key<Config>> vantage_keys() {
  Key<Config> share{.section = "vantage", .name = "failure_share", .kind = Kind::Share};
  share.set = [](Config& config, const Value& value) -> Result<void> {
    config.vantage.failure_share = value.share;
    return {};
  };
  share.show = [](const Config& config) {
    std::string digits = std::to_string(config.vantage.failure_share);
    digits.erase(digits.find_last_not_of('0') + 1);
    return digits.back() == '.' ? digits + "0" : digits;
  };
  return {
      texts<Config>(
          "vantage", "canaries", [](auto& c) -> auto& { return c.vantage.canaries; }, site_urls),
      share,
      duration<Config>(
          "projection", "interval", 5min, 15min,
          [](auto& c) -> auto& { return c.projection.interval; }),
  };
}

std::vector<Key<Config>> legacy_keys() {
  const auto name = [](std::string_view key, std::string LegacyConfig::*field) {
    return at_start(text<Config>("legacy", key, [field](auto& c) -> auto& { return c.legacy.*field; }));
  };
  const auto one_of = [](std::string_view key, std::vector<std::string_view> choices,
                         std::string LegacyConfig::*field) {
    return at_start(choice("legacy", key, std::move(choices),
                           [field](auto& c) -> auto& { return c.legacy.*field; }));
  };
  const std::vector<std::string_view> kinds{"auto", "datetime", "seconds", "milliseconds"};
  Key<Config> buckets = name("buckets", &LegacyConfig::buckets);
  buckets.set = [](Config& config, const Value& value) -> Result<void> {
    if (auto ranges = db::parse_bucket_ranges(value.text); !ranges) return ranges.error();
    config.legacy.buckets = value.text;
    return {};
  };
  return {
      one_of("preset", {"", "jetpack"}, &LegacyConfig::preset),
      one_of("role", {"both", "source", "target"}, &LegacyConfig::role),
      name("table", &LegacyConfig::table),
      name("id", &LegacyConfig::id),
      name("url", &LegacyConfig::url),
      one_of("scheme", {"http", "https"}, &LegacyConfig::scheme),
      name("active", &LegacyConfig::active),
      name("active_when", &LegacyConfig::active_when),
      name("interval", &LegacyConfig::interval),
      one_of("interval_unit", {"auto", "milliseconds", "seconds", "minutes", "hours"},
             &LegacyConfig::interval_unit),
      name("name", &LegacyConfig::name),
      name("bucket", &LegacyConfig::bucket),
      buckets,
      at_start(duration<Config>(
          "legacy", "sweep", 5s, 1h, [](auto& c) -> auto& { return c.legacy.sweep; })),
      at_start(count(
          "legacy", "rows_per_second", 100, 1'000'000,
          [](auto& c) -> auto& { return c.legacy.rows_per_second; })),
      name("status", &LegacyConfig::status),
      name("status_up", &LegacyConfig::status_up),
      name("status_seems_down", &LegacyConfig::status_seems_down),
      name("status_down", &LegacyConfig::status_down),
      name("status_changed_at", &LegacyConfig::status_changed_at),
      one_of("status_changed_kind", kinds, &LegacyConfig::status_changed_kind),
      name("checked_at", &LegacyConfig::checked_at),
      one_of("checked_kind", kinds, &LegacyConfig::checked_kind),
      name("next_check_at", &LegacyConfig::next_check_at),
      one_of("next_check_kind", kinds, &LegacyConfig::next_check_kind),
  };
}

std::vector<Key<Config>> verifier_server_keys() {
  const auto file = [](std::string_view name, std::string VerifierServerConfig::*field) {
    return at_start(text<Config>(
        "verifier_server", name, [field](auto& c) -> auto& { return c.verifier_server.*field; },
        path_or_credential));
  };
  Key<Config> body = count(
      "verifier_server", "body_max", 64 * 1024, 64 * kMiB,
      [](auto& c) -> auto& { return c.verifier_server.body_bytes_max; });
  body.kind = Kind::Size;
  body.show = [](const Config& c) {
    return toml_text(core::format_size(c.verifier_server.body_bytes_max));
  };
  return {
      at_start(text<Config>(
          "verifier_server", "listen", [](auto& c) -> auto& { return c.verifier_server.listen; },
          listen_address)),
      at_start(text<Config>(
          "verifier_server", "name", [](auto& c) -> auto& { return c.verifier_server.name; })),
      at_start(text<Config>(
          "verifier_server", "region", [](auto& c) -> auto& { return c.verifier_server.region; })),
      file("cert_file", &VerifierServerConfig::cert_file),
      file("key_file", &VerifierServerConfig::key_file),
      file("client_ca_file", &VerifierServerConfig::client_ca_file),
      file("token_file", &VerifierServerConfig::token_file),
      at_start(flag(
          "verifier_server", "plain_http",
          [](auto& c) -> auto& { return c.verifier_server.plain_http; })),
      at_start(automatic(count(
          "verifier_server", "in_flight_max", 1, 1'000'000,
          [](auto& c) -> auto& { return c.verifier_server.in_flight_max; }))),
      at_start(count(
          "verifier_server", "batch_max", 1, 1000,
          [](auto& c) -> auto& { return c.verifier_server.batch_max; })),
      at_start(count(
          "verifier_server", "connections_max", 1, 100'000,
          [](auto& c) -> auto& { return c.verifier_server.connections_max; })),
      at_start(body),
  };
}

std::vector<Key<Config>> later_keys() {
  return {
      at_start(text<Config>(
          "cluster", "node", [](auto& c) -> auto& { return c.cluster.node; })),
      at_start(count(
          "cluster", "buckets", 1, core::kBucketsMax, [](auto& c) -> auto& { return c.cluster.buckets; })),
      at_start(duration<Config>(
          "cluster", "lease", 5s, 10min, [](auto& c) -> auto& { return c.cluster.lease; })),
      at_start(count(
          "cluster", "weight", 1, 1000, [](auto& c) -> auto& { return c.cluster.weight; })),
      not_yet(choice(
          "history", "samples", {"none", "changes", "all"},
          [](auto& c) -> auto& { return c.history.samples; })),
      flag("history", "rollups", [](auto& c) -> auto& { return c.history.rollups; }),
      automatic(count("history", "hourly_sites", 0, 100'000'000,
                      [](auto& c) -> auto& { return c.history.hourly_sites; })),
      not_yet(duration<Config>(
          "history", "keep_samples", 0s, std::chrono::hours{87600},
          [](auto& c) -> auto& { return c.history.keep_samples; })),
      duration<Config>("history", "keep_events", 0s, std::chrono::hours{87600},
                       [](auto& c) -> auto& { return c.history.keep_events; }),
      duration<Config>("history", "keep_minutes", 0s, std::chrono::hours{87600},
                       [](auto& c) -> auto& { return c.history.keep_minutes; }),
      duration<Config>("history", "keep_hours", 0s, std::chrono::hours{87600},
                       [](auto& c) -> auto& { return c.history.keep_hours; }),
      duration<Config>("history", "keep_days", 0s, std::chrono::hours{87600},
                       [](auto& c) -> auto& { return c.history.keep_days; }),
      at_start(duration<Config>("history", "keep_deliveries", 1h, std::chrono::hours{87600},
                                [](auto& c) -> auto& { return c.history.keep_deliveries; })),
      at_start(duration<Config>("history", "keep_dead_letters", 1h, std::chrono::hours{87600},
                                [](auto& c) -> auto& { return c.history.keep_dead_letters; })),
  };
}

std::vector<Key<Config>> http_and_log_keys() {
  Key<Config> level{.section = "log",
                    .name = "level",
                    .kind = Kind::Choice,
                    .choices = {"debug", "info", "warning", "error"}};
  level.set = [](Config& config, const Value& value) -> Result<void> {
    for (const LogLevel candidate :
         {LogLevel::Debug, LogLevel::Info, LogLevel::Warning, LogLevel::Error}) {
      if (to_string(candidate) == value.text) config.log.level = candidate;
    }
    return {};
  };
  level.show = [](const Config& config) { return toml_text(to_string(config.log.level)); };
  Key<Config> form{.section = "log",
                   .name = "format",
                   .kind = Kind::Choice,
                   .choices = {"auto", "text", "journal", "json"},
                   .automatic = true,
                   .live = false};
  form.set = [](Config& config, const Value& value) -> Result<void> {
    config.log.format = LogFormat::Auto;
    for (const LogFormat candidate : {LogFormat::Text, LogFormat::Journal, LogFormat::Json}) {
      if (to_string(candidate) == value.text) config.log.format = candidate;
    }
    return {};
  };
  form.show = [](const Config& config) { return toml_text(to_string(config.log.format)); };
  return {
      at_start(text<Config>(
          "http", "listen", [](auto& c) -> auto& { return c.http.listen; }, listen_address)),
      at_start(text<Config>(
          "http", "token_file", [](auto& c) -> auto& { return c.http.token_file; }, absolute_path)),
      level,
      form,
  };
}

}  // namespace

const std::vector<Key<Config>>& config_keys() {
  static const std::vector<Key<Config>> keys = [] {
    std::vector<Key<Config>> all;
    for (auto&& part : {store_keys(), check_keys(), confirm_keys(), flapping_keys(),
                        warning_keys(), engine_keys(), vantage_keys(), legacy_keys(), later_keys(),
                        verifier_server_keys(), http_and_log_keys()}) {
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }();
  return keys;
}

const std::vector<Key<VerifierConfig>>& verifier_keys() {
  static const std::vector<Key<VerifierConfig>> keys{
      text<VerifierConfig>(
          "verifier", "name", [](auto& v) -> auto& { return v.name; }),
      text<VerifierConfig>(
          "verifier", "url", [](auto& v) -> auto& { return v.url; }, plain_url),
      text<VerifierConfig>(
          "verifier", "token_file", [](auto& v) -> auto& { return v.token_file; },
          path_or_credential),
      text<VerifierConfig>(
          "verifier", "region", [](auto& v) -> auto& { return v.region; }),
      text<VerifierConfig>(
          "verifier", "ca_file", [](auto& v) -> auto& { return v.ca_file; }, absolute_path),
      text<VerifierConfig>(
          "verifier", "client_cert_file", [](auto& v) -> auto& { return v.client_cert_file; },
          path_or_credential),
      text<VerifierConfig>(
          "verifier", "client_key_file", [](auto& v) -> auto& { return v.client_key_file; },
          path_or_credential),
      flag_of<VerifierConfig>(
          "verifier", "plain_http", [](auto& v) -> auto& { return v.plain_http; }),
  };
  return keys;
}

std::string toml_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
          static constexpr std::array<char, 17> kHex{"0123456789abcdef"};
          out += "\\u00";
          out += kHex[static_cast<unsigned char>(c) >> 4U];
          out += kHex[static_cast<unsigned char>(c) & 15U];
        } else {
          out += c;
        }
    }
  }
  return out + "\"";
}

std::string toml_texts(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) {
    if (out.size() > 1) out += ", ";
    out += toml_text(text);
  }
  return out + "]";
}

std::string inline_secret(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) return "";
  const std::string_view rest = url.substr(scheme + 3);
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  const std::size_t at = authority.rfind('@');
  if (at != std::string_view::npos && authority.substr(0, at).find(':') != std::string_view::npos) {
    return "the URL holds a password, and a secret is never written in this file";
  }
  std::string query(rest.substr(std::min(rest.size(), rest.find_first_of("?#"))));
  std::transform(query.begin(), query.end(), query.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  for (const std::string_view name :
       {"password=", "passwd=", "token=", "secret=", "api_key=", "apikey=", "access_key="}) {
    if (query.find(name) != std::string::npos) {
      return "the URL holds a secret ('" + std::string(name) +
             "'), and a secret is never written in this file";
    }
  }
  return "";
}

}  // namespace watchwheel::app
