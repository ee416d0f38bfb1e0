// SPDX-License-Identifier: Apache-2.0
// watchwheel-bench-database: what the store costs on MariaDB or a Galera cluster, and whether its users get in each other's way.
//
//   load      the site list is read as an engine reads it at its start: seconds, memory
//   project   freshness marks of sites spread over the whole table: rows a second, CPU of ours and of the server's; and the pages of
//             response times that they leave in an hour
//   events    a burst of failures through a real shard: how large do the groups become that are committed together
//   fence     commits of events with the row that only the owner of a lease can change, and without it, by turns: what it costs
//   legacy    the first fill of another program's table, so many rows a transaction, by turns: rows a second, CPU, how long each is held
//   mixed     for --seconds: two engines' loads, events and projection, another client's edits, all at once; nothing may be
//             lost, and on a single server nobody may meet a deadlock
//
// The server is started here and is durable (innodb_flush_log_at_trx_commit = 1; in the cluster 2, as clusters are run). The exit
// status is 1 when something was lost or deadlocked.
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "core/buckets.h"
#include "core/clock.h"
#include "core/hash.h"
#include "db/lease_store.h"
#include "db/legacy_table.h"
#include "db/mysql.h"
#include "db/store.h"
#include "sideeffects/response_gatherer.h"
#include "sideeffects/shard.h"
#include "support/galera.h"
#include "support/mariadb.h"

