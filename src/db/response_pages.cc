// SPDX-License-Identifier: Apache-2.0
#include "db/response_pages.h"

#include <string>

#include "db/response_codec.h"

namespace watchwheel::db {
namespace {

// Servers lock the row: a process that lost its name while it stood still may write beside the one that took it.
#define WATCHWHEEL_READ                                                                         \
  "SELECT token, counts FROM response_pages WHERE width_ms = ? AND started_at = ? AND page = ?" \
  " AND node = ?"
constexpr Sql kRead(WATCHWHEEL_READ, WATCHWHEEL_READ " FOR UPDATE");
#define WATCHWHEEL_INSERT                                                        \
  "INSERT INTO response_pages (width_ms, started_at, page, node, token, counts)" \
  " VALUES (?, ?, ?, ?, ?, ?)"
constexpr Sql kWrite(
    WATCHWHEEL_INSERT
    " ON CONFLICT (width_ms, started_at, page, node) DO UPDATE SET token = excluded.token,"
    " counts = excluded.counts",
    WATCHWHEEL_INSERT " ON DUPLICATE KEY UPDATE token = VALUES(token), counts = VALUES(counts)");

core::Result<void> add_width(Connection& connection, std::string_view node,
                             const sideeffects::ResponsePage& page, std::int64_t width_ms) {
  const std::int64_t at = core::to_unix_ms(page.hour);
  const std::int64_t started_at = at - (at % width_ms + width_ms) % width_ms;
  const auto number = static_cast<std::int64_t>(page.number);
  PageResponses responses;
  {
    Query query = connection.query(kRead);
    query.bind(width_ms).bind(started_at).bind(number).bind(node);
    core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (*row) {
      if (query.integer(0) == page.token) return {};
      // Nobody's but ours, and nothing hangs on it: what cannot be read begins anew.
      if (auto known = page_from_text(query.text(1))) responses = *std::move(known);
    }
  }
  for (const auto& site : page.sites) responses[site.offset] += site.counts;
  const std::string counts = page_to_text(responses);
  if (counts.empty()) return {};
  Query query = connection.query(kWrite);
  query.bind(width_ms).bind(started_at).bind(number).bind(node).bind(page.token);
  return query.bind(std::string_view(counts)).run();
}

}  // namespace

std::vector<Sql> response_page_queries() {
  return {kRead};
}

core::Result<void> add_response_page(Connection& connection, std::string_view node,
                                     const sideeffects::ResponsePage& page) {
  if (auto added = add_width(connection, node, page, kDayMs); !added) return added;
  return page.by_hour ? add_width(connection, node, page, kHourMs) : core::Result<void>();
}

}  // namespace watchwheel::db
