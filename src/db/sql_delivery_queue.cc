// SPDX-License-Identifier: Apache-2.0
#include "db/sql_delivery_queue.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "core/ensure.h"
#include "db/rows.h"
#include "db/text.h"

namespace watchwheel::db {
namespace {

using sideeffects::Claimed;
using sideeffects::Claimer;
using sideeffects::DeathReason;
using sideeffects::Delivery;
using sideeffects::DeliveryId;
using sideeffects::Finish;
using sideeffects::Want;

constexpr Sql kIsDue = "SELECT 1 FROM deliveries WHERE target = ? AND vt >= ? AND vt <= ? LIMIT 1";
#define WATCHWHEEL_CANDIDATES(index)                      \
  "SELECT id, state, rescues, vt FROM deliveries " index  \
  " WHERE target = ? AND vt >= ? AND vt <= ? ORDER BY vt" \
  " LIMIT ?"
constexpr Sql kCandidates(
    WATCHWHEEL_CANDIDATES("INDEXED BY deliveries_claim"),
    WATCHWHEEL_CANDIDATES("FORCE INDEX (deliveries_claim)") " FOR UPDATE SKIP LOCKED");
// Of each, when the first of its line is seen again, -1 when it is being sent; NULL: it is the first.
#define WATCHWHEEL_BEFORE(line_index, by_id)                                              \
  "SELECT d.id, (SELECT CASE WHEN p.state = 1 AND p.vt > ? THEN -1 ELSE p.vt END"         \
  " FROM deliveries p " line_index                                                        \
  " WHERE p.target = d.target AND p.line = d.line AND p.id < d.id ORDER BY p.id LIMIT 1)" \
  " FROM deliveries d " by_id " WHERE d.id IN " WATCHWHEEL_IDS
constexpr Sql kBefore(WATCHWHEEL_BEFORE("INDEXED BY deliveries_line", ""),
                      WATCHWHEEL_BEFORE("FORCE INDEX (deliveries_line)", "FORCE INDEX (PRIMARY)"));
// Of each end that stands in another line than what it ends: the same of what waits of its events for its target.
#define WATCHWHEEL_BEFORE_END(by_id, by_event, by_key)                                \
  "SELECT t.delivery_id, CASE WHEN p.state = 1 AND p.vt > ? THEN -1 ELSE p.vt END"    \
  " FROM delivery_tellings t " by_id " JOIN delivery_tellings b " by_event            \
  " ON b.event_id = t.event_id AND b.delivery_id < t.delivery_id"                     \
  " JOIN deliveries p " by_key " ON p.id = b.delivery_id WHERE b.target = t.target"   \
  " AND b.state = 'queued' AND t.kind IN ('up', 'up_group', 'warning_over',"          \
  " 'warning_over_group', 'flapping_over') AND t.delivery_id IN " WATCHWHEEL_IDS
constexpr Sql kBeforeEnd(WATCHWHEEL_BEFORE_END("", "INDEXED BY delivery_tellings_event", ""),
                         WATCHWHEEL_BEFORE_END("FORCE INDEX (PRIMARY)",
                                               "FORCE INDEX (delivery_tellings_event)",
                                               "FORCE INDEX (PRIMARY)"));
// Of each message that says that something began: the same of ends that wait, in whichever line, of the site's event of that kind
// before of which its target was told, or will be: one that was given up or taken back hides none. Before by its number: the wall
// clock may have been set. A look back of so long, for a site may have had many events of which nobody was told.
#define WATCHWHEEL_FORMER_MS "259200000"
#define WATCHWHEEL_BEFORE_BEGINNING(in_order, by_id, by_key, named, by_event)                     \
  "SELECT " in_order " t.delivery_id,"                                                          \
  " CASE WHEN p.state = 1 AND p.vt > ? THEN -1 ELSE p.vt END"                                   \
  " FROM delivery_tellings t " by_id " JOIN events e " by_key " ON e.id = t.event_id"           \
  " JOIN delivery_tellings b " by_event " ON b.event_id = (SELECT max(x.id) FROM events x " named \
  " WHERE x.site_id = e.site_id AND x.kind = e.kind AND x.id < e.id"                            \
  " AND x.started_at >= e.started_at - " WATCHWHEEL_FORMER_MS                                   \
  " AND EXISTS (SELECT 1 FROM delivery_tellings y " by_event " WHERE y.event_id = x.id"         \
  " AND y.target = t.target AND y.state IN ('queued', 'told')))"                                \
  " AND b.delivery_id < t.delivery_id JOIN deliveries p " by_key " ON p.id = b.delivery_id"     \
  " WHERE b.target = t.target AND b.state = 'queued' AND b.kind IN ('up', 'up_group',"          \
  " 'warning_over', 'warning_over_group') AND t.kind NOT IN ('up', 'up_group', 'warning_over'," \
  " 'warning_over_group', 'flapping_over') AND t.delivery_id IN " WATCHWHEEL_IDS
constexpr Sql kBeforeBeginning(
    WATCHWHEEL_BEFORE_BEGINNING("", "", "", "",
                                "INDEXED BY delivery_tellings_event"),
    WATCHWHEEL_BEFORE_BEGINNING("STRAIGHT_JOIN", "FORCE INDEX (PRIMARY)", "FORCE INDEX (PRIMARY)",
                                "FORCE INDEX (events_named)",
                                "FORCE INDEX (delivery_tellings_event)"));
constexpr Sql kPutBehind(
    "UPDATE deliveries SET state = 2, vt = ? WHERE id = ?",
    "UPDATE deliveries FORCE INDEX (PRIMARY) SET state = 2, vt = ? WHERE id = ?");
// From left to right: whether it is a rescue is asked before the state is changed.
#define WATCHWHEEL_LEASE(by_id)                                                       \
  "UPDATE deliveries " by_id                                                          \
  " SET rescues = rescues + (state = 1), attempts = attempts + 1, state = 1, vt = ?," \
  " lease_token = ?, lease_node = ?, lease_run = ? WHERE id IN " WATCHWHEEL_IDS
constexpr Sql kLease(WATCHWHEEL_LEASE(""), WATCHWHEEL_LEASE("FORCE INDEX (PRIMARY)"));
#define WATCHWHEEL_READ(by_id)                                                                \
  "SELECT id, lease_token, target, kind, message_id, line, site_id, body, attempts, rescues," \
  " requeues, made_at, queued_at FROM deliveries " by_id " WHERE id IN " WATCHWHEEL_IDS
constexpr Sql kRead(WATCHWHEEL_READ(""), WATCHWHEEL_READ("FORCE INDEX (PRIMARY)"));
#define WATCHWHEEL_LOCK(by_id)                                        \
  "SELECT id, lease_token, attempts, requeues FROM deliveries " by_id \
  " WHERE state = 1 AND id IN " WATCHWHEEL_IDS " ORDER BY id"
constexpr Sql kLock(WATCHWHEEL_LOCK(""), WATCHWHEEL_LOCK("FORCE INDEX (PRIMARY)") " FOR UPDATE");
#define WATCHWHEEL_FREE(by_id) \
  "UPDATE deliveries " by_id " SET state = 0, vt = ?, attempts = ?, lease_token = 0 WHERE id = ?"
constexpr Sql kFree(WATCHWHEEL_FREE(""), WATCHWHEEL_FREE("FORCE INDEX (PRIMARY)"));
// Logged before, when a commit's answer was lost: it says the same.
constexpr Sql kLog(
    "INSERT OR IGNORE INTO delivery_attempts (delivery_id, requeues, attempt, at, took_ms,"
    " http_status, verdict, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    "INSERT INTO delivery_attempts (delivery_id, requeues, attempt, at, took_ms, http_status,"
    " verdict, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE at = at");
constexpr Sql kForget =
    "DELETE FROM delivery_attempts WHERE delivery_id = ? AND requeues = ? AND attempt = ?";
#define WATCHWHEEL_EXTEND(by_id) \
  "UPDATE deliveries " by_id " SET vt = ? WHERE id IN " WATCHWHEEL_IDS
constexpr Sql kExtend(WATCHWHEEL_EXTEND(""), WATCHWHEEL_EXTEND("FORCE INDEX (PRIMARY)"));
#define WATCHWHEEL_FORMER(by_id)     \
  "SELECT id FROM deliveries " by_id \
  " WHERE id > ? AND state = 1 AND lease_node = ? AND lease_run <> ? ORDER BY id LIMIT ?"
// What is locked somebody else has taken over, or looks at just now: it is not waited for, who was stopped in the middle of a claim
// would keep us from beginning.
constexpr Sql kFormer(WATCHWHEEL_FORMER(""),
                      WATCHWHEEL_FORMER("FORCE INDEX (PRIMARY)") " FOR UPDATE SKIP LOCKED");
#define WATCHWHEEL_WAITING(index) \
  "SELECT id FROM deliveries " index " WHERE target = ? AND state <> 1 ORDER BY vt LIMIT ?"
constexpr Sql kWaiting(
    WATCHWHEEL_WAITING("INDEXED BY deliveries_claim"),
    WATCHWHEEL_WAITING("FORCE INDEX (deliveries_claim)") " FOR UPDATE SKIP LOCKED");
#define WATCHWHEEL_OLDER(index)                                                       \
  "SELECT id FROM deliveries " index                                                  \
  " WHERE target = ? AND state <> 1 AND queued_at < ?"                                \
  " AND kind NOT IN ('up', 'up_group', 'warning_over', 'warning_over_group',"         \
  " 'flapping_over')"                                                                 \
  " ORDER BY vt LIMIT ?"
constexpr Sql kOlder(
    WATCHWHEEL_OLDER("INDEXED BY deliveries_claim"),
    WATCHWHEEL_OLDER("FORCE INDEX (deliveries_claim)") " FOR UPDATE SKIP LOCKED");
#define WATCHWHEEL_LEVELS(index)                                                               \
  "SELECT g.target, g.state, g.n, d.queued_at FROM (SELECT target, state, count(*) n, min(id)" \
  " first FROM deliveries " index " GROUP BY target, state) g JOIN deliveries d ON d.id = g.first"
constexpr Sql kLevels(WATCHWHEEL_LEVELS("INDEXED BY deliveries_claim"),
                      WATCHWHEEL_LEVELS("FORCE INDEX (deliveries_claim)"));
constexpr Sql kDeadLevels(
    "SELECT target, count(*) FROM dead_letters INDEXED BY dead_letters_target"
    " GROUP BY target",
    "SELECT target, count(*) FROM dead_letters FORCE INDEX"
    " (dead_letters_target) GROUP BY target");
constexpr Sql kSeenTargets = "SELECT target, seen_at FROM delivery_targets";
constexpr Sql kSeeTarget(
    "INSERT INTO delivery_targets (target, seen_at) VALUES (?, ?)"
    " ON CONFLICT (target) DO UPDATE SET seen_at = excluded.seen_at",
    "INSERT INTO delivery_targets (target, seen_at) VALUES (?, ?)"
    " ON DUPLICATE KEY UPDATE seen_at = VALUES(seen_at)");
constexpr Sql kForgetTarget(
    "DELETE FROM delivery_targets WHERE target = ?",
    "DELETE d FROM delivery_targets d FORCE INDEX (PRIMARY) WHERE d.target = ?");
// What was written within this time, by whatever process, is not written again.
constexpr std::int64_t kSeenEachMs = 60'000;
constexpr std::int64_t kSeenKeptMs = std::int64_t{24} * 60 * 60 * 1000;

#define WATCHWHEEL_OLD(table, index, at) \
  "SELECT id FROM " table " " index " WHERE " at " < ? ORDER BY " at " LIMIT ?"
constexpr Sql kOldDone(WATCHWHEEL_OLD("deliveries_done", "INDEXED BY deliveries_done_at",
                                      "done_at"),
                       WATCHWHEEL_OLD("deliveries_done", "FORCE INDEX (deliveries_done_at)",
                                      "done_at"));
constexpr Sql kOldDead(WATCHWHEEL_OLD("dead_letters", "INDEXED BY dead_letters_died", "died_at"),
                       WATCHWHEEL_OLD("dead_letters", "FORCE INDEX (dead_letters_died)",
                                      "died_at"));
constexpr Sql kRemoveDone(
    "DELETE FROM deliveries_done WHERE id IN " WATCHWHEEL_IDS,
    "DELETE d FROM deliveries_done d FORCE INDEX (PRIMARY) WHERE d.id IN " WATCHWHEEL_IDS);
constexpr Sql kRemoveDead(
    "DELETE FROM dead_letters WHERE id IN " WATCHWHEEL_IDS,
    "DELETE d FROM dead_letters d FORCE INDEX (PRIMARY) WHERE d.id IN " WATCHWHEEL_IDS);
constexpr Sql kRemoveAttempts("DELETE FROM delivery_attempts WHERE delivery_id IN " WATCHWHEEL_IDS,
                              "DELETE d FROM delivery_attempts d FORCE INDEX (PRIMARY) WHERE"
                              " d.delivery_id IN " WATCHWHEEL_IDS);
// In the order of their making. A telling goes when its event is over, or gone. Who was told that a site flaps is told when it is
// over, long after the event's end: those go with the event, which the history keeps as long as it has a wake.
#define WATCHWHEEL_OLD_TELLINGS(by_id)                                                     \
  "SELECT t.delivery_id, t.event_id, t.at, (e.id IS NULL OR (coalesce(e.ended_at < ?1, 0)" \
  " AND t.kind NOT IN ('flapping', 'flapping_over')))"                                     \
  " FROM delivery_tellings t " by_id                                                       \
  " LEFT JOIN events e ON e.id = t.event_id"                                               \
  " WHERE t.delivery_id >= ?2 AND (t.delivery_id > ?2 OR t.event_id > ?3)"                 \
  " ORDER BY t.delivery_id, t.event_id LIMIT ?4"
constexpr Sql kOldTellings(WATCHWHEEL_OLD_TELLINGS(""),
                           WATCHWHEEL_OLD_TELLINGS("FORCE INDEX (PRIMARY)"));
constexpr Sql kRemoveTelling("DELETE FROM delivery_tellings WHERE delivery_id = ? AND event_id = ?",
                             "DELETE t FROM delivery_tellings t FORCE INDEX (PRIMARY) WHERE "
                             "t.delivery_id = ? AND t.event_id = ?");

constexpr std::size_t kDetailBytesMax = 512;
// What stands behind another one is put aside and the next are looked at, so many times a claim.
constexpr int kRoundsMax = 5;
// Beyond the room, so that a few of a line do not cost a round each.
constexpr std::size_t kCandidatesMore = 20;
constexpr std::size_t kReleasedAtOnce = 500;
constexpr core::Duration kBehindLeased = std::chrono::seconds{2};
// How long a claim goes on from where the last one ended, before it looks at all that is due again.
constexpr std::int64_t kPassedMs = 2000;
// Before all that is due.
constexpr std::int64_t kFromStart = 0;

std::int64_t ids_of(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}

}  // namespace

// One claim on its way. Begun anew when its transaction is.
struct SqlDeliveryQueue::Claiming {
  std::int64_t now_ms = 0;
  std::int64_t token = 0;
  std::size_t room = sideeffects::kClaimMax;
  Ids chosen;
  Ids poisoned;
  bool more = false;
  std::map<std::string, Passed, std::less<>> passed{};  // Of targets that were claimed from.
};

std::int64_t SqlDeliveryQueue::new_token() {
  const auto high = static_cast<std::uint64_t>(random_()) << 31U;
  return static_cast<std::int64_t>((high ^ random_()) | 1U);
}

// ---- Claiming ----

std::int64_t SqlDeliveryQueue::begin_at(std::string_view target, std::int64_t now_ms) const {
  const auto passed = passed_.find(target);
  if (passed == passed_.end()) return kFromStart;
  const std::int64_t since = now_ms - passed->second.whole_at_ms;
  return since >= 0 && since < kPassedMs ? passed->second.until_ms : kFromStart;
}

core::Result<std::vector<Want>> SqlDeliveryQueue::due(std::span<const Want> wants,
                                                      std::int64_t now_ms) {
  std::vector<Want> due;
  for (const Want& want : wants) {
    if (want.room == 0) continue;
    for (std::int64_t from = begin_at(want.target, now_ms);; from = kFromStart) {
      Query query = connection_->query(kIsDue);
      const core::Result<bool> row = query.bind(want.target).bind(from).bind(now_ms).step();
      if (!row) return row.error();
      if (*row) due.push_back(want);
      if (*row || from == kFromStart) break;
    }
  }
  // Whose turn comes first changes, so that none is always behind a long one when the room is short.
  if (!due.empty())
    std::rotate(due.begin(), due.begin() + static_cast<std::ptrdiff_t>(turn_++ % due.size()),
                due.end());
  return due;
}

core::Result<Claimed> SqlDeliveryQueue::claim(std::span<const Want> wants, core::Duration lease_for,
                                              const Claimer& claimer) {
  core::Result<std::int64_t> now = connection_->now_ms();
  if (!now) return now.error();
  // Nothing to do is the usual case, and takes no transaction.
  core::Result<std::vector<Want>> waiting = due(wants, *now);
  if (!waiting) return waiting.error();
  if (waiting->empty()) return Claimed{};
  return retried(*connection_, [&]() -> core::Result<Claimed> {
    core::Result<Transaction> transaction = Transaction::write(*connection_);
    if (!transaction) return transaction.error();
    now = connection_->now_ms();
    if (!now) return now.error();
    Claiming claiming{.now_ms = *now, .token = new_token(), .chosen = {}, .poisoned = {}};
    for (const Want& want : *waiting) {
      if (core::Result<void> done = claim_of(want, claiming); !done) return done.error();
    }
    for (const std::int64_t id : claiming.poisoned) {
      core::Result<void> copied = copy_to_dead(
          *connection_, {.id = id,
                         .reason = to_string(DeathReason::Poison),
                         .detail = "the process ended, or lost the lease, at every attempt",
                         .at_ms = *now});
      if (!copied) return copied.error();
    }
    if (auto gone = remove_from_queue(*connection_, claiming.poisoned, *now, "dead"); !gone)
      return gone.error();
    if (auto ends =
            bury_untold_ends(*connection_, claiming.poisoned, to_string(DeathReason::Poison), *now);
        !ends)
      return ends.error();
    if (auto leased = lease(claiming.chosen, lease_for, claimer, claiming); !leased)
      return leased.error();
    core::Result<std::vector<Delivery>> deliveries = read(claiming.chosen, *now);
    if (!deliveries) return deliveries.error();
    if (core::Result<void> done = transaction->commit(); !done) return done.error();
    for (const Want& want : *waiting) passed_.erase(std::string(want.target));
    passed_.merge(claiming.passed);
    return Claimed{.deliveries = *std::move(deliveries),
                   .poisoned = static_cast<std::uint32_t>(claiming.poisoned.size()),
                   .more = claiming.more};
  });
}

core::Result<void> SqlDeliveryQueue::claim_of(const Want& want, Claiming& claiming) {
  std::size_t room = std::min<std::size_t>(want.room, claiming.room);
  std::size_t of_target = 0;  // Chosen.
  std::int64_t from = begin_at(want.target, claiming.now_ms);
  for (int round = 0; round < kRoundsMax && room > 0; ++round) {
    // What this claim has chosen is seen again: it is leased only at the end.
    const std::size_t limit = room + kCandidatesMore + of_target;
    Ids first;  // Of their lines, once put_behind() has been.
    std::set<std::int64_t> poison;
    std::map<std::int64_t, std::int64_t> due_at;
    std::size_t rows = 0;
    {
      Query query = connection_->query(kCandidates);
      query.bind(want.target).bind(from).bind(claiming.now_ms);
      query.bind(static_cast<std::int64_t>(limit));
      while (true) {
        core::Result<bool> row = query.step();
        if (!row) return row.error();
        if (!*row) break;
        ++rows;
        const std::int64_t id = query.integer(0);
        if (std::find(claiming.chosen.begin(), claiming.chosen.end(), id) != claiming.chosen.end())
          continue;
        const bool ran_out = query.integer(1) == static_cast<int>(DeliveryState::Leased);
        if (ran_out && query.integer(2) + 1 >= sideeffects::kRescuesMax) poison.insert(id);
        first.push_back(id);
        due_at[id] = query.integer(3);
      }
    }
    const std::size_t candidates = first.size();
    if (core::Result<void> done = put_behind(first, claiming); !done) return done;
    for (const std::int64_t id : first) {
      if (poison.contains(id)) {
        claiming.poisoned.push_back(id);
      } else if (room > 0) {
        claiming.chosen.push_back(id);
        claiming.passed[std::string(want.target)].until_ms = due_at.at(id);
        ++of_target;
        --room;
        --claiming.room;
      } else {
        claiming.more = true;
      }
    }
    const bool heap = rows == limit;
    if (!heap) claiming.passed.erase(std::string(want.target));
    if (!poison.empty()) break;  // It would be seen again.
    if (!heap && from != kFromStart && room > 0) {
      from = kFromStart;  // It is at its end: what came in behind us is not left out.
      continue;
    }
    // Only what was put behind makes another look worth while.
    if (!heap || first.size() == candidates) break;
  }
  const auto passed = claiming.passed.find(want.target);
  if (passed == claiming.passed.end()) return {};
  passed->second.whole_at_ms =
      from == kFromStart ? claiming.now_ms : passed_.find(want.target)->second.whole_at_ms;
  return {};
}

// Leaves in `ids` those that are the first of their line, no end of what is not told yet, and no beginning at a site whose last end
// is not told yet.
core::Result<void> SqlDeliveryQueue::put_behind(Ids& ids, Claiming& claiming) {
  std::vector<std::pair<std::int64_t, std::int64_t>> behind;  // Id, until when.
  const std::int64_t latest = claiming.now_ms + to_ms_up(kBehindMax);
  // Whoever ends that attempt looks for who waits behind it, and may have looked just before this one came.
  const std::int64_t soon = claiming.now_ms + to_ms_up(kBehindLeased);
  for (const Sql& before : {kBefore, kBeforeEnd, kBeforeBeginning}) {
    std::vector<std::int64_t> found;
    core::Result<void> asked = by_parts(ids, [&](auto part) -> core::Result<void> {
      Query query = connection_->query(before);
      query.bind(claiming.now_ms);
      bind_ids(query, part);
      while (true) {
        core::Result<bool> row = query.step();
        if (!row) return row.error();
        if (!*row) return {};
        if (query.is_null(1)) continue;
        const bool sent_now = query.integer(1) < 0;
        const std::int64_t until = sent_now ? soon : query.integer(1) + 1;
        found.push_back(query.integer(0));
        behind.emplace_back(found.back(), std::clamp(until, claiming.now_ms + 1, latest));
      }
    });
    if (!asked) return asked;
    // Of who stands behind already nothing more is asked: what follows looks up each site that a message names.
    std::sort(found.begin(), found.end());
    std::erase_if(ids, [&](std::int64_t id) {
      return std::binary_search(found.begin(), found.end(), id);
    });
  }
  std::sort(behind.begin(), behind.end());
  for (const auto& [id, until] : behind) {
    Query query = connection_->query(kPutBehind);
    if (core::Result<void> done = query.bind(until).bind(id).run(); !done) return done;
  }
  return {};
}

core::Result<void> SqlDeliveryQueue::lease(const Ids& ids, core::Duration lease,
                                           const Claimer& claimer, const Claiming& claiming) {
  return by_parts(ids, [&](auto part) {
    Query query = connection_->query(kLease);
    query.bind(claiming.now_ms + to_ms_up(lease)).bind(claiming.token);
    query.bind(std::string_view(claimer.node)).bind(ids_of(claimer.run));
    bind_ids(query, part);
    return query.run();
  });
}

// In the order of `ids`.
core::Result<std::vector<Delivery>> SqlDeliveryQueue::read(const Ids& ids, std::int64_t now_ms) {
  std::map<std::int64_t, Delivery> by_id;
  core::Result<void> done = by_parts(ids, [&](auto part) -> core::Result<void> {
    Query query = connection_->query(kRead);
    bind_ids(query, part);
    while (true) {
      core::Result<bool> row = query.step();
      if (!row) return row.error();
      if (!*row) return {};
      by_id[query.integer(0)] =
          Delivery{.id = id_from<DeliveryId>(query, 0),
                   .token = static_cast<std::uint64_t>(query.integer(1)),
                   .target = std::string(query.text(2)),
                   .kind = std::string(query.text(3)),
                   .message_id = std::string(query.text(4)),
                   .line = static_cast<std::uint64_t>(query.integer(5)),
                   .site = id_from<core::SiteId>(query, 6),
                   .body = std::string(query.text(7)),
                   .attempt = static_cast<std::uint32_t>(query.integer(8)),
                   .rescues = static_cast<std::uint32_t>(query.integer(9)),
                   .requeues = static_cast<std::uint32_t>(query.integer(10)),
                   .made_at = query.time(11),
                   .waited = std::chrono::milliseconds(now_ms - query.integer(12))};
    }
  });
  if (!done) return done.error();
  std::vector<Delivery> deliveries;
  for (const std::int64_t id : ids) {
    const auto found = by_id.find(id);
    if (found != by_id.end()) deliveries.push_back(std::move(found->second));
  }
  return deliveries;
}

// ---- What was claimed ----

core::Result<SqlDeliveryQueue::LockedRows> SqlDeliveryQueue::lock(Ids ids) {
  std::sort(ids.begin(), ids.end());
  LockedRows rows;
  core::Result<void> done = by_parts(ids, [&](auto part) -> core::Result<void> {
    Query query = connection_->query(kLock);
    bind_ids(query, part);
    while (true) {
      core::Result<bool> row = query.step();
      if (!row) return row.error();
      if (!*row) return {};
      rows[query.integer(0)] = {
          .token = query.integer(1), .attempts = query.integer(2), .requeues = query.integer(3)};
    }
  });
  if (!done) return done.error();
  return rows;
}

core::Result<std::vector<DeliveryId>> SqlDeliveryQueue::finish(std::span<const Finish> finished) {
  if (finished.empty()) return std::vector<DeliveryId>{};
  return retried(*connection_, [&]() -> core::Result<std::vector<DeliveryId>> {
    core::Result<Transaction> transaction = Transaction::write(*connection_);
    if (!transaction) return transaction.error();
    const core::Result<std::int64_t> now = connection_->now_ms();
    if (!now) return now.error();
    Ids ids;
    for (const Finish& finish : finished) ids.push_back(to_column(finish.id));
    core::Result<LockedRows> rows = lock(std::move(ids));
    if (!rows) return rows.error();
    std::vector<DeliveryId> lost;
    Ids told;
    Ids dead;
    for (const Finish& finish : finished) {
      const auto row = rows->find(to_column(finish.id));
      if (row == rows->end() || row->second.token != ids_of(finish.token)) {
        lost.push_back(finish.id);
        continue;
      }
      if (auto done = apply(finish, row->second, *now, told, dead); !done) return done.error();
      rows->erase(row);  // Said twice, it is finished once.
    }
    if (auto done = remove_from_queue(*connection_, told, *now, "told"); !done) return done.error();
    if (auto done = remove_from_queue(*connection_, dead, *now, "dead"); !done) return done.error();
    std::map<DeathReason, Ids> by_reason;
    for (const Finish& finish : finished) {
      const auto* const bury = std::get_if<sideeffects::Bury>(&finish.verdict);
      const bool buried = std::find(dead.begin(), dead.end(), to_column(finish.id)) != dead.end();
      if (bury != nullptr && buried) by_reason[bury->reason].push_back(to_column(finish.id));
    }
    for (const auto& [reason, buried] : by_reason) {
      auto done = bury_untold_ends(*connection_, buried, to_string(reason), *now);
      if (!done) return done.error();
    }
    if (core::Result<void> done = transaction->commit(); !done) return done.error();
    return lost;
  });
}

core::Result<void> SqlDeliveryQueue::apply(const Finish& finish, const Locked& row,
                                           std::int64_t now_ms, Ids& told, Ids& dead) {
  const std::int64_t id = to_column(finish.id);
  const auto free = [&](core::Duration after, std::int64_t attempts) {
    Query query = connection_->query(kFree);
    query.bind(now_ms + to_ms_up(std::max(after, core::Duration{})));
    return query.bind(attempts).bind(id).run();
  };
  if (const auto* const snooze = std::get_if<sideeffects::Snooze>(&finish.verdict))
    return free(snooze->after, std::max<std::int64_t>(row.attempts - 1, snooze->begun ? 1 : 0));
  if (std::holds_alternative<sideeffects::Delivered>(finish.verdict)) {
    told.push_back(id);
    return copy_to_done(*connection_, {.id = id,
                                       .http_status = finish.http_status,
                                       .took_ms = to_ms_up(finish.took),
                                       .at_ms = now_ms});
  }
  if (core::Result<void> logged = log_attempt(finish, row, now_ms); !logged) return logged;
  if (const auto* const retry = std::get_if<sideeffects::Retry>(&finish.verdict))
    return free(retry->after, row.attempts);
  dead.push_back(id);
  const std::string detail = to_utf8(finish.detail, kDetailBytesMax);
  return copy_to_dead(*connection_,
                      {.id = id,
                       .reason = to_string(std::get<sideeffects::Bury>(finish.verdict).reason),
                       .http_status = finish.http_status,
                       .detail = detail,
                       .at_ms = now_ms});
}

core::Result<void> SqlDeliveryQueue::log_attempt(const Finish& finish, const Locked& row,
                                                 std::int64_t now_ms) {
  const std::string detail = to_utf8(finish.detail, kDetailBytesMax);
  std::optional<std::int64_t> http_status;
  if (finish.http_status != 0) http_status = finish.http_status;
  const bool dies = std::holds_alternative<sideeffects::Bury>(finish.verdict);
  Query query = connection_->query(kLog);
  query.bind(to_column(finish.id)).bind(row.requeues).bind(row.attempts).bind(now_ms);
  query.bind(to_ms_up(finish.took)).bind(http_status);
  query.bind(std::string_view(dies ? "dead" : "retry")).bind(std::string_view(detail));
  if (core::Result<void> done = query.run(); !done) return done;
  if (row.attempts <= sideeffects::kAttemptsKept) return {};
  Query forget = connection_->query(kForget);
  forget.bind(to_column(finish.id)).bind(row.requeues);
  return forget.bind(row.attempts - std::int64_t{sideeffects::kAttemptsKept}).run();
}

core::Result<std::vector<DeliveryId>> SqlDeliveryQueue::extend(
    std::span<const sideeffects::Held> held, core::Duration lease) {
  if (held.empty()) return std::vector<DeliveryId>{};
  return retried(*connection_, [&]() -> core::Result<std::vector<DeliveryId>> {
    core::Result<Transaction> transaction = Transaction::write(*connection_);
    if (!transaction) return transaction.error();
    const core::Result<std::int64_t> now = connection_->now_ms();
    if (!now) return now.error();
    Ids ids;
    for (const sideeffects::Held& one : held) ids.push_back(to_column(one.id));
    const core::Result<LockedRows> rows = lock(std::move(ids));
    if (!rows) return rows.error();
    std::vector<DeliveryId> lost;
    Ids ours;
    for (const sideeffects::Held& one : held) {
      const auto row = rows->find(to_column(one.id));
      if (row != rows->end() && row->second.token == ids_of(one.token)) {
        ours.push_back(to_column(one.id));
      } else {
        lost.push_back(one.id);
      }
    }
    std::sort(ours.begin(), ours.end());
    core::Result<void> extended = by_parts(ours, [&](auto part) {
      Query query = connection_->query(kExtend);
      query.bind(*now + to_ms_up(lease));
      bind_ids(query, part);
      return query.run();
    });
    if (!extended) return extended.error();
    if (core::Result<void> done = transaction->commit(); !done) return done.error();
    return lost;
  });
}

core::Result<std::uint64_t> SqlDeliveryQueue::release_former(const Claimer& claimer) {
  std::uint64_t released = 0;
  std::int64_t after = 0;
  while (true) {
    Ids ids;
    core::Result<void> done = retried(*connection_, [&]() -> core::Result<void> {
      core::Result<Transaction> transaction = Transaction::write(*connection_);
      if (!transaction) return transaction.error();
      const core::Result<std::int64_t> now = connection_->now_ms();
      if (!now) return now.error();
      ids.clear();
      {
        Query query = connection_->query(kFormer);
        query.bind(after).bind(std::string_view(claimer.node)).bind(ids_of(claimer.run));
        query.bind(static_cast<std::int64_t>(kReleasedAtOnce));
        while (true) {
          core::Result<bool> row = query.step();
          if (!row) return row.error();
          if (!*row) break;
          ids.push_back(query.integer(0));
        }
      }
      // Still leased, so that whoever claims it counts the rescue.
      core::Result<void> freed = by_parts(ids, [&](auto part) {
        Query query = connection_->query(kExtend);
        query.bind(*now);
        bind_ids(query, part);
        return query.run();
      });
      if (!freed) return freed;
      return transaction->commit();
    });
    if (!done) return done.error();
    released += ids.size();
    if (ids.size() < kReleasedAtOnce) return released;
    after = ids.back();
  }
}

core::Result<std::uint64_t> SqlDeliveryQueue::bury_waiting(std::string_view target,
                                                           DeathReason reason, std::size_t limit) {
  return bury_found(target, reason, std::nullopt, limit);
}

core::Result<std::uint64_t> SqlDeliveryQueue::bury_older(std::string_view target,
                                                         DeathReason reason, core::Duration age,
                                                         std::size_t limit) {
  return bury_found(target, reason, age, limit);
}

core::Result<std::uint64_t> SqlDeliveryQueue::bury_found(std::string_view target,
                                                         DeathReason reason,
                                                         std::optional<core::Duration> age,
                                                         std::size_t limit) {
  return retried(*connection_, [&]() -> core::Result<std::uint64_t> {
    core::Result<Transaction> transaction = Transaction::write(*connection_);
    if (!transaction) return transaction.error();
    const core::Result<std::int64_t> now = connection_->now_ms();
    if (!now) return now.error();
    Ids ids;
    {
      Query query = connection_->query(age ? kOlder : kWaiting);
      query.bind(target);
      if (age) query.bind(*now - to_ms_up(*age));
      query.bind(static_cast<std::int64_t>(limit));
      while (true) {
        core::Result<bool> row = query.step();
        if (!row) return row.error();
        if (!*row) break;
        ids.push_back(query.integer(0));
      }
    }
    for (const std::int64_t id : ids) {
      core::Result<void> copied = copy_to_dead(
          *connection_, {.id = id, .reason = to_string(reason), .detail = "", .at_ms = *now});
      if (!copied) return copied.error();
    }
    if (auto done = remove_from_queue(*connection_, ids, *now, "dead"); !done) return done.error();
    if (auto done = bury_untold_ends(*connection_, ids, to_string(reason), *now); !done)
      return done.error();
    if (core::Result<void> done = transaction->commit(); !done) return done.error();
    return ids.size();
  });
}

core::Result<std::map<std::string, std::int64_t, std::less<>>> SqlDeliveryQueue::seen_targets() {
  std::map<std::string, std::int64_t, std::less<>> seen;
  Query query = connection_->query(kSeenTargets);
  while (true) {
    core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) return seen;
    seen.emplace(query.text(0), query.integer(1));
  }
}

core::Result<void> SqlDeliveryQueue::note_targets(std::span<const std::string> targets) {
  return retried(*connection_, [&]() -> core::Result<void> {
    const core::Result<std::int64_t> now = connection_->now_ms();
    if (!now) return now.error();
    const auto seen = seen_targets();
    if (!seen) return seen.error();
    std::set<std::string_view>
        due;  // By name: two that write wait for each other, not in a circle.
    for (const std::string& target : targets) {
      const auto row = seen->find(target);
      if (row == seen->end() || row->second > *now || row->second <= *now - kSeenEachMs)
        due.insert(target);
    }
    std::vector<std::string_view> old;
    for (const auto& [target, at] : *seen) {
      if (at < *now - kSeenKeptMs && !due.contains(target)) old.push_back(target);
    }
    if (due.empty() && old.empty()) return {};
    core::Result<Transaction> transaction = Transaction::write(*connection_);
    if (!transaction) return transaction.error();
    for (const std::string_view target : due) {
      Query query = connection_->query(kSeeTarget);
      if (auto done = query.bind(target).bind(*now).run(); !done) return done;
    }
    for (const std::string_view target : old) {
      Query query = connection_->query(kForgetTarget);
      if (auto done = query.bind(target).run(); !done) return done;
    }
    return transaction->commit();
  });
}

core::Result<std::vector<sideeffects::TargetLevel>> SqlDeliveryQueue::levels() {
  const core::Result<std::int64_t> now = connection_->now_ms();
  if (!now) return now.error();
  std::map<std::string, sideeffects::TargetLevel, std::less<>> by_target;
  const auto level_of = [&](std::string_view target) -> sideeffects::TargetLevel& {
    auto [level, added] = by_target.try_emplace(std::string(target));
    if (added) level->second.target = level->first;
    return level->second;
  };
  {
    Query query = connection_->query(kLevels);
    while (true) {
      core::Result<bool> row = query.step();
      if (!row) return row.error();
      if (!*row) break;
      sideeffects::TargetLevel& level = level_of(query.text(0));
      const bool leased = query.integer(1) == static_cast<int>(DeliveryState::Leased);
      (leased ? level.leased : level.waiting) += static_cast<std::uint64_t>(query.integer(2));
      level.oldest = std::max<core::Duration>(level.oldest,
                                              std::chrono::milliseconds(*now - query.integer(3)));
    }
  }
  Query query = connection_->query(kDeadLevels);
  while (true) {
    core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) break;
    level_of(query.text(0)).dead = static_cast<std::uint64_t>(query.integer(1));
  }
  const auto seen = seen_targets();
  if (!seen) return seen.error();
  std::vector<sideeffects::TargetLevel> levels;
  for (auto& [target, level] : by_target) {
    if (const auto row = seen->find(target); row != seen->end())
      level.seen = std::chrono::milliseconds(std::max<std::int64_t>(*now - row->second, 0));
    levels.push_back(std::move(level));
  }
  return levels;
}

