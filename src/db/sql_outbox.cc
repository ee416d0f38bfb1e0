// SPDX-License-Identifier: Apache-2.0
#include "db/sql_outbox.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "db/delivery_rows.h"
#include "db/rows.h"
#include "db/site_codec.h"
#include "db/testimony_codec.h"

namespace watchwheel::db {
namespace {

using sideeffects::NewDelivery;
using sideeffects::NewWake;
using sideeffects::Notice;
using sideeffects::NoticeId;
using sideeffects::Settling;
using sideeffects::Telling;

#define WATCHWHEEL_NOTICE                                                                   \
  " e.id, e.state, e.started_at, e.confirmed_at, e.ended_at, e.failures, e.cause, e.phase," \
  " e.http_status, e.detail, e.address, e.group_id, g.started_at, s.url, s.name, s.tags,"  \
  " e.witnesses, e.acked_at, e.kind, e.step_ms"
#define WATCHWHEEL_NOTICE_JOINS                                                             \
  " LEFT JOIN events e ON e.id = o.event_id LEFT JOIN outage_groups g ON g.id = e.group_id" \
  " LEFT JOIN sites s ON s.id = o.site_id"
#define WATCHWHEEL_PAGE(by_id)                                                            \
  "SELECT o.id, o.site_id, o.event_id, o.queued_at," WATCHWHEEL_NOTICE                    \
  ", t.seq, t.reason, t.before_state, t.after_state, t.at, t.failures, t.cause, t.phase," \
  " t.http_status, t.detail, t.address, t.act, t.step_ms FROM outbox o" by_id WATCHWHEEL_NOTICE_JOINS       \
  " LEFT JOIN event_transitions t ON t.event_id = o.event_id AND t.seq = o.seq"           \
  " WHERE o.id > ? ORDER BY o.id LIMIT ?"
constexpr Sql kPage(WATCHWHEEL_PAGE(""), WATCHWHEEL_PAGE(" FORCE INDEX (PRIMARY)"));
#define WATCHWHEEL_WAKES(index)                                               \
  "SELECT o.id, o.site_id, o.event_id, o.due_at," WATCHWHEEL_NOTICE           \
  ", o.memo FROM outbox_wakes o " index WATCHWHEEL_NOTICE_JOINS               \
  " WHERE o.due_at <= ?1 AND o.due_at >= ?2 AND (o.due_at > ?2 OR o.id > ?3)" \
  " ORDER BY o.due_at, o.id LIMIT ?4"
constexpr Sql kWakes(WATCHWHEEL_WAKES("INDEXED BY outbox_wakes_due"),
                     WATCHWHEEL_WAKES("FORCE INDEX (outbox_wakes_due)"));
// What of these sites waits for the digest of its mass outage: the memo is routing.cc's.
#define WATCHWHEEL_DIGESTS(index) \
  "SELECT event_id FROM outbox_wakes " index " WHERE memo = 'digest' AND site_id IN " WATCHWHEEL_IDS
constexpr Sql kDigestsWaiting(WATCHWHEEL_DIGESTS("INDEXED BY outbox_wakes_site"),
                              WATCHWHEEL_DIGESTS("FORCE INDEX (outbox_wakes_site)"));
// Ends that wait for others, of these sites.
#define WATCHWHEEL_FORMER(index)                                    \
  "SELECT o.id, o.site_id, o.event_id, o.due_at," WATCHWHEEL_NOTICE \
  ", o.memo FROM outbox_wakes o " index WATCHWHEEL_NOTICE_JOINS     \
  " WHERE (o.memo LIKE 'digest:%' OR o.memo LIKE 'warning_over:%') AND o.site_id IN " WATCHWHEEL_IDS
constexpr Sql kFormer(WATCHWHEEL_FORMER("INDEXED BY outbox_wakes_site"),
                      WATCHWHEEL_FORMER("FORCE INDEX (outbox_wakes_site)"));
#define WATCHWHEEL_TELLINGS(index)                                                            \
  "SELECT t.event_id, t.delivery_id, t.target, t.kind, t.state, t.at, d.attempts, d.requeues" \
  " FROM delivery_tellings t " index                                                          \
  " LEFT JOIN deliveries d ON d.id = t.delivery_id"                                           \
  " WHERE t.event_id IN " WATCHWHEEL_IDS " ORDER BY t.event_id, t.delivery_id"
constexpr Sql kTellings(WATCHWHEEL_TELLINGS("INDEXED BY delivery_tellings_event"),
                        WATCHWHEEL_TELLINGS("FORCE INDEX (delivery_tellings_event)"));
constexpr Sql kRemoveNotices(
    "DELETE FROM outbox WHERE id IN " WATCHWHEEL_IDS,
    "DELETE o FROM outbox o FORCE INDEX (PRIMARY) WHERE o.id IN " WATCHWHEEL_IDS);
constexpr Sql kRemoveWakes(
    "DELETE FROM outbox_wakes WHERE id IN " WATCHWHEEL_IDS,
    "DELETE o FROM outbox_wakes o FORCE INDEX (PRIMARY) WHERE o.id IN " WATCHWHEEL_IDS);
#define WATCHWHEEL_UNTOUCHED "SELECT id, target, state, attempts, requeues FROM deliveries"
constexpr Sql kUntouched(WATCHWHEEL_UNTOUCHED " WHERE id IN " WATCHWHEEL_IDS " ORDER BY id",
                         WATCHWHEEL_UNTOUCHED " FORCE INDEX (PRIMARY) WHERE id IN " WATCHWHEEL_IDS
                                              " ORDER BY id FOR UPDATE");
constexpr Sql kInsert =
    "INSERT INTO deliveries (target, vt, state, line, kind, message_id, site_id, made_at, "
    "queued_at, body)"
    " VALUES (?, ?, 0, ?, ?, ?, ?, ?, ?, ?)";
constexpr Sql kInsertTelling =
    "INSERT INTO delivery_tellings (delivery_id, event_id, target, kind, state, at)"
    " VALUES (?, ?, ?, ?, 'queued', ?)";
// Many a statement, for a turn that holds the sites of a mass outage makes one of each.
#define WATCHWHEEL_INSERT_WAKE "INSERT INTO outbox_wakes (due_at, site_id, event_id, memo) VALUES "
#define WATCHWHEEL_FIVE_WAKES \
  "(?, ?, ?, ?), (?, ?, ?, ?), (?, ?, ?, ?), (?, ?, ?, ?), (?, ?, ?, ?)"
constexpr Sql kInsertWake = WATCHWHEEL_INSERT_WAKE "(?, ?, ?, ?)";
constexpr Sql kInsertManyWakes =
    WATCHWHEEL_INSERT_WAKE WATCHWHEEL_FIVE_WAKES ", " WATCHWHEEL_FIVE_WAKES
                                                 ", " WATCHWHEEL_FIVE_WAKES
                                                 ", " WATCHWHEEL_FIVE_WAKES;
constexpr std::size_t kManyWakesRows = 20;
// min() of an aggregate over no rows is NULL, count(*) is 0.
constexpr Sql kLevel = "SELECT count(*), min(queued_at) FROM outbox";
constexpr Sql kWakesDue = "SELECT count(*), min(due_at) FROM outbox_wakes WHERE due_at <= ?";

constexpr std::size_t kPageRows = 200;
// Rows of other processes, and later ones of a site, are read past; so many pages a call.
constexpr int kPagesMax = 20;
// When all of that is other processes', the next call goes on behind it: one that stands still stops nobody else. It begins anew at
// the end, after so many calls, and when so many sites were passed over.
constexpr int kReadingsMax = 50;
constexpr std::size_t kForeignMax = 200'000;
// Wakes have a table, and so ids, of their own.
constexpr std::uint64_t kWakeBit = std::uint64_t{1} << 62U;

constexpr std::size_t kTargetBytesMax = 64;
constexpr std::size_t kKindBytesMax = 32;
constexpr std::size_t kMessageIdBytesMax = 64;
constexpr std::size_t kMemoBytesMax = 255;

constexpr int kEventColumn = 4;
constexpr int kOwnColumn = kEventColumn + 20;  // Of the transition, or the memo.

core::Error too_long(const NewDelivery& delivery, const char* what) {
  return core::Error{core::ErrorKind::Invalid,
                     "message " + delivery.message_id + ": its " + what + " is empty or too long"};
}

core::Result<void> check_shape(const NewDelivery& delivery) {
  const auto fits = [](const std::string& text, std::size_t bytes_max) {
    return !text.empty() && text.size() <= bytes_max;
  };
  if (!fits(delivery.message_id, kMessageIdBytesMax)) return too_long(delivery, "id");
  if (!fits(delivery.target, kTargetBytesMax)) return too_long(delivery, "target");
  if (!fits(delivery.kind, kKindBytesMax)) return too_long(delivery, "kind");
  if (delivery.body.size() > sideeffects::kDeliveryBodyMax) return too_long(delivery, "body");
  return {};
}

std::optional<Telling::State> parse_telling_state(std::string_view text) {
  if (text == "queued") return Telling::State::Queued;
  if (text == "told") return Telling::State::Told;
  if (text == "dead") return Telling::State::Dead;
  if (text == "cancelled") return Telling::State::Cancelled;
  return std::nullopt;
}

core::Result<void> read_event(const Connection& connection, const Query& row, Notice& notice) {
  notice.event_known = !row.is_null(kEventColumn);
  if (!notice.event_known) return {};
  const core::Result<core::EventKind> kind = event_kind_from(connection, row, 22);
  if (!kind) return kind.error();
  notice.kind = *kind;
  notice.step = duration_from(row, 23);
  const bool warns = notice.kind != core::EventKind::Outage && row.text(5) == kWarningOpen;
  const std::optional<core::SiteState> state = warns            ? core::SiteState::Unknown
                                               : row.is_null(8) ? core::parse_site_state(row.text(5))
                                                                : core::SiteState::Up;
  if (!state)
    return corrupt_row(connection, "event " + std::to_string(notice.event.value) +
                                       " has the unknown state '" + std::string(row.text(5)) + "'");
  core::Result<core::Evidence> evidence = evidence_from(connection, row, 10);
  if (!evidence) return evidence.error();
  notice.state = *state;
  notice.started_at = row.time(6);
  notice.confirmed_at = row.time(7);
  notice.ended_at = row.time(8);
  notice.failures = static_cast<std::uint32_t>(row.integer(9));
  notice.evidence = std::move(*evidence);
  notice.group = static_cast<std::uint64_t>(row.integer(15));
  notice.group_started_at = row.time(16);
  // What others saw is told where it can be read; for want of it nothing is left untold.
  if (auto testimony = testimony_from_json(row.text(20))) notice.testimony = *std::move(testimony);
  notice.acked = !row.is_null(21);
  return {};
}

core::Result<void> read_site(const Query& row, Notice& notice) {
  if (row.is_null(17)) return {};
  notice.url = row.text(17);
  notice.name = row.text(18);
  core::Result<std::vector<std::string>> tags = tags_from_json(row.text(19));
  if (!tags) return tags.error();
  notice.tags = std::move(*tags);
  return {};
}

core::Result<void> read_transition(const Connection& connection, const Query& row, Notice& notice) {
  if (!notice.event_known) return {};
  const auto reason = core::parse_transition_reason(row.text(kOwnColumn + 1));
  const auto before = transition_state(notice.kind, row.text(kOwnColumn + 2));
  const auto after = transition_state(notice.kind, row.text(kOwnColumn + 3));
  if (!reason || !before || !after)
    return corrupt_row(connection, "event " + std::to_string(notice.event.value) +
                                       " has a transition of unknown reason or state");
  core::Result<core::Evidence> evidence = evidence_from(connection, row, kOwnColumn + 6);
  if (!evidence) return evidence.error();
  notice.transition = {.seq = static_cast<std::uint32_t>(row.integer(kOwnColumn)),
                       .reason = *reason,
                       .before = *before,
                       .after = *after,
                       .at = row.time(kOwnColumn + 4),
                       .failures = static_cast<std::uint32_t>(row.integer(kOwnColumn + 5)),
                       .evidence = std::move(*evidence)};
  notice.transition.step = duration_from(row, kOwnColumn + 12);
  if (const auto act = sideeffects::parse_act(row.text(kOwnColumn + 11)))
    notice.transition.by = sideeffects::ByHand{
        .request = {}, .act = *act, .who = {}, .why = {}, .source = {}};
  return {};
}

core::Result<void> note_digests(Connection& connection, std::vector<Notice>& notices) {
  const auto may_wait = [](const Notice& notice) {
    return !notice.wake && notice.event_known && notice.problem.empty() && notice.group != 0 &&
           notice.state == core::SiteState::Up && notice.confirmed_at != core::kNoWallTime;
  };
  Ids sites;
  for (const Notice& notice : notices) {
    if (may_wait(notice)) sites.push_back(to_column(notice.site));
  }
  std::set<core::EventId> waiting;
  core::Result<void> read = by_parts(sites, [&](auto part) -> core::Result<void> {
    Query query = connection.query(kDigestsWaiting);
    bind_ids(query, part);
    while (true) {
      core::Result<bool> row = query.step();
      if (!row) return row.error();
      if (!*row) return {};
      waiting.insert(id_from<core::EventId>(query, 0));
    }
  });
  if (!read) return read;
  for (Notice& notice : notices) {
    if (may_wait(notice) && waiting.contains(notice.event)) notice.memo = "digest";
  }
  return {};
}

}  // namespace

// Where reading the notices has got to.
struct SqlOutbox::Page {
  bool wakes = false;
  std::int64_t now_ms = 0;
  std::int64_t after_due = 0;
  std::int64_t after_id = 0;
  std::size_t limit = 0;
  const std::function<bool(core::SiteId)>& mine;
  std::set<core::SiteId> seen;  // A site's later notices wait for its first, those of its next event too.
  std::vector<Notice> notices;
  std::vector<core::SiteId> passed;  // Not ours.
  bool full = false;                 // There may be more rows behind it.
};

core::Result<std::vector<Notice>> SqlOutbox::take(std::size_t limit,
                                                  const std::function<bool(core::SiteId)>& mine) {
  const core::Result<std::int64_t> now = connection_->now_ms();
  if (!now) return now.error();
  Page page{.now_ms = *now, .limit = limit, .mine = mine, .seen = {}, .notices = {}, .passed = {}};
  for (const bool wakes : {false, true}) {
    page.wakes = wakes;
    page.after_id = wakes ? 0 : foreign_until_;
    page.full = true;
    for (int pages = 0; page.full && pages < kPagesMax && page.notices.size() < limit; ++pages) {
      if (core::Result<void> read = read_page(page); !read) return read.error();
    }
    if (!wakes) remember_foreign(page);
  }
  if (core::Result<void> added = add_former(page.notices); !added) return added.error();
  if (core::Result<void> added = add_tellings(page.notices); !added) return added.error();
  if (auto noted = note_digests(*connection_, page.notices); !noted) return noted.error();
  return std::move(page.notices);
}

void SqlOutbox::remember_foreign(const Page& page) {
  const bool at_end = !page.full && page.notices.empty();
  if (at_end || ++readings_ > kReadingsMax || foreign_.size() > kForeignMax) {
    foreign_until_ = 0;
    foreign_.clear();
    readings_ = 0;
  } else if (page.full && page.notices.empty()) {
    foreign_until_ = page.after_id;
    foreign_.insert(page.passed.begin(), page.passed.end());
  }
}

core::Result<void> SqlOutbox::read_page(Page& page) {
  Query query = connection_->query(page.wakes ? kWakes : kPage);
  if (page.wakes) query.bind(page.now_ms).bind(page.after_due);
  query.bind(page.after_id).bind(static_cast<std::int64_t>(kPageRows));
  std::size_t rows = 0;
  while (true) {
    core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) break;
    ++rows;
    page.after_id = query.integer(0);
    if (page.wakes) page.after_due = query.integer(3);
    Notice notice;
    notice.id =
        NoticeId{static_cast<std::uint64_t>(query.integer(0)) | (page.wakes ? kWakeBit : 0)};
    notice.at = query.time(3);
    notice.site = id_from<core::SiteId>(query, 1);
    notice.event = id_from<core::EventId>(query, 2);
    notice.wake = page.wakes;
    if (page.notices.size() == page.limit) continue;
    if (foreign_.contains(notice.site) || !page.mine(notice.site)) {
      if (!page.wakes) page.passed.push_back(notice.site);
      continue;
    }
    if (!page.seen.insert(notice.site).second) continue;
    core::Result<void> read = read_event(*connection_, query, notice);
    if (read) read = read_site(query, notice);
    if (read && !page.wakes) read = read_transition(*connection_, query, notice);
    if (page.wakes) notice.memo = query.text(kOwnColumn);
    if (!read) notice.problem = read.error().message;
    page.notices.push_back(std::move(notice));
  }
  page.full = rows == kPageRows;
  return {};
}

