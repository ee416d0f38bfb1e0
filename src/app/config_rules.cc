// SPDX-License-Identifier: Apache-2.0
#include "app/config_rules.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "app/config_notify.h"
#include "app/legacy_config.h"
#include "app/vantage.h"
#include "checker/address.h"
#include "checker/content_rules.h"
#include "core/units.h"

namespace watchwheel::app {
namespace {

class Judge {
 public:
  Judge(const Config& config, const Places& set, const std::string& file)
      : config_(config), set_(set), file_(file) {}

  std::vector<Problem> run() {
    checks();
    pacing();
    store();
    legacy();
    listener();
    verifier_server();
    verifiers();
    history();
    doubles("vantage.canaries", config_.vantage.canaries);
    if (config_.vantage.canaries.size() > kCanariesMax) {
      report(Severity::Error, {"vantage.canaries"},
             "vantage.canaries names " + std::to_string(config_.vantage.canaries.size()) +
                 " URLs and at most " + std::to_string(kCanariesMax) +
                 " are asked; three on unrelated networks are enough");
    }
    doubles("checks.resolvers", config_.checks.options.resolvers);
    doubles("checks.allow", config_.checks.options.allow);
    doubles("checks.keyword", config_.checks.options.keyword);
    doubles("checks.forbidden", config_.checks.options.forbidden);
    doubles("checks.body_match", config_.checks.options.body_match);
    doubles("checks.body_not_match", config_.checks.options.body_not_match);
    doubles("checks.json_equals", config_.checks.options.json_equals);
    doubles("checks.expect_header", config_.checks.options.expect_header);
    sections();
    return std::move(problems_);
  }

 private:
  [[nodiscard]] bool is_set(std::string_view key) const { return set_.find(key) != set_.end(); }

  // At the first of `keys` that the file sets; so the reader is led to what they wrote, not to a default.
  void report(Severity severity, std::initializer_list<std::string_view> keys,
              std::string message) {
    Place place;
    for (const std::string_view key : keys) {
      if (const auto found = set_.find(key); found != set_.end()) {
        place = found->second;
        break;
      }
    }
    problems_.push_back({file_, place.line, place.column, severity, std::move(message)});
  }

  // What is over for less than a day is still looked at, told and written; a mistyped unit must not remove a year.
  void history() {
    const auto& h = config_.history;
    for (const auto& [key, kept] : {std::pair<std::string_view, core::Duration>{"keep_events", h.keep_events},
                                    {"keep_minutes", h.keep_minutes},
                                    {"keep_hours", h.keep_hours},
                                    {"keep_days", h.keep_days}}) {
      if (kept == core::Duration::zero() || kept >= std::chrono::hours{24}) continue;
      const std::string name = "history." + std::string(key);
      report(Severity::Error, {name},
             name + " (" + core::format_duration(kept) +
                 ") is less than a day; keep a day at least, or \"0s\" for ever");
    }
  }

  void checks() {
    const core::CheckOptions& o = config_.checks.options;
    const std::size_t before = problems_.size();
    if (o.connect_timeout > o.timeout) {
      report(Severity::Error, {"checks.connect_timeout"},
             "checks.connect_timeout (" + core::format_duration(o.connect_timeout) +
                 ") is longer than checks.timeout (" + core::format_duration(o.timeout) +
                 "), which it is a part of; lower it or raise the timeout");
    }
    if (o.timeout > config_.checks.interval) {
      report(
          Severity::Error, {"checks.timeout", "checks.interval"},
          "checks.timeout (" + core::format_duration(o.timeout) +
              ") is longer than checks.interval (" +
              core::format_duration(config_.checks.interval) +
              "): a slow site would miss its next check; lower the timeout or raise the interval");
    }
    if (problems_.size() == before) {
      refuse(core::check_consistency(o));
      if (problems_.size() == before) refuse(checker::check_content_options(o));
    }
    if (!o.tls_verify && !o.ca_file.empty()) {
      report(Severity::Warning, {"checks.ca_file"},
             "checks.ca_file has no effect while checks.tls_verify is false; remove one of them");
    }
    if (o.redirects == core::Redirects::None && is_set("checks.max_redirects")) {
      report(Severity::Warning, {"checks.max_redirects"},
             "checks.max_redirects has no effect while checks.redirects is \"none\"; remove it");
    }
    if (!o.auth_password_file.empty() || !o.bearer_token_file.empty()) {
      report(Severity::Warning, {"checks.auth_password_file", "checks.bearer_token_file"},
             "checks." +
                 std::string(o.bearer_token_file.empty() ? "auth_password_file"
                                                         : "bearer_token_file") +
                 " is sent to every site of the list; unless all of them are yours, set it for the "
                 "sites that need it (watchwheel sites set URL --" +
                 std::string(o.bearer_token_file.empty() ? "auth-password-file"
                                                         : "bearer-token-file") +
                 " …)");
    }
    if (o.allow_private) {
      report(Severity::Warning, {"checks.allow_private"},
             "checks.allow_private lets every site of the list point into private networks; prefer "
             "checks.allow with the blocks you mean, "
             "or allow_private for single sites");
    }
  }