// ---- Retention ----

core::Result<std::uint64_t> SqlDeliveryQueue::purge(const sideeffects::DeliveryRetention& retention,
                                                    std::size_t limit) {
  const core::Result<std::int64_t> now = connection_->now_ms();
  if (!now) return now.error();
  std::uint64_t removed = 0;
  const auto before = [&](core::Duration kept) { return *now - to_ms_up(kept); };
  for (const bool dead : {false, true}) {
    core::Result<std::uint64_t> some =
        dead ? purge_old(kOldDead, kRemoveDead, before(retention.dead), limit)
             : purge_old(kOldDone, kRemoveDone, before(retention.done), limit);
    if (!some) return some;
    removed += *some;
  }
  core::Result<std::uint64_t> some = purge_tellings(before(retention.tellings), limit);
  if (!some) return some;
  return removed + *some;
}

core::Result<std::uint64_t> SqlDeliveryQueue::purge_old(const Sql& find, const Sql& remove,
                                                        std::int64_t before_ms, std::size_t limit) {
  return retried(*connection_, [&]() -> core::Result<std::uint64_t> {
    Ids ids;
    {
      Query query = connection_->query(find);
      query.bind(before_ms).bind(static_cast<std::int64_t>(limit));
      while (true) {
        core::Result<bool> row = query.step();
        if (!row) return row.error();
        if (!*row) break;
        ids.push_back(query.integer(0));
      }
    }
    if (ids.empty()) return std::uint64_t{0};
    std::sort(ids.begin(), ids.end());
    core::Result<Transaction> transaction = Transaction::write(*connection_);
    if (!transaction) return transaction.error();
    std::uint64_t removed = 0;
    core::Result<void> done = by_parts(ids, [&](auto part) -> core::Result<void> {
      Query query = connection_->query(remove);
      bind_ids(query, part);
      if (core::Result<void> ran = query.run(); !ran) return ran;
      removed += connection_->rows_changed();
      Query attempts = connection_->query(kRemoveAttempts);
      bind_ids(attempts, part);
      return attempts.run();
    });
    if (!done) return done.error();
    if (core::Result<void> committed = transaction->commit(); !committed) return committed.error();
    return removed;
  });
}