// What cannot be read, or is not over, is a notice of its own when it is due. Which event was first its id says: a clock that was set
// back gives the next one an earlier start.
core::Result<void> SqlOutbox::add_former(std::vector<Notice>& notices) {
  std::map<core::SiteId, Notice*> by_site;
  Ids sites;
  for (Notice& notice : notices) {
    by_site[notice.site] = &notice;
    sites.push_back(to_column(notice.site));
  }
  return by_parts(sites, [&](auto part) -> core::Result<void> {
    Query query = connection_->query(kFormer);
    bind_ids(query, part);
    while (true) {
      core::Result<bool> row = query.step();
      if (!row) return row.error();
      if (!*row) return {};
      Notice& notice = *by_site.at(id_from<core::SiteId>(query, 1));
      Notice former;
      former.id = NoticeId{static_cast<std::uint64_t>(query.integer(0)) | kWakeBit};
      former.at = query.time(3);
      former.site = notice.site;
      former.event = id_from<core::EventId>(query, 2);
      former.wake = true;
      former.memo = query.text(kOwnColumn);
      if (!read_event(*connection_, query, former) || !read_site(query, former)) continue;
      const bool over = former.event_known && former.ended_at != core::kNoWallTime;
      if (former.kind != notice.kind) continue;  // A condition of its own.
      if (!over || !notice.event_known || former.event >= notice.event) continue;
      const auto later = [](const Notice& a, const Notice& b) { return a.event < b.event; };
      notice.former.insert(
          std::upper_bound(notice.former.begin(), notice.former.end(), former, later),
          std::move(former));
    }
  });
}

