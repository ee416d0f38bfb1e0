// SPDX-License-Identifier: Apache-2.0
#include "app/status_summary.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/units.h"

namespace watchwheel::app {
namespace {

using Json = nlohmann::ordered_json;

// The promise is age <= interval + timeout; a check that starts a second late is what we measure ourselves against.
constexpr double kLateS = 1;
constexpr double kStretched = 1.005;  // Less is shown as 1.00x.

const Json* find(const Json& json, const char* pointer) {
  const Json::json_pointer at(pointer);
  return json.contains(at) ? &json.at(at) : nullptr;
}

std::optional<double> number(const Json& json, const char* pointer) {
  const Json* at = find(json, pointer);
  if (at == nullptr || !at->is_number()) return std::nullopt;
  const double value = at->get<double>();
  return std::isfinite(value) ? std::optional(value) : std::nullopt;
}

double number_or_0(const Json& json, const char* pointer) {
  return number(json, pointer).value_or(0);
}

std::string text(const Json& json, const char* pointer) {
  const Json* at = find(json, pointer);
  return at != nullptr && at->is_string() ? at->get<std::string>() : std::string();
}

bool is_false(const Json& json, const char* pointer) {
  const Json* at = find(json, pointer);
  return at != nullptr && at->is_boolean() && !at->get<bool>();
}

std::string counted(double count, const std::string& one, const std::string& many) {
  return shown_number(count) + " " + (count == 1 ? one : many);
}

// "12 down, 3 seem down"; "" when all is well.
std::string trouble(const Json& json) {
  std::string words;
  const auto add = [&words](double count, const char* word) {
    if (count > 0) words += (words.empty() ? "" : ", ") + shown_number(count) + word;
  };
  add(number_or_0(json, "/sites/down"), " down");
  add(number_or_0(json, "/sites/seems_down"), " seem down");
  return words;
}

std::string limited_by(const Json& json, const char* pointer) {
  const std::string by = text(json, pointer);
  return by.empty() || by == "none" ? "" : ", limited by " + by;
}

std::string pace(const Json& json) {
  std::string words;
  if (const auto done = number(json, "/checks/done_per_second"))
    words += shown_number(*done) + " of " +
             shown_number(number_or_0(json, "/checks/required_per_second")) + " checks/s";
  if (const auto lag = number(json, "/lag_s/p99"))
    words += (words.empty() ? "lag p99 " : ", lag p99 ") + shown_seconds(*lag);
  return words;
}

std::optional<Summary> vantage_fault(const Json& json) {
  if (!is_false(json, "/vantage/healthy")) return std::nullopt;
  const std::string since = text(json, "/vantage/since");
  const std::string reason = text(json, "/vantage/reason");
  return Summary{Standing::Fault, "vantage fault" + (since.empty() ? "" : " since " + since) +
                                      (reason.empty() ? "" : " (" + reason + ")") +
                                      ": nothing is called down"};
}

std::optional<Summary> not_recorded(const Json& json) {
  const Json* poisoned = find(json, "/recording/poisoned");
  if (poisoned == nullptr || !poisoned->is_array() || poisoned->empty()) return std::nullopt;
  const auto count = static_cast<double>(poisoned->size());
  return Summary{Standing::Fault, "not recorded: the store refuses what became of " +
                                      counted(count, "site", "sites")};
}

std::optional<Summary> journal_trouble(const Json& json) {
  const Json* full = find(json, "/recording/journal/full");
  if (full != nullptr && full->is_boolean() && full->get<bool>())
    return Summary{Standing::Fault,
                   "the store is away and the journal takes no more: what is judged waits in memory"};
  if (const double count = number_or_0(json, "/recording/journal/set_aside"); count > 0)
    return Summary{Standing::Fault, "not recorded: the store refused " +
                                        counted(count, "write", "writes") + " of the journal"};
  if (const std::string why = text(json, "/recording/journal/trouble"); !why.empty())
    return Summary{Standing::Fault, "there is no journal, should the store go away: " + why};
  const Json* replaying = find(json, "/recording/journal/replaying");
  if (replaying != nullptr && replaying->is_boolean() && replaying->get<bool>())
    return Summary{Standing::Fault,
                   "the store is back: checks go on, " +
                       counted(number_or_0(json, "/recording/journal/entries"), "write", "writes") +
                       " of the journal are being replayed"};
  if (const std::string since = text(json, "/recording/store_away_since"); !since.empty())
    return Summary{Standing::Fault,
                   "the store is away since " + since + ": checks go on, " +
                       counted(number_or_0(json, "/recording/journal/entries"), "write", "writes") +
                       " in the journal"};
  return std::nullopt;
}

std::optional<Summary> lateness(const Json& json) {
  if (const double factor = number_or_0(json, "/stretch/factor"); factor >= kStretched) {
    std::array<char, 32> shown{};
    std::snprintf(shown.data(), shown.size(), factor < 1.1 ? "%.2fx" : "%.1fx", factor);
    return Summary{Standing::Late, std::string("late: intervals stretched ") + shown.data() +
                                       limited_by(json, "/stretch/limited_by")};
  }
  if (const double lag = number_or_0(json, "/lag_s/p99"); lag >= kLateS)
    return Summary{Standing::Late, "late: one check in a hundred starts " + shown_seconds(lag) +
                                       " or more after it is due" +
                                       limited_by(json, "/in_flight/limited_by")};
  if (const double stale = number_or_0(json, "/freshness/stale_sites"); stale > 0)
    return Summary{Standing::Late, "no fresh result of " + counted(stale, "site", "sites") +
                                       ", the oldest " +
                                       shown_seconds(number_or_0(json, "/freshness/oldest_age_s")) +
                                       " old (`watchwheel sites list --state unknown`)"};
  return std::nullopt;
}

Summary on_time(const Json& json) {
  const double total = number_or_0(json, "/sites/total");
  const double active = total - number_or_0(json, "/sites/paused");
  if (find(json, "/sites/total") != nullptr && active <= 0)
    return {Standing::Ok, total > 0 ? "nothing to do: every site is paused"
                                    : "nothing to do: there are no sites yet"};
  Summary summary{Standing::Ok, "on time"};
  if (total > 0) summary.text += ": " + counted(total, "site", "sites");
  if (const std::string words = pace(json); !words.empty())
    summary.text += (total > 0 ? ", " : ": ") + words;
  return summary;
}

Summary worst(const Json& json) {
  const std::string away = text(json, "/recording/store_away_since");
  if (is_false(json, "/ready") && !away.empty())
    return {Standing::Fault, "the store is away since " + away +
                                 ": the site list cannot be read and no site is checked"};
  if (is_false(json, "/ready"))
    return {Standing::Loading, "loading: the site list is being read, " +
                                   counted(number_or_0(json, "/sites/total"), "site", "sites") +
                                   " so far"};
  if (auto fault = vantage_fault(json)) return *std::move(fault);
  if (auto fault = not_recorded(json)) return *std::move(fault);
  if (auto fault = journal_trouble(json)) return *std::move(fault);
  if (auto late = lateness(json)) return *std::move(late);
  return on_time(json);
}

}  // namespace

std::string_view to_string(Standing standing) {
  switch (standing) {
    case Standing::Ok:
      return "ok";
    case Standing::Loading:
      return "loading";
    case Standing::Late:
      return "late";
    case Standing::Fault:
      return "fault";
  }
  return "";
}

Summary summarize(const nlohmann::ordered_json& status) {
  Summary summary = worst(status);
  const auto add = [&summary](const std::string& words) { summary.text += "; " + words; };
  if (const std::string down = trouble(status); !down.empty()) add(down);
  if (const std::string measures = memory_measures(status); !measures.empty())
    add("memory is short: " + measures);
  if (is_false(status, "/config/reload_ok")) add("the last reload was refused");
  return summary;
}

std::string memory_measures(const Json& status) {
  const double level = number_or_0(status, "/memory/level");
  if (level < 1) return "";
  if (level < 2) return "caches are given back";
  if (level < 3) return "no new checks that keep bodies, nor, when it lasts, over TLS";
  return "hardly any new checks";
}

std::string shown_number(double value) {
  if (!std::isfinite(value) || std::abs(value) >= 1e18) return "?";
  std::array<char, 48> digits{};
  const bool whole = std::abs(value - std::round(value)) < 0.05;
  std::snprintf(digits.data(), digits.size(), whole || std::abs(value) >= 100 ? "%.0f" : "%.1f",
                value);
  std::string shown(digits.data());
  const std::size_t first = shown.starts_with('-') ? 1 : 0;
  const std::size_t point = std::min(shown.find('.'), shown.size());
  for (std::size_t at = point; at > first + 3; at -= 3) shown.insert(at - 3, ",");
  return shown;
}

std::string shown_seconds(double seconds) {
  if (!(seconds >= 0 && seconds < 1e9)) return "?";
  std::array<char, 32> shown{};
  if (seconds < 1) {
    std::snprintf(shown.data(), shown.size(), seconds < 0.1 ? "%.1fms" : "%.0fms", seconds * 1000);
    return shown.data();
  }
  if (seconds < 60) {
    std::snprintf(shown.data(), shown.size(), "%.1fs", seconds);
    return shown.data();
  }
  return core::humanize(std::chrono::duration_cast<core::Duration>(
      std::chrono::duration<double>(std::floor(seconds))));
}

}  // namespace watchwheel::app