// Goes through all of them by and by, and begins again at the end: those of an event that stays open stay.
core::Result<std::uint64_t> SqlDeliveryQueue::purge_tellings(std::int64_t before_ms,
                                                             std::size_t limit) {
  std::vector<std::pair<std::int64_t, std::int64_t>> old;
  std::pair<std::int64_t, std::int64_t> at = tellings_at_;
  {
    Query query = connection_->query(kOldTellings);
    query.bind(before_ms).bind(at.first).bind(at.second).bind(static_cast<std::int64_t>(limit));
    std::size_t rows = 0;
    bool young = false;
    while (!young) {
      core::Result<bool> row = query.step();
      if (!row) return row.error();
      if (!*row) break;
      ++rows;
      young = query.integer(2) >= before_ms;
      at = {query.integer(0), query.integer(1)};
      if (!young && query.integer(3) != 0) old.push_back(at);
    }
    if (young || rows < limit) at = {};
  }
  if (!old.empty()) {
    core::Result<void> done = retried(*connection_, [&]() -> core::Result<void> {
      core::Result<Transaction> transaction = Transaction::write(*connection_);
      if (!transaction) return transaction.error();
      for (const auto& [delivery, event] : old) {
        Query query = connection_->query(kRemoveTelling);
        if (auto removed = query.bind(delivery).bind(event).run(); !removed) return removed;
      }
      return transaction->commit();
    });
    if (!done) return done.error();
  }
  tellings_at_ = at;
  return old.size();
}

std::vector<Sql> delivery_queue_queries() {
  return {kIsDue,      kCandidates,     kBefore,      kPutBehind,     kLease,       kBeforeEnd,
          kRead,       kLock,           kFree,        kLog,           kForget,      kExtend,
          kFormer,     kWaiting,        kOlder,       kOldDone,       kOldDead,     kRemoveDone,
          kRemoveDead, kRemoveAttempts, kOldTellings, kRemoveTelling, kForgetTarget,
          kBeforeBeginning};
}

}  // namespace watchwheel::db
