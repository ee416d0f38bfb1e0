// SPDX-License-Identifier: Apache-2.0
#include "event_tables.h"

#include <sqlite3.h>

#include <array>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "support/child_process.h"

namespace watchwheel::testing {
namespace {

struct Law {
  const char* name;
  const char* count_of_breaches;
};

constexpr std::array<Law, 6> kLaws{{
    {"an event has exactly the transitions it says it has",
     "SELECT count(*) FROM events e LEFT JOIN (SELECT event_id, count(*) n, min(seq) low, max(seq)"
     " high FROM event_transitions GROUP BY event_id) t ON t.event_id = e.id WHERE t.n IS NULL OR"
     " t.n <> e.transitions_total OR t.low <> 1 OR t.high <> t.n"},
    {"each transition begins where the one before ended, and not earlier",
     "SELECT count(*) FROM event_transitions a JOIN event_transitions b ON b.event_id = a.event_id"
     " AND b.seq = a.seq + 1 WHERE a.after_state <> b.before_state OR b.at < a.at"},
    {"a site has one open event at most",
     "SELECT count(*) FROM (SELECT site_id FROM events WHERE ended_at IS NULL GROUP BY site_id"
     " HAVING count(*) > 1) x"},
    {"events of a site do not overlap",
     "SELECT count(*) FROM events a JOIN events b ON a.site_id = b.site_id AND a.started_at <"
     " b.started_at AND (a.ended_at IS NULL OR a.ended_at > b.started_at)"},
    {"a site's state is that of its open event",
     "SELECT count(*) FROM events e LEFT JOIN site_state s ON s.site_id = e.site_id WHERE"
     " e.ended_at IS NULL AND (s.event_id IS NULL OR s.event_id <> e.id OR s.event_state <>"
     " e.state)"},
    {"a site's state names no event that is over",
     "SELECT count(*) FROM site_state s LEFT JOIN events e ON e.id = s.event_id WHERE s.event_id IS"
     " NOT NULL AND (e.id IS NULL OR e.ended_at IS NOT NULL)"},
}};

std::set<std::uint64_t> ids(const std::vector<std::string>& rows) {
  std::set<std::uint64_t> all;
  for (const std::string& row : rows) all.insert(std::stoull(row));
  return all;
}

}  // namespace

std::vector<std::string> EventTables::rows(const std::string& sql) const {
  const Finished done =
      run_program({"mariadb", "--no-defaults", "-uroot", "-h127.0.0.1",
                   "-P" + std::to_string(port_), "-N", "-B", "-e", sql, database_});
  if (done.status != 0) throw std::runtime_error(sql + ": " + done.err);
  std::vector<std::string> all;
  std::istringstream lines(done.out);
  for (std::string line; std::getline(lines, line);) all.push_back(line);
  return all;
}

std::int64_t EventTables::number(const std::string& sql) const {
  return std::stoll(rows(sql).at(0));
}

std::string EventTables::broken_laws() const {
  std::string broken;
  for (const Law& law : kLaws) {
    if (const std::int64_t breaches = number(law.count_of_breaches); breaches != 0)
      broken += std::string(law.name) + ": " + std::to_string(breaches) + " breaches\n";
  }
  return broken;
}

std::set<Promised> EventTables::transitions() const {
  std::set<Promised> all;
  for (const std::string& row :
       rows("SELECT e.site_id, e.started_at, t.seq, t.reason FROM events e JOIN event_transitions t"
            " ON t.event_id = e.id")) {
    std::istringstream fields(row);
    std::uint64_t site = 0;
    std::int64_t start = 0;
    std::uint32_t seq = 0;
    std::string reason;
    fields >> site >> start >> seq >> reason;
    all.emplace(site, start, seq, reason);
  }
  return all;
}

std::set<std::uint64_t> EventTables::sites_down() const {
  return ids(rows("SELECT site_id FROM events WHERE ended_at IS NULL AND state = 'down'"));
}

std::set<std::uint64_t> EventTables::sites_with_open_event() const {
  return ids(rows("SELECT site_id FROM events WHERE ended_at IS NULL"));
}

std::set<Promised> promised_in_journal(const std::string& directory) {
  std::set<Promised> all;
  sqlite3* file = nullptr;
  sqlite3_stmt* read = nullptr;
  // Not created when it is not there.
  if (sqlite3_open_v2((directory + "/journal.db").c_str(), &file, SQLITE_OPEN_READWRITE, nullptr) ==
      SQLITE_OK) {
    sqlite3_busy_timeout(file, 5000);
    if (sqlite3_prepare_v2(file, "SELECT body FROM entries WHERE kind = 'event'", -1, &read,
                           nullptr) == SQLITE_OK) {
      while (sqlite3_step(read) == SQLITE_ROW) {
        const auto body =
            nlohmann::json::parse(reinterpret_cast<const char*>(sqlite3_column_text(read, 0)));
        for (const auto& transition : body.at("transitions"))
          all.emplace(body.at("site").get<std::uint64_t>(),
                      body.at("started_at").get<std::int64_t>(),
                      transition.at("seq").get<std::uint32_t>(),
                      transition.at("reason").get<std::string>());
      }
    }
    sqlite3_finalize(read);
  }
  sqlite3_close(file);
  return all;
}

}  // namespace watchwheel::testing