  // A message that begins with the option's name.
  void refuse(const core::Result<void>& fit) {
    if (fit) return;
    const std::string& message = fit.error().message;
    const std::string key = "checks." + message.substr(0, message.find(':'));
    report(Severity::Error, {key, "checks"}, "checks." + message);
  }

  void pacing() {
    if (config_.flapping.low >= config_.flapping.high) {
      report(Severity::Error, {"flapping.low", "flapping.high"},
             "flapping.low (" + std::to_string(config_.flapping.low) +
                 ") must be below flapping.high (" + std::to_string(config_.flapping.high) + ")");
    }
    if (is_set("confirm.retry_interval") &&
        config_.confirm.policy.retry_interval > config_.checks.interval) {
      report(Severity::Warning, {"confirm.retry_interval"},
             "confirm.retry_interval (" +
                 core::format_duration(config_.confirm.policy.retry_interval) +
                 ") is longer than checks.interval (" +
                 core::format_duration(config_.checks.interval) +
                 "): re-checks come with the routine ones, no sooner; lower it");
    }
    if (config_.checks.interval > config_.projection.interval && is_set("projection.interval")) {
      report(Severity::Warning, {"projection.interval"},
             "projection.interval is shorter than checks.interval (" +
                 core::format_duration(config_.checks.interval) +
                 "): freshness is written at a site's own checks, so no more often than that");
    }
  }

  // The table itself is looked at by `validate-config` and at the start; see app/legacy_access.h.
  void legacy() {
    const auto mapping = legacy_mapping(config_.legacy);
    if (!mapping) {
      const std::string& message = mapping.error().message;
      report(Severity::Error, {message.substr(0, message.find_first_of(": ")), "legacy"}, message);
      return;
    }
    if (!*mapping) {
      if (config_.legacy != LegacyConfig{}) {
        report(Severity::Error, {"legacy"},
               "legacy.table: is empty, so the rest of [legacy] means nothing; name the table, or "
               "write preset = \"jetpack\"");
      }
      return;
    }
    if (config_.store.url.starts_with("sqlite:")) {
      report(Severity::Error, {"legacy.table", "legacy"},
             "legacy.table: the store is a file, and the table would have to be on its server; set "
             "store.url to \"mysql://…\", or remove [legacy]");
    }
  }

  void store() {
    if (!config_.store.password_file.empty() && config_.store.url.starts_with("sqlite:")) {
      report(Severity::Warning, {"store.password_file"},
             "store.password_file is not read: an SQLite store has no password; remove it");
    }
  }

  void listener() {
    if (!config_.http.token_file.empty() || is_loopback(config_.http.listen)) return;
    report(Severity::Warning, {"http.listen"},
           "http.listen is not a loopback address and http.token_file is not set: whoever reaches "
           "it can "
           "read the status and reload the configuration; set http.token_file");
  }

  static bool is_loopback(const std::string& listen) {
    const core::Result<checker::Endpoint> at = checker::parse_endpoint(listen, 9464);
    if (!at) return true;  // Refused already.
    return at->ip.v6 ? checker::to_string(at->ip) == "::1" : at->ip.bytes[0] == 127;
  }

