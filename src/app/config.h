// SPDX-License-Identifier: Apache-2.0
// app/config.h - the configuration: every value, its default, and what was wrong in the file.
//
// Owns     nothing: values. The file is read once, by load_config.
// Thread   any.
// Bounded  a file above 4 MiB is refused.
// Fails    never by exception: everything wrong is a Problem with its place and remedy, and all are
//          reported together (of TOML syntax errors only the first, for what follows one means
//          nothing).
//
// 0 stands for "automatic" where a field says so; the engine decides then, and `watchwheel status`
// shows what.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "app/problem.h"
#include "core/check_options.h"
#include "core/clock.h"
#include "core/flapping.h"
#include "core/site_facts.h"
#include "sideeffects/notify_target.h"
#include "sideeffects/warning_policy.h"

namespace watchwheel::app {

using namespace std::chrono_literals;

inline constexpr std::string_view kConfigPath = "/etc/watchwheel/watchwheel.toml";

enum class LogLevel : std::uint8_t { Debug, Info, Warning, Error };
enum class LogFormat : std::uint8_t { Auto, Text, Journal, Json };
[[nodiscard]] std::string_view to_string(LogLevel level);
[[nodiscard]] std::string_view to_string(LogFormat format);

struct StoreConfig {
  std::string url = "sqlite:///var/lib/watchwheel/watchwheel.db";
  std::string password_file;
  std::string state_dir = "/var/lib/watchwheel";
  std::uint64_t journal_bytes_max = std::uint64_t{1} << 30;
  friend bool operator==(const StoreConfig&, const StoreConfig&) = default;
};

// Defaults of every site; a site's own option wins.
struct ChecksConfig {
  core::Duration interval =
      5min;  // core::kIntervalMin to core::kIntervalMax, at least options.timeout.
  core::CheckOptions options;
  friend bool operator==(const ChecksConfig&, const ChecksConfig&) = default;
};

struct ConfirmConfig {
  core::ConfirmPolicy policy;
  std::uint32_t quorum = 2;      // Vantages that must see it down, this one included. 1 to 100.
  core::Duration timeout = 15s;  // For their answers. 1 s to 2 min.
  core::Duration dispute = 10min;  // ConfirmPolicy::dispute_most. 1 min to 7 days.
  friend bool operator==(const ConfirmConfig&, const ConfirmConfig&) = default;
};

struct EngineConfig {
  std::uint32_t lanes = 0;             // 0: automatic. At most 256.
  std::uint64_t memory_bytes = 0;      // 0: automatic. Otherwise at least 64 MiB.
  std::uint32_t in_flight_max = 0;     // Of all lanes together. 0: automatic. At most 1,000,000.
  core::Duration drain_timeout = 10s;  // 0 to 5 min.
  bool fast_certificates = true;       // checker/tls_decode.h
  friend bool operator==(const EngineConfig&, const EngineConfig&) = default;
};

struct VantageConfig {
  std::vector<std::string> canaries;
  double failure_share = 0.25;  // Above 0, at most 1.
  friend bool operator==(const VantageConfig&, const VantageConfig&) = default;
};

struct ProjectionConfig {
  core::Duration interval = 15min;  // 5 to 15 min.
  friend bool operator==(const ProjectionConfig&, const ProjectionConfig&) = default;
};

struct LegacyConfig {
  std::string preset;         // "jetpack", or "".
  std::string role = "both";  // "source", "target".
  // "": the preset's; "-": no such column.
  std::string table, id, url, active, active_when, interval, bucket, name;
  std::string interval_unit = "auto";
  std::string scheme = "http";
  std::string buckets;  // "0-127,300"
  std::string status, status_up, status_seems_down, status_down;
  std::string status_changed_at, checked_at, next_check_at;
  std::string status_changed_kind = "auto", checked_kind = "auto", next_check_kind = "auto";
  core::Duration sweep = 1min;  // 5 s to 1 h.
  std::uint32_t rows_per_second = 20'000;
  friend bool operator==(const LegacyConfig&, const LegacyConfig&) = default;
};

struct ClusterConfig {
  std::string node;  // "": the host's name.
  std::uint32_t buckets = 1024;
  core::Duration lease = 15s;
  std::uint32_t weight = 1;
  friend bool operator==(const ClusterConfig&, const ClusterConfig&) = default;
};

struct HistoryConfig {
  std::string samples = "changes";
  bool rollups = true;
  core::Duration keep_samples = std::chrono::hours{24 * 30};
  core::Duration keep_events{};  // 0: for ever; so are the others.
  std::size_t hourly_sites = 0;  // 0: kHourlySites.
  core::Duration keep_minutes = std::chrono::hours{24 * 30};
  core::Duration keep_hours = std::chrono::hours{24 * 14};
  core::Duration keep_days = std::chrono::hours{24 * 400};
  core::Duration keep_deliveries = std::chrono::hours{24 * 7};
  core::Duration keep_dead_letters = std::chrono::hours{24 * 30};
  friend bool operator==(const HistoryConfig&, const HistoryConfig&) = default;
};

inline constexpr std::size_t kVerifiersMax = 64;

// Another vantage that the daemon asks.
struct VerifierConfig {
  std::string name, url, token_file, region;
  std::string ca_file, client_cert_file, client_key_file;
  bool plain_http = false;  // Asked without encryption also where that goes over a network.
  friend bool operator==(const VerifierConfig&, const VerifierConfig&) = default;
};

// `watchwheel verifier`: this machine as the other vantage.
struct VerifierServerConfig {
  std::string listen = "127.0.0.1:9465";  // "IP:PORT" or "[IP]:PORT".
  std::string name;                       // "": the host's name.
  std::string region;
  std::string cert_file, key_file, client_ca_file, token_file;
  bool plain_http = false;          // Without a certificate also on addresses that others reach.
  std::uint32_t in_flight_max = 0;  // 0: automatic. At most 1,000,000.
  std::uint32_t batch_max = 256;    // Checks of one request. 1 to 1000.
  std::uint32_t connections_max = 256;
  std::uint64_t body_bytes_max = std::uint64_t{4} << 20U;
  friend bool operator==(const VerifierServerConfig&, const VerifierServerConfig&) = default;
};

using NotifyConfig = sideeffects::NotifyTarget;

struct HttpConfig {
  std::string listen = "127.0.0.1:9464";  // "IP:PORT" or "[IP]:PORT".
  std::string token_file;
  friend bool operator==(const HttpConfig&, const HttpConfig&) = default;
};

struct LogConfig {
  LogLevel level = LogLevel::Info;
  LogFormat format = LogFormat::Auto;
  friend bool operator==(const LogConfig&, const LogConfig&) = default;
};

struct Config {
  StoreConfig store;
  ChecksConfig checks;
  ConfirmConfig confirm;
  core::FlapPolicy flapping;
  sideeffects::WarningPolicy warnings;
  EngineConfig engine;
  VantageConfig vantage;
  ProjectionConfig projection;
  LegacyConfig legacy;
  ClusterConfig cluster;
  HistoryConfig history;
  VerifierServerConfig verifier_server;
  std::vector<VerifierConfig> verifiers;
  std::vector<NotifyConfig> notify;
  HttpConfig http;
  LogConfig log;
  friend bool operator==(const Config&, const Config&) = default;
};

enum class Origin : std::uint8_t {
  Set,  // The file says so.
  Default,
  Auto,  // Left to the engine, or derived from another value.
};
[[nodiscard]] std::string_view to_string(Origin origin);

struct EffectiveValue {
  std::string key;    // "checks.timeout"
  std::string value;  // As it would be written in TOML.
  Origin origin = Origin::Default;
};

struct ConfigReport {
  Config config;  // To be used only when ok(); a value with a problem keeps its default.
  std::vector<Problem> problems;
  std::vector<EffectiveValue> values;  // In the order of documentation.

  [[nodiscard]] bool ok() const { return !any_error(problems); }
};

// Reads and judges the file at `path`. A file that cannot be read is a problem like any other.
[[nodiscard]] ConfigReport load_config(const std::string& path);
// The same for a text; `name` stands in the problems.
[[nodiscard]] ConfigReport parse_config(std::string_view text, const std::string& name);
// The defaults, without a file.
[[nodiscard]] ConfigReport default_config();

// Every key, "section.key", in the order of documentation; those of [[verifier]] and [[notify]]
// too.
[[nodiscard]] std::vector<std::string> known_config_keys();

// Keys whose values differ between the two and that a reload cannot change; the daemon goes on with
// the old ones until restarted.
[[nodiscard]] std::vector<std::string> keys_needing_restart(const Config& running,
                                                            const Config& wanted);

}  // namespace watchwheel::app