core::Result<void> SqlOutbox::add_tellings(std::vector<Notice>& notices) {
  std::map<std::int64_t, Notice*> by_event;
  Ids events;
  const auto add = [&](Notice& notice) {
    by_event[to_column(notice.event)] = &notice;
    events.push_back(to_column(notice.event));
  };
  for (Notice& notice : notices) {
    add(notice);
    for (Notice& former : notice.former) add(former);
  }
  return by_parts(events, [&](auto part) -> core::Result<void> {
    Query query = connection_->query(kTellings);
    bind_ids(query, part);
    while (true) {
      core::Result<bool> row = query.step();
      if (!row) return row.error();
      if (!*row) return {};
      const std::optional<Telling::State> state = parse_telling_state(query.text(4));
      if (!state)
        return corrupt_row(*connection_,
                           "a telling has the unknown state '" + std::string(query.text(4)) + "'");
      by_event.at(query.integer(0))
          ->tellings.push_back({.delivery = id_from<sideeffects::DeliveryId>(query, 1),
                                .target = std::string(query.text(2)),
                                .kind = std::string(query.text(3)),
                                .state = *state,
                                .attempted = query.integer(6) > 0 || query.integer(7) > 0,
                                .at = query.time(5)});
    }
  });
}

core::Result<Settling> SqlOutbox::settle(std::span<const NoticeId> notices,
                                         std::span<const NewDelivery> deliveries,
                                         std::span<const NewWake> wakes) {
  for (const NewDelivery& delivery : deliveries) {
    if (core::Result<void> shape = check_shape(delivery); !shape) return shape.error();
  }
  for (const NewWake& wake : wakes) {
    if (wake.memo.size() > kMemoBytesMax)
      return core::Error{core::ErrorKind::Invalid, "the memo of a wake is too long: " + wake.memo};
  }
  return retried(*connection_, [&]() -> core::Result<Settling> {
    core::Result<Transaction> transaction = Transaction::write(*connection_);
    if (!transaction) return transaction.error();
    const core::Result<std::int64_t> now = connection_->now_ms();
    if (!now) return now.error();
    const core::Result<bool> removed = remove_notices(notices);
    if (!removed) return removed.error();
    if (!*removed) return Settling::Stale;
    for (const NewDelivery& delivery : deliveries) {
      const core::Result<bool> cancelled = cancel(delivery, *now);
      if (!cancelled) return cancelled.error();
      if (*cancelled) continue;
      if (core::Result<void> done = insert(delivery, *now); !done) return done.error();
    }
    if (core::Result<void> done = insert(wakes, *now); !done) return done.error();
    if (core::Result<void> done = transaction->commit(); !done) return done.error();
    return Settling::Done;
  });
}