  void verifier_server() {
    const VerifierServerConfig& own = config_.verifier_server;
    for (const auto& [key, file] : {std::pair{"verifier_server.key_file", &own.key_file},
                                    std::pair{"verifier_server.client_ca_file", &own.client_ca_file}}) {
      if (!file->empty() && own.cert_file.empty())
        report(Severity::Error, {key},
               std::string(key) + " means nothing without verifier_server.cert_file; set that too");
    }
    if (is_loopback(own.listen)) return;
    if (own.cert_file.empty() && !own.plain_http) {
      report(Severity::Error, {"verifier_server.listen"},
             "verifier_server.listen is not a loopback address and there is no certificate: what is "
             "asked and the token would be readable on the way; set verifier_server.cert_file, or "
             "plain_http = true where something else encrypts the way");
    }
    if (own.token_file.empty() && own.client_ca_file.empty()) {
      report(Severity::Error, {"verifier_server.listen"},
             "verifier_server.listen is not a loopback address and nobody is asked who they are: "
             "whoever reaches it could make this machine ask any site; set "
             "verifier_server.token_file or verifier_server.client_ca_file");
    }
  }

  void verifiers() {
    if (config_.verifiers.empty()) return;
    std::set<std::string> places;
    std::set<std::string> urls;
    for (std::size_t i = 0; i < config_.verifiers.size(); ++i) {
      const VerifierConfig& one = config_.verifiers[i];
      const std::string prefix = "verifier." + std::to_string(i);
      places.insert(one.region.empty() ? "name " + one.name : "region " + one.region);
      if (!one.client_key_file.empty() && one.client_cert_file.empty())
        report(Severity::Error, {prefix + ".client_key_file"},
               "verifier.client_key_file means nothing without client_cert_file; set that too");
      const std::string url = one.url.ends_with('/') ? one.url.substr(0, one.url.size() - 1) : one.url;
      if (!url.empty() && !urls.insert(url).second)
        report(Severity::Error, {prefix + ".url"},
               "another [[verifier]] has the url of '" + printable(one.name) +
                   "': one place is one vantage; remove one of them");
      if (one.url.starts_with("http://") && !one.plain_http && !is_local_url(one.url))
        report(Severity::Error, {prefix + ".url"},
               "what verifier '" + printable(one.name) +
                   "' is asked and says goes over the network unencrypted, so whoever is on the way "
                   "can read its token and vote for it; use https://, or plain_http = true where "
                   "something else encrypts the way");
    }
    if (config_.verifiers.size() > kVerifiersMax) {
      report(Severity::Error, {"verifier"},
             "at most " + std::to_string(kVerifiersMax) +
                 " [[verifier]] are asked; three in different regions are enough");
    }
    if (config_.confirm.quorum > places.size() + 1) {
      report(Severity::Error, {"confirm.quorum", "verifier"},
             "confirm.quorum (" + std::to_string(config_.confirm.quorum) +
                 ") is more than there are vantages: " + std::to_string(places.size()) +
                 " by region or name, and this daemon; lower it or add verifiers elsewhere");
    }
    if (const std::string_view file = default_file(); !file.empty()) {
      const std::string key = "checks." + std::string(file);
      report(Severity::Warning, {key},
             key + " is a file of this machine and holds for every site that does not set its own: no "
                   "verifier can make such a check, so this daemon's own word is enough for them "
                   "(`bound` in their incidents); set it for the sites that need it");
    }
    if (config_.confirm.quorum == 1) {
      report(Severity::Warning, {"confirm.quorum"},
             "confirm.quorum is 1: this daemon's own word is enough, and no verifier is asked");
    }
    if (config_.confirm.timeout < config_.checks.options.timeout) {
      report(Severity::Warning, {"confirm.timeout", "checks.timeout"},
             "confirm.timeout (" + core::format_duration(config_.confirm.timeout) +
                 ") is shorter than checks.timeout (" +
                 core::format_duration(config_.checks.options.timeout) +
                 "): a site that answers nothing is not told by a verifier in time; raise it");
    }
  }

