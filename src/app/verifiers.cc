// SPDX-License-Identifier: Apache-2.0
#include "app/verifiers.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>
#include <utility>

#include "app/version.h"
#include "checker/secret_file.h"
#include "http/access.h"

namespace watchwheel::app {
namespace {

using nlohmann::ordered_json;
using namespace std::chrono_literals;

constexpr core::Duration kExamineEvery = 60s;

core::Result<verify::VerifierSettings> settings_of(const VerifierConfig& one) {
  verify::VerifierSettings settings{.name = one.name,
                                    .region = one.region,
                                    .url = one.url,
                                    .token = {},
                                    .ca_file = one.ca_file,
                                    .client_cert = {},
                                    .client_key = {}};
  const auto wrong = [&](const std::string& key, const core::Error& why) {
    return core::Error{why.kind, "verifier '" + one.name + "', " + key + ": " + why.message};
  };
  for (const auto& [key, file, into] :
       {std::tuple{"token_file", &one.token_file, &settings.token},
        std::tuple{"client_cert_file", &one.client_cert_file, &settings.client_cert},
        std::tuple{"client_key_file", &one.client_key_file, &settings.client_key}}) {
    if (file->empty()) continue;
    auto path = checker::secret_path(*file);
    if (!path) return wrong(key, path.error());
    *into = *std::move(path);
  }
  if (!settings.token.empty()) {
    auto token = http::load_token(settings.token);
    if (!token) return wrong("token_file", token.error());
    settings.token = *std::move(token);
  }
  return settings;
}

// Once for each change of how a verifier does.
void say(Log& log, const verify::VerifierReading& now, verify::Standing before) {
  const std::string line = fmt::format("verifier_{} name=\"{}\" region=\"{}\" before={}",
                                       verify::to_string(now.standing), now.name, now.region,
                                       verify::to_string(before));
  switch (now.standing) {
    case verify::Standing::Silent:
      log.error(line + fmt::format(" action=decide_without_it error=\"{}\"", now.last_error));
      break;
    case verify::Standing::Contrary:
      log.error(line + " meaning=\"it sees up whatever we see down\"");
      break;
    case verify::Standing::Wrong:
      log.error(line + fmt::format(" action=not_counted error=\"{}\"", now.last_error));
      break;
    case verify::Standing::Overloaded:
      log.warn(line);
      break;
    case verify::Standing::Unknown:
    case verify::Standing::Well:
      log.info(line);
      break;
  }
}

std::uint64_t count(const verify::VerifierStats& stats, core::Saw saw) {
  return stats.answers[static_cast<std::size_t>(saw)].value();
}

}  // namespace

core::ConfirmPolicy confirm_policy(const Config& config) {
  core::ConfirmPolicy policy = config.confirm.policy;
  std::set<std::string> others;
  for (const VerifierConfig& one : config.verifiers)
    others.insert(sideeffects::Seat{one.name, one.region}.vantage());
  policy.quorum = std::min(config.confirm.quorum, static_cast<std::uint32_t>(others.size() + 1));
  policy.verify_timeout = config.confirm.timeout;
  policy.dispute_most = config.confirm.dispute;
  return policy;
}

core::Result<std::unique_ptr<verify::PanelThread>> make_panel(const Config& config,
                                                              const core::Clock& clock, Log& log) {
  if (config.verifiers.empty()) return std::unique_ptr<verify::PanelThread>();
  std::vector<verify::VerifierSettings> list;
  for (const VerifierConfig& one : config.verifiers) {
    auto settings = settings_of(one);
    if (!settings) return settings.error();
    list.push_back(*std::move(settings));
  }
  auto panel = std::make_unique<verify::PanelThread>(
      std::move(list), verify::PanelLimits{.examine_every = kExamineEvery}, default_user_agent(),
      [&log](const verify::VerifierReading& now, verify::Standing before) { say(log, now, before); },
      clock);
  panel->set_canaries(config.vantage.canaries);
  return panel;
}

std::string verifiers_json(const VerifiersReading& reading) {
  double waiting = 0;
  double disputed = 0;
  for (const auto* shard : reading.shards) {
    waiting += shard->waiting.value();
    disputed += shard->disputed.value();
  }
  ordered_json list = ordered_json::array();
  const auto readings = reading.panel != nullptr ? reading.panel->readings()
                                                 : std::vector<verify::VerifierReading>();
  for (std::size_t seat = 0; seat < readings.size(); ++seat) {
    const verify::VerifierReading& one = readings[seat];
    const verify::VerifierStats& stats = reading.panel->stats(seat);
    list.push_back(
        {{"name", one.name},
         {"region", one.region},
         {"url", one.url},
         {"state", verify::to_string(one.standing)},
         {"since", one.since == core::kNoWallTime ? ordered_json()
                                                  : ordered_json(core::to_iso8601(one.since))},
         {"error", one.last_error},
         {"asked", stats.asked.value()},
         {"agreed", count(stats, core::Saw::Down)},
         {"disagreed", count(stats, core::Saw::Up)},
         {"not_measured", count(stats, core::Saw::NotMeasured)},
         {"overloaded", count(stats, core::Saw::Overloaded)},
         {"silent", count(stats, core::Saw::Silent)},
         {"errors", count(stats, core::Saw::Error)}});
  }
  return ordered_json{{"quorum", reading.quorum},
                      {"waiting", static_cast<std::uint64_t>(waiting)},
                      {"disputed", static_cast<std::uint64_t>(disputed)},
                      {"verifiers", std::move(list)}}
      .dump();
}

}  // namespace watchwheel::app
