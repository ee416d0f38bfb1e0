// SPDX-License-Identifier: Apache-2.0
#include "app/waiting.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "app/status_summary.h"
#include "app/version.h"

namespace watchwheel::app {

std::string to_text(const Waiting& waiting) {
  const std::string journal =
      waiting.journal_error.empty()
          ? fmt::format("{} writes in the journal", waiting.journal_entries)
          : "what is in the journal cannot be read: " + waiting.journal_error;
  if (waiting.replaying)
    return fmt::format(
        "{} writes of the journal are being replayed and the site list comes after them: no site is checked",
        waiting.journal_entries);
  if (starting(waiting)) return "starting: the store is being opened, and no site is checked yet";
  if (waiting.journal_in_use)
    return fmt::format(
        "another process has the journal, and what it leaves comes before the site list: no site is checked since {} ({})",
        core::to_iso8601(waiting.since), waiting.error);
  if (waiting.name_in_use)
    return fmt::format(
        "another daemon may live under our node's name: this one checks no site since {} ({})",
        core::to_iso8601(waiting.since), waiting.error);
  return fmt::format(
      "the store is away since {} and the site list cannot be read: no site is checked; {}{} ({})",
      core::to_iso8601(waiting.since), journal,
      waiting.notices ? ", and people are told from it" : "", waiting.error);
}

std::string waiting_json(const Waiting& waiting, const std::string& store_url,
                         const std::string& listen, core::WallTime now) {
  nlohmann::ordered_json json;
  json["version"] = version();
  json["ready"] = false;
  json["now"] = core::to_iso8601(now);
  json["store"] = store_url;
  json["http"] = listen;
  const auto since = waiting.since == core::kNoWallTime || !store_away(waiting)
                         ? nlohmann::ordered_json()
                         : nlohmann::ordered_json(core::to_iso8601(waiting.since));
  json["recording"] = {{"store_away_since", since},
                       {"store_error", waiting.error},
                       {"journal", {{"used", true},
                                    {"entries", waiting.journal_entries},
                                    {"replaying", waiting.replaying},
                                    {"trouble", waiting.journal_error}}}};
  json["notify"] = {{"source", waiting.notices ? "journal" : "none"}};
  json["summary"] = {{"standing", to_string(Standing::Fault)}, {"text", to_text(waiting)}};
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace watchwheel::app