  // The default that no other machine can check with (verify::bound_to_here); "": there is none.
  [[nodiscard]] std::string_view default_file() const {
    const core::CheckOptions& o = config_.checks.options;
    for (const auto& [name, file] : {std::pair{"ca_file", &o.ca_file},
                                     std::pair{"client_cert_file", &o.client_cert_file},
                                     std::pair{"client_key_file", &o.client_key_file},
                                     std::pair{"auth_password_file", &o.auth_password_file},
                                     std::pair{"bearer_token_file", &o.bearer_token_file}}) {
      if (!file->empty()) return name;
    }
    return {};
  }

  // Of this machine alone, by the host that a client would ask: 127.0.0.1.example.org is anybody's.
  static bool is_local_url(std::string_view url) {
    constexpr std::string_view kScheme = "http://";
    if (!url.starts_with(kScheme)) return false;
    url.remove_prefix(kScheme.size());
    std::string host(url.substr(0, url.find_first_of("/?#\\")));
    if (host.find('@') != std::string::npos) return false;
    const bool bracketed = host.starts_with('[');
    if (const std::size_t end = host.find(bracketed ? "]:" : ":"); end != std::string::npos)
      host.resize(end + (bracketed ? 1 : 0));
    if (bracketed) host = host.ends_with(']') ? host.substr(1, host.size() - 2) : std::string();
    const auto address = checker::parse_ip(host);
    if (!address) return !bracketed && host == "localhost";
    return address->v6 ? address == checker::parse_ip("::1") : address->bytes[0] == 127;
  }

  void doubles(std::string_view key, const std::vector<std::string>& values) {
    std::set<std::string_view> seen;
    for (const std::string& value : values) {
      if (!seen.insert(value).second) {
        report(Severity::Error, {key},
               std::string(key) + " names '" + printable(value) + "' twice; remove one");
      }
    }
  }

  template <typename Entry>
  void entries(const std::string& section, const std::vector<Entry>& list) {
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < list.size(); ++i) {
      const std::string prefix = section + "." + std::to_string(i);
      const std::string name_key = prefix + ".name";
      const std::string& name = name_of(list[i]);
      if (name.empty()) {
        report(Severity::Error, {name_key, prefix},
               "a [[" + section +
                   "]] needs a name, by which logs and metrics can call it; add name = \"…\"");
      } else if (!names.insert(name).second) {
        report(Severity::Error, {name_key, prefix},
               "two [[" + section + "]] are named '" + printable(name) + "'; rename one");
      }
    }
  }
  static const std::string& name_of(const VerifierConfig& verifier) { return verifier.name; }
  static const std::string& name_of(const NotifyConfig& target) { return target.name(); }

  void sections() {
    entries("verifier", config_.verifiers);
    for (std::size_t i = 0; i < config_.verifiers.size(); ++i) {
      const std::string prefix = "verifier." + std::to_string(i);
      if (config_.verifiers[i].url.empty()) {
        report(Severity::Error, {prefix + ".url", prefix},
               "a [[verifier]] needs a url; add url = \"https://…\"");
      }
      if (config_.verifiers[i].name == "local") {
        report(Severity::Error, {prefix + ".name"},
               "'local' is what incidents call this daemon among the vantages; name the "
               "[[verifier]] otherwise");
      }
    }
    entries("notify", config_.notify);
    judge_notify(config_.notify, [this](Severity severity, std::size_t entry, std::string_view key,
                                        std::string message) {
      const std::string prefix = "notify." + std::to_string(entry);
      report(severity, {prefix + "." + std::string(key), prefix}, std::move(message));
    });
  }

  const Config& config_;
  const Places& set_;
  const std::string& file_;
  std::vector<Problem> problems_;
};

}  // namespace

std::vector<std::string_view> derive(Config& config, const Places& set) {
  core::CheckOptions& o = config.checks.options;
  if (set.find("checks.connect_timeout") == set.end() && o.connect_timeout > o.timeout) {
    o.connect_timeout = o.timeout;
    return {"checks.connect_timeout"};
  }
  return {};
}

std::vector<Problem> judge_rules(const Config& config, const Places& set, const std::string& file) {
  return Judge(config, set, file).run();
}

}  // namespace watchwheel::app