namespace {

using namespace watchwheel;
using namespace std::chrono_literals;

template <typename T>
T must(core::Result<T> result) {
  if (result) return *std::move(result);
  std::fprintf(stderr, "watchwheel-bench-database: %s\n", result.error().message.c_str());
  std::exit(3);
}
void must(const core::Result<void>& done) {
  if (done) return;
  std::fprintf(stderr, "watchwheel-bench-database: %s\n", done.error().message.c_str());
  std::exit(3);
}

double cpu_of_thread() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

double cpu_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const auto after_name = text.rfind(')');
  if (after_name == std::string::npos) return 0;
  std::istringstream fields(text.substr(after_name + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

// In MiB. "VmRSS" or "VmHWM", the highest that it was.
double memory(const std::string& which) {
  std::ifstream file("/proc/self/status");
  std::string word;
  while (file >> word) {
    if (word != which + ":") continue;
    double kib = 0;
    file >> kib;
    return kib / 1024;
  }
  return 0;
}

void forget_highest_memory() {
  std::ofstream("/proc/self/clear_refs") << "5";
}

struct Server {
  std::unique_ptr<testing::MariaDb> single;
  std::unique_ptr<testing::Galera> cluster;

  [[nodiscard]] std::string url(std::size_t node, const std::string& database) const {
    return cluster ? cluster->url(database, node % testing::Galera::kNodes) : single->url(database);
  }
  [[nodiscard]] double cpu() const {
    if (single) return cpu_of(single->pid());
    double all = 0;
    for (std::size_t i = 0; i < testing::Galera::kNodes; ++i) all += cpu_of(cluster->pid(i));
    return all;
  }
};

struct Times {
  explicit Times(const Server& of)
      : server(of), wall(clock.steady()), ours(cpu_of_thread()), theirs(of.cpu()) {}
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(clock.steady() - wall).count();
  }
  [[nodiscard]] double our_cpu() const { return cpu_of_thread() - ours; }
  [[nodiscard]] double their_cpu() const { return server.cpu() - theirs; }

  const Server& server;
  core::SystemClock clock;
  core::SteadyTime wall;
  double ours;
  double theirs;
};

std::unique_ptr<db::MysqlConnection> connect(const std::string& url) {
  return must(db::MysqlConnection::open({must(db::parse_mysql_url(url)), nullptr}));
}
std::unique_ptr<db::Store> open(const std::string& url) {
  return must(db::open_store(url));
}

// 50 bytes of URL, in pieces that a cluster takes in one transaction.
void make_sites(const Server& server, std::uint64_t sites) {
  auto patient = db::MysqlAccess{must(db::parse_mysql_url(server.url(0, "bench"))), nullptr};
  patient.answer_wait = 600s;
  const auto connection = must(db::MysqlConnection::open(patient));
  constexpr std::uint64_t kPiece = 50'000;
  const std::string digits =
      "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 "
      "UNION ALL SELECT 5 UNION ALL "
      "SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
  for (std::uint64_t first = 1; first <= sites; first += kPiece) {
    const std::uint64_t last = std::min(sites, first + kPiece - 1);
    must(connection->execute(
        "INSERT INTO sites (id, url, url_hash, interval_ms, created_at, updated_at, change_seq)"
        " SELECT n, CONCAT('https://www.customer-', 10000000 + n, '.example/index.html'), "
        "CRC32(n), 300000, 1700000000000,"
        " 1700000000000, n FROM (SELECT " +
        std::to_string(first) + " + a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d n FROM " +
        digits + " a, " + digits + " b, " + digits + " c, " + digits + " e, " + digits +
        " f) numbers WHERE n <= " + std::to_string(last) + " ORDER BY n"));
  }
  must(connection->execute("UPDATE site_changes SET newest_seq = " + std::to_string(sites)));
  must(connection->execute("ANALYZE TABLE sites"));
}

std::uint64_t load_all(db::SiteFeed& feed, std::size_t page) {
  std::uint64_t loaded = 0;
  core::SiteId after;
  while (true) {
    const db::SitePage got = must(feed.load(after, page));
    loaded += got.sites.size();
    if (got.last) return loaded;
    after = got.sites.back().record.id;
  }
}

void load(const Server& server, std::uint64_t sites) {
  const auto store = open(server.url(0, "bench"));
  const auto feed = must(store->make_site_feed());
  forget_highest_memory();
  const double before = memory("VmRSS");
  const Times urls_times(server);
  core::SiteId after;
  std::uint64_t urls = 0;
  while (true) {
    const auto page = must(feed->urls(after, 2000));
    urls += page.size();
    if (page.size() < 2000) break;
    after = page.back().id;
  }
  std::printf("urls    %llu sites in %.1f s; CPU ours %.2f s, server %.2f s\n",
              static_cast<unsigned long long>(urls), urls_times.seconds(), urls_times.our_cpu(),
              urls_times.their_cpu());
  const Times times(server);
  const std::uint64_t loaded = load_all(*feed, 2000);
  std::printf(
      "load    %llu sites in %.1f s (%.0f a second); CPU ours %.2f s, server %.2f s; memory %.0f "
      "MiB before, %.0f MiB at most\n",
      static_cast<unsigned long long>(loaded), times.seconds(),
      static_cast<double>(loaded) / times.seconds(), times.our_cpu(), times.their_cpu(), before,
      memory("VmHWM"));
  std::fflush(stdout);
  if (loaded != sites || urls != sites) std::exit(1);
}

// `count` sites, spread over all, sorted: what falls due together has nothing to do with ids.
std::vector<core::FreshnessMark> spread(std::uint64_t sites, std::uint64_t round, std::size_t count,
                                        core::WallTime now) {
  std::vector<core::FreshnessMark> marks;
  const std::uint64_t stride = std::max<std::uint64_t>(1, sites / count);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t id = i * stride + core::stable_hash(round * 1'000'003 + i) % stride + 1;
    if (id > sites) break;
    marks.push_back({.site = core::SiteId{id},
                     .measured = true,
                     .checked_at = now,
                     .cause = core::Cause::Ok,
                     .http_status = 200,
                     .total = 120ms,
                     .next_due_at = now + 5min,
                     .cert_not_after = now + 24h * 60,
                     .cert_sha256 = std::array<std::uint8_t, 32>{},
                     .unbroken_since = now - 24h,
                     .quiet_max = 15min});
  }
  return marks;
}

// What four marks of each site told in an hour, each of three checks, is gathered, and written as the daemon does: pages a second and
// CPU of ours (the gathering too) and of the server's, shared out over those marks. The second hour finds the day's rows there.
void responses(const Server& server, std::uint64_t sites) {
  const auto store = open(server.url(0, "bench"));
  const auto history = must(store->make_history_store());
  const core::SystemClock clock;
  sideeffects::ResponseGatherer gatherer(core::to_unix_ms(clock.wall()) * 65536);
  const core::WallTime day = std::chrono::floor<std::chrono::days>(clock.wall());
  for (int hour = 0; hour < 4; ++hour) {
    const bool by_hour = hour % 2 == 1;
    const Times gathering(server);
    std::uint64_t marks = 0;
    for (int quarter = 0; quarter < 4; ++quarter) {
      for (std::uint64_t id = 1; id <= sites; ++id, ++marks) {
        core::FreshnessMark mark;
        mark.site = core::SiteId{id};
        mark.checked_at = day + hour * 1h + quarter * 15min;
        mark.by_hour = by_hour;
        for (std::uint64_t check = 0; check < 3; ++check)
          mark.responses.add(100ms + id % 97 * 1ms + core::stable_hash(id * 13 + check) % 20 * 1ms);
        gatherer.add(mark);
      }
    }
    const double gathered = gathering.our_cpu();
    const std::size_t bytes = gatherer.bytes();
    const Times times(server);
    std::uint64_t pages = 0;
    while (true) {
      const auto some = gatherer.take(day + hour * 1h, 64, true);
      if (some.empty()) break;
      must(history->add_pages("bench", some));
      pages += some.size();
    }
    const auto us = [](double s, std::uint64_t of) { return s * 1e6 / static_cast<double>(of); };
    std::printf(
        "pages   %llu of %s in %.1f s; CPU a page ours %.1f µs, server %.1f µs; a mark ours %.2f µs "
        "and %.2f µs to gather it, server %.2f µs; %.1f bytes a site gathered\n",
        static_cast<unsigned long long>(pages), by_hour ? "day and hour" : "the day", times.seconds(),
        us(times.our_cpu(), pages), us(times.their_cpu(), pages), us(times.our_cpu(), marks),
        us(gathered, marks), us(times.their_cpu(), marks),
        static_cast<double>(bytes) / static_cast<double>(sites));
    std::fflush(stdout);
  }
}

void project(const Server& server, std::uint64_t sites) {
  const auto store = open(server.url(0, "bench"));
  const auto sink = must(store->make_freshness_sink());
  const core::SystemClock clock;
  std::uint64_t round = 0;
  const auto run = [&](std::size_t batch, std::uint64_t rows) {
    std::uint64_t written = 0;
    const Times times(server);
    for (; written < rows && times.seconds() < 60; ++round) {
      const auto marks = spread(sites, round, batch, clock.wall());
      must(sink->write(marks));
      written += marks.size();
    }
    const double rate = static_cast<double>(written) / times.seconds();
    std::printf(
        "project batches of %4zu: %.0f rows a second; CPU a row ours %.1f µs, server %.1f µs; "
        "at 4,444 rows a second %.1f %% "
        "and %.1f %% of a core\n",
        batch, rate, times.our_cpu() * 1e6 / static_cast<double>(written),
        times.their_cpu() * 1e6 / static_cast<double>(written),
        times.our_cpu() * 444'400 / static_cast<double>(written),
        times.their_cpu() * 444'400 / static_cast<double>(written));
    std::fflush(stdout);
  };
  // Every site's row is there before it is changed, and no mark finds a gap.
  {
    const auto connection = connect(server.url(0, "bench"));
    for (std::uint64_t first = 1; first <= sites; first += 50'000)
      must(
          connection->execute("INSERT IGNORE INTO site_state (site_id, measured, checked_at, "
                              "cause) SELECT id, 1, UNIX_TIMESTAMP() * 1000, 'ok' FROM sites "
                              "WHERE id BETWEEN " +
                              std::to_string(first) + " AND " + std::to_string(first + 49'999)));
  }
  for (const std::size_t batch :
       {std::size_t{100}, std::size_t{500}, std::size_t{1000}, std::size_t{2000}})
    run(batch, 100'000);
  responses(server, sites);
  run(1000, 100'000);
}

// Rows that say nothing yet, up to 10,000 at a time: with a transaction for each statement's worth, and with as many as one may hold.
void legacy(const Server& server, std::uint64_t sites) {
  constexpr std::array kSizes{db::kLegacyWriteMax, db::kLegacyTransactionMax / 4,
                              db::kLegacyTransactionMax};
  const std::uint64_t each = std::clamp<std::uint64_t>(sites / kSizes.size(), 1, 10'000);
  const std::uint64_t turns = std::clamp<std::uint64_t>(sites / each / kSizes.size(), 1, 4);
  const std::uint64_t rows = turns * each * kSizes.size();
  {
    const auto connection = connect(server.url(0, "bench"));
    must(connection->execute(
        "CREATE TABLE watched (nr BIGINT NOT NULL PRIMARY KEY, address VARCHAR(300), health "
        "VARCHAR(16), since DATETIME, seen DATETIME) ENGINE=InnoDB"));
    must(connection->execute("INSERT INTO watched (nr, address) SELECT id, url FROM sites WHERE id "
                             "<= " +
                             std::to_string(rows) + " ORDER BY id"));
    must(connection->execute(
        "INSERT INTO site_state (site_id, measured, checked_at, cause, state_since) SELECT id, 1, "
        "1700000000000, 'ok', 1700000000000 FROM sites WHERE id <= " +
        std::to_string(rows) +
        " ORDER BY id ON DUPLICATE KEY UPDATE measured = 1, checked_at = 1700000000000, "
        "state_since = 1700000000000"));
  }
  db::LegacyMapping mapping;
  mapping.table = "watched";
  mapping.id = "nr";
  mapping.url = "address";
  mapping.status = "health";
  mapping.status_up = "up";
  mapping.status_seems_down = "odd";
  mapping.status_down = "down";
  mapping.status_changed_at = "since";
  mapping.checked_at = "seen";
  const core::SystemClock clock;
  db::StoreAccess access;
  access.url = server.url(0, "bench");
  access.clock = &clock;
  const auto store = must(db::open_store(access));
  const auto table = must(store->make_legacy_table(mapping));
  for (const std::string& problem : must(table->check())) {
    std::fprintf(stderr, "watchwheel-bench-database: %s\n", problem.c_str());
    std::exit(3);
  }
  struct Sum {
    double seconds = 0, ours = 0, theirs = 0;
    std::uint64_t transactions = 0;
    std::vector<double> held;
  };
  std::array<Sum, kSizes.size()> sums;
  std::uint64_t next = 1;
  for (std::uint64_t turn = 0; turn < turns; ++turn) {
    for (std::size_t size = 0; size < kSizes.size(); ++size) {
      Sum& sum = sums.at(size);
      const std::uint64_t end = next + each;
      const Times times(server);
      while (next < end) {
        std::vector<core::SiteId> some;
        for (std::uint64_t id = next; id < end && some.size() < kSizes.at(size); ++id)
          some.push_back(core::SiteId{id});
        const core::SteadyTime began = clock.steady();
        const db::LegacyWrites writes = must(table->project(some));
        sum.held.push_back(std::chrono::duration<double>(clock.steady() - began).count());
        if (writes.status != writes.sites) std::exit(1);
        next += writes.sites;
        ++sum.transactions;
      }
      sum.seconds += times.seconds();
      sum.ours += times.our_cpu();
      sum.theirs += times.their_cpu();
    }
  }
  for (std::size_t size = 0; size < kSizes.size(); ++size) {
    Sum& sum = sums.at(size);
    const double written = static_cast<double>(turns * each);
    std::sort(sum.held.begin(), sum.held.end());
    std::printf(
        "legacy  at most %4zu rows a transaction: %.0f rows a second in %llu transactions; CPU a row "
        "ours %.1f µs, server %.1f µs; a transaction took %.0f ms median, %.0f ms at most\n",
        kSizes.at(size), written / sum.seconds, static_cast<unsigned long long>(sum.transactions),
        sum.ours * 1e6 / written, sum.theirs * 1e6 / written,
        sum.held.at(sum.held.size() / 2) * 1e3, sum.held.back() * 1e3);
  }
  std::fflush(stdout);
}

// Takes every note and forgets it.
class NoNotes final : public sideeffects::NoteSink {
 public:
  bool offer(core::SiteNote&& /*note*/) override { return true; }
};

void events(const Server& server, std::uint64_t sites) {
  const auto store = open(server.url(0, "bench"));
  const auto event_store = must(store->make_event_store());
  const core::SystemClock clock;
  NoNotes notes;
  const std::uint64_t burst = std::min<std::uint64_t>(sites, 20'000);
  sideeffects::FactsMailbox mailbox(burst);
  core::ConfirmPolicy policy;
  const auto post = [&](std::uint64_t site, core::WallTime began, std::uint64_t seq) {
    core::Outage outage;
    outage.started_at = began;
    outage.last_failed_at = began;
    outage.failures = 1;
    outage.evidence = {core::Cause::ConnectRefused, core::Phase::Connect, 0, "connection refused",
                       "192.0.2.1"};
    core::SiteFacts facts{
        .site = core::SiteId{site}, .seq = seq, .at = began, .outages = {std::move(outage)}};
    const core::FactsKey seat = core::key_of(facts);
    mailbox.post(seat, std::move(facts));
  };
  // Every one of `count` sites fails, `rate` a second; 0: all in one moment.
  const auto run = [&](std::uint64_t count, std::uint64_t rate, std::uint64_t first) {
    sideeffects::Shard shard({}, policy, mailbox, *event_store, notes, clock, 1);
    const core::WallTime began = clock.wall();
    std::uint64_t posted = 0;
    const Times times(server);
    std::size_t largest = 0;
    while (times.seconds() < 60) {
      const auto due =
          rate == 0
              ? count
              : std::min<std::uint64_t>(
                    count, static_cast<std::uint64_t>(times.seconds() * static_cast<double>(rate)));
      for (; posted < due; ++posted) post(first + posted, began, 1);
      if (shard.turn(clock.steady()) == 0 && rate != 0) clock.sleep_for(1ms);
      largest = std::max(largest, static_cast<std::size_t>(shard.stats().batch_sites.value()));
      if (posted == count && shard.idle()) break;
    }
    const auto stored = shard.stats().transitions[0].value();
    const auto batches = shard.stats().batches.value();
    std::printf(
        "events  %s: %llu transitions in %.2f s (%.0f a second), %llu commits of %.1f in the mean "
        "and %zu at most; CPU a "
        "transition ours %.0f µs, server %.0f µs\n",
        rate == 0 ? "at once      " : (std::to_string(rate) + " a second").c_str(),
        static_cast<unsigned long long>(stored), times.seconds(),
        static_cast<double>(stored) / times.seconds(), static_cast<unsigned long long>(batches),
        static_cast<double>(stored) / static_cast<double>(std::max<std::uint64_t>(1, batches)),
        largest, times.our_cpu() * 1e6 / static_cast<double>(std::max<std::uint64_t>(1, stored)),
        times.their_cpu() * 1e6 / static_cast<double>(std::max<std::uint64_t>(1, stored)));
    std::fflush(stdout);
    if (stored != count) std::exit(1);
  };
  run(burst, 0, 1);
  std::uint64_t first = burst + 1;
  for (const std::uint64_t rate : {100U, 500U, 1000U, 2000U, 4000U}) {
    if (first + 3 * rate > sites) break;
    run(3 * rate, rate, first);
    first += 3 * rate;
  }
}

// ---- Everything at once ----

struct Tally {
  std::atomic<std::uint64_t> events{0}, transitions{0}, marks{0}, loads{0}, pages{0}, changes{0},
      edits{0}, refused{0}, imports{0};
};

std::int64_t status(db::Connection& connection, const std::string& name) {
  // The texts of queries are known by their address, so this one is kept for ever.
  static const std::string kText =
      "SELECT CAST(variable_value AS SIGNED) FROM information_schema.global_status WHERE "
      "variable_name = ?";
  db::Query query = connection.query(db::Sql(kText.c_str()));
  return must(query.bind(std::string_view(name)).step()) ? query.integer(0) : 0;
}

sideeffects::EventWrite story(core::SiteId site, core::WallTime began, int steps) {
  using core::SiteState;
  using core::TransitionReason;
  constexpr std::array kReasons{TransitionReason::Opened, TransitionReason::Confirmed,
                                TransitionReason::Recovered};
  constexpr std::array kStates{SiteState::Up, SiteState::SeemsDown, SiteState::Down, SiteState::Up};
  const core::Evidence evidence{core::Cause::ConnectRefused, core::Phase::Connect, 0, "refused",
                                "192.0.2.1"};
  sideeffects::EventWrite write;
  write.site = site;
  write.started_at = began;
  write.state = kStates.at(static_cast<std::size_t>(steps));
  if (steps >= 2) write.confirmed_at = began + 20s;
  if (steps == 3) write.ended_at = began + 60s;
  write.failures = static_cast<std::uint32_t>(std::min(steps, 2));
  write.transitions_total = static_cast<std::uint32_t>(steps);
  write.evidence = evidence;
  const auto last = static_cast<std::size_t>(steps - 1);
  write.transitions = {{.seq = write.transitions_total,
                        .reason = kReasons.at(last),
                        .before = kStates.at(last),
                        .after = kStates.at(last + 1),
                        .at = began + 10s * steps,
                        .failures = write.failures,
                        .evidence = evidence}};
  return write;
}

// What another part left open would meet the events of this one.
void forget_events(db::Connection& connection) {
  must(connection.execute("DELETE FROM event_transitions"));
  must(connection.execute("DELETE FROM events"));
  must(connection.execute(
      "UPDATE site_state SET event_id = NULL, event_state = NULL WHERE event_id IS NOT NULL"));
}

// The same steps of the same number of sites, once under a fence and once without, by turns.
void fence(const Server& server, std::uint64_t sites, int seconds) {
  forget_events(*connect(server.url(0, "bench")));
  const auto store = open(server.url(0, "bench"));
  const auto leases = must(store->make_lease_store());
  const core::SystemClock clock;
  core::BucketTable table(1024, clock);
  must(leases->set_up(table.buckets()));
  db::NodeRow node;
  node.name = "bench";
  node.instance = "1";
  node.lease_ms = 3'600'000;
  if (!must(leases->join(node, ""))) std::exit(3);
  std::vector<core::BucketNo> all;
  for (std::uint32_t i = 0; i < table.buckets(); ++i) all.push_back(core::BucketNo{i});
  for (const db::Taken& one : must(leases->take(node, all))) table.set_epoch(one.bucket, one.epoch);
  table.set_fence(must(leases->look(node.name)).fence);
  table.set_valid_until(clock.boot() + 1h);
  const db::Fencing under{.table = &table, .node = node.name, .writer = std::string(db::kShardWriter)};
  const std::array stores{must(store->make_event_store()), must(store->make_event_store(under))};

  const core::WallTime epoch = clock.wall();
  for (const std::uint64_t batch : {1U, 16U, 256U}) {
    struct Sum {
      double wall = 0, ours = 0, theirs = 0;
    };
    std::array<Sum, 2> sums;
    int commits = 0;
    const Times whole(server);
    for (std::int64_t round = 0; whole.seconds() < std::min(seconds, 30); ++round) {
      for (int step = 1; step <= 3; ++step) {
        for (std::size_t turn = 0; turn < 2; ++turn) {
          const std::size_t which = (turn + static_cast<std::size_t>(round)) % 2;
          std::vector<sideeffects::EventWrite> writes;
          for (std::uint64_t i = 0; i < batch; ++i) {
            // Neighbours, so that both find their rows alike; each its own.
            const core::SiteId site{1 + (2 * (static_cast<std::uint64_t>(round) * batch + i) + which) % sites};
            writes.push_back(story(site, epoch + round * 1s, step));
            if (which == 1) writes.back().epoch = table.epoch(table.of(site));
          }
          const Times times(server);
          must(stores.at(which)->commit(writes));
          sums.at(which).wall += times.seconds();
          sums.at(which).ours += times.our_cpu();
          sums.at(which).theirs += times.their_cpu();
        }
        ++commits;
      }
    }
    const auto us = [&](double s) { return s * 1e6 / commits; };
    const auto& [without, with] = sums;
    std::printf("fence   commits of %3llu: %.0f µs without, %.0f µs with (%.3f); CPU ours %.0f and "
                "%.0f µs, server %.0f and %.0f µs; %d of each\n",
                static_cast<unsigned long long>(batch), us(without.wall), us(with.wall),
                with.wall / without.wall, us(without.ours), us(with.ours), us(without.theirs),
                us(with.theirs), commits);
    std::fflush(stdout);
  }
  must(leases->leave(node));
}

// One engine's side: its half of the sites, by turns.
class Engine {
 public:
  Engine(const Server& server, std::size_t number, std::uint64_t sites, Tally& tally,
         const std::atomic<bool>& stopping)
      : server_(server), number_(number), sites_(sites), tally_(tally), stopping_(stopping) {}

  void start() {
    store_ = open(server_.url(number_, "bench"));
    threads_.emplace_back([this] { feed(); });
    threads_.emplace_back([this] { write_events(); });
    threads_.emplace_back([this] { project(); });
  }
  void join() {
    for (std::thread& thread : threads_) thread.join();
  }
  double projector_cpu = 0;

 private:
  // Reads the whole list again and again, as after reloads, and follows the changes meanwhile.
  void feed() {
    const auto list = must(store_->make_site_feed());
    const auto changes = must(store_->make_site_feed());
    core::ChangeSeq seen = must(changes->newest_change());
    core::SiteId after;
    while (!stopping_) {
      const auto page = list->load(after, 2000);
      if (!page) {
        ++tally_.refused;
        clock_.sleep_for(100ms);
        continue;
      }
      ++tally_.pages;
      after = page->last ? core::SiteId{} : page->sites.back().record.id;
      if (page->last) ++tally_.loads;
      if (tally_.pages % 8 == 0) {
        const auto news = changes->changes(seen, 2000);
        if (news && !news->empty()) {
          tally_.changes += news->size();
          seen = news->back().seq;
        }
      }
      clock_.sleep_for(20ms);
    }
  }

  // Batches of 1 to 256 sites in no order, each a step further: an event opens, is confirmed, ends.
  void write_events() {
    const auto events = must(store_->make_event_store());
    std::minstd_rand random(static_cast<unsigned>(number_) + 1);
    const core::WallTime epoch = clock_.wall();
    for (std::int64_t round = 0; !stopping_; ++round) {
      const core::WallTime began = epoch + round * 1s;
      std::vector<core::SiteId> sites;
      const std::size_t count = 1 + random() % 256;
      while (sites.size() < count) {
        // The engines' shares interleave: neighbouring rows, the hardest case for locks.
        const core::SiteId site{1 + 2 * (random() % (sites_ / 2)) + number_ % 2};
        if (std::find(sites.begin(), sites.end(), site) == sites.end()) sites.push_back(site);
      }
      for (int step = 1; step <= 3; ++step) {
        std::vector<sideeffects::EventWrite> writes;
        for (const core::SiteId site : sites) writes.push_back(story(site, began, step));
        while (true) {
          const auto done = events->commit(writes);
          if (done) break;
          ++tally_.refused;
          std::fprintf(stderr, "events: %s\n", done.error().message.c_str());
          clock_.sleep_for(200ms);
        }
        tally_.transitions += count;
      }
      tally_.events += count;
      clock_.sleep_for(50ms);
    }
  }

  // Half of what 4 million sites at 15 minutes need, a second a batch of up to 1000.
  void project() {
    const auto sink = must(store_->make_freshness_sink());
    const double cpu = cpu_of_thread();
    const core::SteadyTime begin = clock_.steady();
    std::uint64_t written = 0;
    for (std::uint64_t round = 0; !stopping_; ++round) {
      auto marks = spread(sites_, round, 1000, clock_.wall());
      std::erase_if(marks, [&](const auto& mark) { return mark.site.value % 2 == number_ % 2; });
      const auto done = sink->write(marks);
      if (!done) {
        ++tally_.refused;
        std::fprintf(stderr, "marks: %s\n", done.error().message.c_str());
      }
      written += marks.size();
      tally_.marks += marks.size();
      const auto due =
          begin + std::chrono::duration_cast<core::Duration>(
                      std::chrono::duration<double>(static_cast<double>(written) / 2222.0));
      if (due > clock_.steady()) clock_.sleep_for(due - clock_.steady());
    }
    projector_cpu = cpu_of_thread() - cpu;
  }

  const Server& server_;
  const std::size_t number_;
  const std::uint64_t sites_;
  Tally& tally_;
  const std::atomic<bool>& stopping_;
  const core::SystemClock clock_;
  std::unique_ptr<db::Store> store_;
  std::vector<std::thread> threads_;
};

// Another program that edits single sites in SQL, and people who import lists.
void edit(const Server& server, std::uint64_t sites, Tally& tally,
          const std::atomic<bool>& stopping) {
  const auto other = connect(server.url(2, "bench"));
  const auto store = open(server.url(2, "bench"));
  const auto catalog = must(store->make_site_catalog());
  const core::SystemClock clock;
  std::minstd_rand random(7);
  for (std::uint64_t round = 1; !stopping; ++round) {
    const std::string id = std::to_string(1 + random() % sites);
    const std::string change = round % 3 == 0 ? "active = 1 - active"
                               : round % 3 == 1
                                   ? "interval_ms = 60000 + " + std::to_string(round % 1000)
                                   : "name = 'edit " + std::to_string(round) + "'";
    if (other->execute("UPDATE sites SET " + change + " WHERE id = " + id)) {
      ++tally.edits;
    } else {
      ++tally.refused;
    }
    if (round % 100 == 0) {
      std::vector<core::SiteRecord> records(200);
      for (std::size_t i = 0; i < records.size(); ++i)
        records[i].url =
            "https://imported-" + std::to_string(round) + "-" + std::to_string(i) + ".example/";
      std::vector<core::SiteId> ids;
      if (catalog->upsert(records, &ids) && catalog->set_active(ids, false) &&
          catalog->remove(ids)) {
        ++tally.imports;
      } else {
        ++tally.refused;
      }
    }
    clock.sleep_for(10ms);
  }
}

void mixed(const Server& server, std::uint64_t sites, int seconds) {
  const auto watch = connect(server.url(0, "bench"));
  forget_events(*watch);
  const std::array names{"INNODB_DEADLOCKS", "INNODB_ROW_LOCK_WAITS", "WSREP_LOCAL_BF_ABORTS",
                         "WSREP_LOCAL_CERT_FAILURES"};
  std::array<std::int64_t, 4> before{};
  for (std::size_t i = 0; i < names.size(); ++i) before.at(i) = status(*watch, names.at(i));

  Tally tally;
  std::atomic<bool> stopping{false};
  const Times times(server);
  std::vector<std::unique_ptr<Engine>> engines;
  for (std::size_t i = 0; i < 2; ++i)
    engines.push_back(std::make_unique<Engine>(server, i, sites, tally, stopping));
  for (const auto& engine : engines) engine->start();
  std::thread editor([&] { edit(server, sites, tally, stopping); });
  times.clock.sleep_for(std::chrono::seconds{seconds});
  stopping = true;
  for (const auto& engine : engines) engine->join();
  editor.join();
  const double took = times.seconds();

  const auto count = [&](const char* sql) { return must(watch->number(sql)).value_or(-1); };
  const auto stored_events = count("SELECT count(*) FROM events WHERE state = 'closed'");
  const auto stored_transitions = count("SELECT count(*) FROM event_transitions");
  const auto broken = count(
      "SELECT count(*) FROM (SELECT event_id FROM event_transitions GROUP BY event_id HAVING "
      "count(*) <> max(seq)) gaps");
  const auto dangling = count("SELECT count(*) FROM site_state WHERE event_id IS NOT NULL");
  const auto n = [](const std::atomic<std::uint64_t>& of) {
    return static_cast<unsigned long long>(of.load());
  };
  std::printf(
      "mixed   %.0f s: %llu events (%llu transitions), %llu marks (%.0f a second), %llu edits, "
      "%llu imports of 200, %llu lists read, "
      "%llu changes seen; %llu calls refused and repeated\n",
      took, n(tally.events), n(tally.transitions), n(tally.marks),
      static_cast<double>(tally.marks.load()) / took, n(tally.edits), n(tally.imports),
      n(tally.loads), n(tally.changes), n(tally.refused));
  std::printf(
      "        stored: %lld events, %lld transitions; %lld with gaps, %lld states of no open "
      "event\n",
      static_cast<long long>(stored_events), static_cast<long long>(stored_transitions),
      static_cast<long long>(broken), static_cast<long long>(dangling));
  std::printf("        CPU: server %.2f of a core, each projector %.3f and %.3f\n",
              times.their_cpu() / took, engines[0]->projector_cpu / took,
              engines[1]->projector_cpu / took);
  std::array<std::int64_t, 4> after{};
  std::printf("       ");
  for (std::size_t i = 0; i < names.size(); ++i) {
    after.at(i) = status(*watch, names.at(i)) - before.at(i);
    std::printf(" %s %lld", names.at(i), static_cast<long long>(after.at(i)));
  }
  std::printf("\n");
  std::fflush(stdout);
  const bool lost = stored_events != static_cast<std::int64_t>(tally.events) ||
                    stored_transitions != static_cast<std::int64_t>(tally.transitions) ||
                    broken != 0 || dangling != 0;
  if (lost || (server.single && (after[0] != 0 || tally.refused != 0))) std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App options(
      "What the store costs on a database server, and whether its users get in each other's way.");
  std::uint64_t sites = 1'000'000;
  int seconds = 60;
  std::string kind = "mariadb";
  std::vector<std::string> only{"load", "project", "legacy", "events", "fence", "mixed"};
  options.add_option("--sites", sites, "How many sites")->check(CLI::Range(1'000, 10'000'000));
  options.add_option("--seconds", seconds, "How long `mixed` goes on, and each size of `fence` (30 at most)")->check(CLI::Range(1, 3600));
  options.add_option("--server", kind, "What is started")
      ->check(CLI::IsMember({"mariadb", "galera"}));
  options.add_option("--only", only, "load, project, legacy, events, fence, mixed")->delimiter(',');
  CLI11_PARSE(options, argc, argv);

  Server server;
  if (kind == "galera") {
    server.cluster = std::make_unique<testing::Galera>(
        std::vector<std::string>{"--innodb-buffer-pool-size=256M"});
  } else {
    server.single = std::make_unique<testing::MariaDb>([](const testing::TempDir&) {
      return std::vector<std::string>{"--innodb-buffer-pool-size=1G",
                                      "--innodb-log-file-size=256M"};
    });
  }
  must(connect(server.url(0, "mysql"))->execute("CREATE DATABASE bench CHARACTER SET utf8mb4"));
  (void)must(open(server.url(0, "bench"))->migrate(false));
  const Times times(server);
  make_sites(server, sites);
  std::printf("made    %llu sites in %.1f s\n", static_cast<unsigned long long>(sites),
              times.seconds());
  std::fflush(stdout);
  for (const std::string& part : only) {
    if (part == "load") load(server, sites);
    if (part == "project") project(server, sites);
    if (part == "legacy") legacy(server, sites);
    if (part == "events") events(server, sites);
    if (part == "fence") fence(server, sites, seconds);
    if (part == "mixed") mixed(server, sites, seconds);
  }
  return 0;
}
