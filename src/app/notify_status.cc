// SPDX-License-Identifier: Apache-2.0
#include "app/notify_status.h"

#include <nlohmann/json.hpp>
#include <string>

namespace watchwheel::app {
namespace {

using nlohmann::ordered_json;
using sideeffects::TargetReading;

ordered_json target_json(const TargetReading& target) {
  ordered_json json{{"name", target.name},
                    {"type", to_string(target.type)},
                    {"circuit", to_string(target.circuit)},
                    {"gone", target.gone},
                    {"under_way", target.under_way},
                    {"waiting", target.waiting},
                    {"oldest_s", core::to_seconds(target.oldest)},
                    {"dead", target.dead},
                    {"delivered", target.delivered},
                    {"failed", target.failed},
                    {"last_at", nullptr},
                    {"last_failure", nullptr}};
  if (target.last_at != core::kNoWallTime) json["last_at"] = core::to_iso8601(target.last_at);
  if (!target.last_failure.empty()) json["last_failure"] = target.last_failure;
  return json;
}

}  // namespace

ordered_json notify_json(const NotifierReading& reading) {
  ordered_json targets = ordered_json::array();
  for (const TargetReading& target : reading.targets) targets.push_back(target_json(target));
  const sideeffects::DeliveryStats& sent = reading.deliveries;
  const sideeffects::RouterStats& routed = reading.router;
  std::uint64_t held = 0;
  for (const core::Counter& one : routed.held) held += one.value();
  // Where notices come from, and what became of them while they came from the journal.
  ordered_json local = nullptr;
  std::string source = "store";
  if (reading.local) {
    source = to_string(reading.local->phase);
    local = {{"times", reading.local->times},
             {"presumed", reading.local->presumed},
             {"handed_over", reading.local->handed_over},
             {"errors", reading.local->errors}};
  }
  ordered_json not_kept = nullptr;
  if (!reading.not_kept.empty()) not_kept = reading.not_kept;
  return {{"source", source},
          {"journal", std::move(local)},
          {"not_kept", std::move(not_kept)},
          {"notices_waiting", routed.waiting.value()},
          {"notices_oldest_s", routed.oldest_s.value()},
          {"notices_routed", routed.notices.value()},
          {"notices_unstorable", routed.unstorable.value()},
          {"held", held},
          {"flapping", reading.flapping.sites.value()},
          {"waiting", sent.waiting.value()},
          {"under_way", sent.under_way.value()},
          {"oldest_s", sent.oldest_s.value()},
          {"dead_letters", sent.dead_letters.value()},
          {"errors", routed.errors.value() + sent.errors.value()},
          {"targets", std::move(targets)}};
}

}  // namespace watchwheel::app