// False: some of them were gone.
core::Result<bool> SqlOutbox::remove_notices(std::span<const NoticeId> notices) {
  Ids ids[2];
  for (const NoticeId notice : notices) {
    const bool wake = (notice.value & kWakeBit) != 0;
    ids[wake ? 1 : 0].push_back(static_cast<std::int64_t>(notice.value & ~kWakeBit));
  }
  std::uint64_t removed = 0;
  std::uint64_t wanted = 0;
  for (const bool wakes : {false, true}) {
    Ids& all = ids[wakes ? 1 : 0];
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    wanted += all.size();
    core::Result<void> done = by_parts(all, [&](auto part) -> core::Result<void> {
      Query query = connection_->query(wakes ? kRemoveWakes : kRemoveNotices);
      bind_ids(query, part);
      if (core::Result<void> ran = query.run(); !ran) return ran;
      removed += connection_->rows_changed();
      return {};
    });
    if (!done) return done.error();
  }
  return removed == wanted;
}

// True: all that `delivery` may stand for were taken back instead.
core::Result<bool> SqlOutbox::cancel(const NewDelivery& delivery, std::int64_t now_ms) {
  if (delivery.instead_of.empty()) return false;
  Ids ids;
  for (const sideeffects::DeliveryId id : delivery.instead_of) ids.push_back(to_column(id));
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  std::size_t untouched = 0;
  core::Result<void> found = by_parts(ids, [&](auto part) -> core::Result<void> {
    Query query = connection_->query(kUntouched);
    bind_ids(query, part);
    while (true) {
      core::Result<bool> row = query.step();
      if (!row) return row.error();
      if (!*row) return {};
      const bool leased = query.integer(2) == static_cast<int>(DeliveryState::Leased);
      if (!leased && query.text(1) == delivery.target && query.integer(3) == 0 &&
          query.integer(4) == 0)
        ++untouched;
    }
  });
  if (!found) return found.error();
  if (untouched != ids.size()) return false;
  for (const std::int64_t id : ids) {
    core::Result<void> copied =
        copy_to_done(*connection_, {.id = id, .cancelled = true, .at_ms = now_ms});
    if (!copied) return copied.error();
  }
  core::Result<void> removed = remove_from_queue(*connection_, ids, now_ms, "cancelled");
  if (!removed) return removed.error();
  return true;
}

core::Result<void> SqlOutbox::insert(const NewDelivery& delivery, std::int64_t now_ms) {
  Query query = connection_->query(kInsert);
  query.bind(std::string_view(delivery.target)).bind(now_ms + to_ms_up(delivery.delay));
  query.bind(static_cast<std::int64_t>(delivery.line)).bind(std::string_view(delivery.kind));
  query.bind(std::string_view(delivery.message_id)).bind(to_column(delivery.site));
  query.bind(now_ms).bind(now_ms).bind(std::string_view(delivery.body));
  if (core::Result<void> done = query.run(); !done) return done;
  if (delivery.events.empty()) return {};
  const core::Result<std::int64_t> id = connection_->last_insert_id();
  if (!id) return id.error();
  for (const core::EventId event : std::set(delivery.events.begin(), delivery.events.end())) {
    Query telling = connection_->query(kInsertTelling);
    telling.bind(*id).bind(to_column(event)).bind(std::string_view(delivery.target));
    telling.bind(std::string_view(delivery.kind)).bind(now_ms);
    if (core::Result<void> done = telling.run(); !done) return done;
  }
  return {};
}

core::Result<void> SqlOutbox::insert(std::span<const NewWake> wakes, std::int64_t now_ms) {
  while (!wakes.empty()) {
    const bool many = wakes.size() >= kManyWakesRows;
    Query query = connection_->query(many ? kInsertManyWakes : kInsertWake);
    const std::size_t rows = many ? kManyWakesRows : 1;
    for (const NewWake& wake : wakes.first(rows)) {
      query.bind(now_ms + to_ms_up(wake.delay)).bind(to_column(wake.site));
      query.bind(to_column(wake.event)).bind(std::string_view(wake.memo));
    }
    if (core::Result<void> done = query.run(); !done) return done;
    wakes = wakes.subspan(rows);
  }
  return {};
}

core::Result<sideeffects::Outbox::Level> SqlOutbox::level() {
  const core::Result<std::int64_t> now = connection_->now_ms();
  if (!now) return now.error();
  Level level;
  for (const Sql& sql : {kLevel, kWakesDue}) {
    Query query = connection_->query(sql);
    if (sql.sqlite == kWakesDue.sqlite) query.bind(*now);
    const core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row || query.is_null(1)) continue;
    level.waiting += static_cast<std::uint64_t>(query.integer(0));
    level.oldest =
        std::max<core::Duration>(level.oldest, std::chrono::milliseconds(*now - query.integer(1)));
  }
  return level;
}

std::vector<Sql> outbox_queries() {
  return {kPage,          kWakes,     kDigestsWaiting, kFormer,        kTellings,   kRemoveNotices,
          kRemoveWakes,   kUntouched, kInsert,         kInsertTelling, kInsertWake, kLevel,
          kWakesDue};
}

}  // namespace watchwheel::db
