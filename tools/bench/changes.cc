// SPDX-License-Identifier: Apache-2.0
// watchwheel-bench-changes: a million sites loaded, edited, retuned, imported and failing while they
// are checked: how long is the longest turn of a lane, how soon is an edit in force, and how long do
// the commits of events wait for an import.
//
// The store (SQLite), the import, the feeder and the lanes are the real ones; the network is not: an
// answer comes after 50 ms and costs nothing. A turn is told by the CPU time that its thread used,
// which other programs on the machine do not change, and by the time that passed.
#include <time.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "app/feeder.h"
#include "app/lane.h"
#include "app/site_import.h"
#include "app/site_list.h"
#include "checker/plan.h"
#include "core/hash.h"
#include "db/store.h"

namespace {

using namespace watchwheel;
using namespace std::chrono_literals;

template <typename T>
T must(core::Result<T>&& result) {
  if (!result) {
    std::fprintf(stderr, "watchwheel-bench-changes: %s\n", result.error().message.c_str());
    std::exit(3);
  }
  return *std::move(result);
}

core::Duration cpu_of_thread() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return std::chrono::seconds{t.tv_sec} + std::chrono::nanoseconds{t.tv_nsec};
}

class NoLog final : public app::Log {
 public:
  void write(app::LogLevel /*level*/, std::string_view /*line*/) noexcept override {}
  [[nodiscard]] bool enabled(app::LogLevel /*level*/) const noexcept override { return false; }
};

// Answers 50 ms later; to a third of the sites with a failure, once told so.
class InstantProber final : public checker::Prober {
 public:
  static inline std::atomic<bool> failing{false};

  void report_to(checker::ResultHandler& handler) { handler_ = &handler; }
  core::Result<checker::PlanRef> prepare(const core::CheckOptions& /*options*/) override {
    return checker::PlanRef{std::make_shared<checker::ProbePlan>()};
  }
  checker::Start start(checker::ProbeToken token, std::string_view /*url*/,
                       const checker::PlanRef& /*plan*/, core::SteadyTime now) override {
    waiting_.push_back({now + 50ms, now, token});
    return checker::Start::Started;
  }
  void cancel_all(core::SteadyTime /*now*/) override {}
  void set_in_flight_limit(std::size_t /*limit*/) override {}
  [[nodiscard]] std::size_t in_flight() const override { return waiting_.size(); }
  void turn(core::SteadyTime now) {
    for (int i = 0; i < 512 && !waiting_.empty() && waiting_.front().at <= now; ++i) {
      const Waiting one = waiting_.front();
      waiting_.pop_front();
      core::ProbeResult result;
      result.started = one.started;
      result.timings.total = 50ms;
      result.cause =
          failing.load(std::memory_order_relaxed) && core::stable_hash(one.token) % 3 == 0
              ? core::Cause::HttpStatus
              : core::Cause::Ok;
      handler_->on_result(one.token, std::move(result));
      ++checks;
    }
  }

  std::atomic<std::uint64_t> checks{0};

 private:
  struct Waiting {
    core::SteadyTime at;
    core::SteadyTime started;
    checker::ProbeToken token;
  };
  checker::ResultHandler* handler_ = nullptr;
  std::deque<Waiting> waiting_;
};

struct Turns {
  std::uint64_t count = 0;
  core::Duration cpu_max{};
  core::Duration wall_max{};
  std::uint64_t over_5ms = 0;  // By CPU time.
  std::uint64_t over_20ms = 0;
};

class BenchLane {
 public:
  BenchLane(std::uint32_t number, std::size_t sites_max, const core::Clock& clock)
      : clock_(clock), mailbox_(sites_max) {
    app::LaneSettings settings;
    settings.number = number;
    settings.sites_max = sites_max;
    settings.admission.in_flight_max = 100'000;
    settings.admission.descriptors = 1'000'000;
    settings.admission.memory_bytes = 1ULL << 40U;
    settings.clock = &clock;
    app::LanePorts ports{
        .inbox = &inbox, .notes = {&notes_}, .shards = {{&mailbox_, [] {}}}, .marks = &marks_};
    lane = std::make_unique<app::Lane>(settings, std::move(ports), clock.steady(), clock.wall());
    lane->attach(prober);
    prober.report_to(*lane);
  }
  ~BenchLane() { stop(); }
  void start() {
    thread_ = std::thread([this] { loop(); });
  }
  void stop() {
    stopping_.store(true);
    if (thread_.joinable()) thread_.join();
  }
  // Since the last call.
  [[nodiscard]] Turns take_turns() {
    const std::lock_guard lock(mutex_);
    return std::exchange(turns_, {});
  }

  core::SpscRing<app::LaneMessage> inbox{4096};
  InstantProber prober;
  std::unique_ptr<app::Lane> lane;

 private:
  void loop() {
    while (!stopping_.load()) {
      const core::SteadyTime now = clock_.steady();
      const core::Duration cpu = cpu_of_thread();
      lane->begin_turn(now, clock_.wall());
      prober.turn(now);
      lane->turn(now, clock_.wall());
      core::FreshnessMark mark;
      while (marks_.take(mark)) {
      }
      note(cpu_of_thread() - cpu, clock_.steady() - now);
      clock_.sleep_for(1ms);
    }
  }
  void note(core::Duration cpu, core::Duration wall) {
    const std::lock_guard lock(mutex_);
    ++turns_.count;
    turns_.cpu_max = std::max(turns_.cpu_max, cpu);
    turns_.wall_max = std::max(turns_.wall_max, wall);
    turns_.over_5ms += cpu > 5ms ? 1U : 0U;
    turns_.over_20ms += cpu > 20ms ? 1U : 0U;
  }

  const core::Clock& clock_;
  core::SpscRing<core::SiteNote> notes_{64};
  core::SpscRing<core::FreshnessMark> marks_{16384};
  app::ShardMailbox mailbox_;  // Nobody takes: it grows as it would while the store is away.
  std::mutex mutex_;
  Turns turns_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

struct Arguments {
  std::uint64_t sites = 1'000'000;
  std::uint32_t lanes = 1;
  std::uint32_t interval_s = 60;
  std::string dir;
};

class Bench {
 public:
  Bench(const Arguments& args, std::string dir)
      : args_(args),
        dir_(std::move(dir)),
        store_(must(db::open_store("sqlite://" + dir_ + "/x.db"))) {
    (void)must(store_->migrate(false));
    settings_.interval = std::chrono::seconds{args.interval_s};
  }

  int run() {
    std::printf(
        "%llu sites, %u lanes, interval %u s; times in ms; a turn by its thread's CPU time\n",
        static_cast<unsigned long long>(args_.sites), args_.lanes, args_.interval_s);
    import_into_empty_store();
    load();
    stay();
    edit();
    retune();
    import_while_running();
    fail();
    feeder_->stop();
    return worst_ > 20ms ? 1 : 0;
  }

 private:
  core::Duration since(core::SteadyTime begin) const { return clock_.steady() - begin; }

  // A site in three on a host with others; 40 to 60 bytes.
  void write_list(const std::string& file, std::uint64_t first, std::uint64_t count) const {
    std::ofstream out(file);
    out << "url,interval,timeout\n";
    for (std::uint64_t i = first; i < first + count; ++i) {
      out << "https://www.customer-" << (i % 3 == 0 ? i / 1000 : i) << ".example/page/" << i << ","
          << (i % 10 == 0 ? "2m" : "") << ","
          << (i % 20 == 0 ? std::to_string(i % 7 + 3) + "s" : "") << "\n";
    }
  }

  double import(const std::string& file) const {
    const core::SteadyTime begin = clock_.steady();
    std::ifstream in(file);
    const auto catalog = must(store_->make_site_catalog());
    app::ChecksConfig defaults;
    const auto reader = app::make_csv_reader(in, file, defaults);
    app::SiteImport import(catalog.get(), file, [](const app::Problem& problem) {
      std::fprintf(stderr, "%s\n", problem.message.c_str());
    });
    if (const auto done = import.run(*reader); !done) {
      std::fprintf(stderr, "import: %s\n", done.error().message.c_str());
      std::exit(3);
    }
    return core::to_seconds(since(begin));
  }

  void import_into_empty_store() {
    write_list(dir_ + "/first.csv", 1, args_.sites);
    const double took_s = import(dir_ + "/first.csv");
    std::printf("%-34s %.1f s, %.0f sites/s\n", "import, nothing running", took_s,
                static_cast<double>(args_.sites) / took_s);
  }

  void load() {
    std::vector<app::LaneInbox> inboxes;
    for (std::uint32_t i = 0; i < args_.lanes; ++i) {
      lanes_.push_back(std::make_unique<BenchLane>(i, std::size_t{1} << 24U, clock_));
      inboxes.push_back({&lanes_.back()->inbox, [] {}});
    }
    feeder_ = std::make_unique<app::Feeder>(settings_, must(store_->make_site_feed()),
                                            std::move(inboxes), clock_, log_);
    const core::SteadyTime begin = clock_.steady();
    for (auto& lane : lanes_) lane->start();
    feeder_->start();
    while (!std::all_of(lanes_.begin(), lanes_.end(),
                        [](const auto& lane) { return lane->lane->stats().loaded.load(); }))
      clock_.sleep_for(1ms);
    const double took_s = core::to_seconds(since(begin));
    std::printf("%-34s %.1f s, %.0f sites/s\n", "load", took_s,
                static_cast<double>(args_.sites) / took_s);
    tell("  while loading");
  }

  void stay() {
    clock_.sleep_for(5s);
    tell("checked for 5 s");
  }

  // As another connection would: other URLs, intervals, pauses, a thousand sites in two transactions. How long until the feeder has passed them on.
  core::Duration edit_batch(db::SiteCatalog& catalog, std::uint64_t round) {
    std::vector<core::SiteRecord> changed;
    std::vector<core::SiteId> some;
    const std::uint64_t before = feeder_->stats().changes.value();
    // 7,919 is prime: scattered over the list, and none twice.
    const auto id_of = [&](std::uint64_t i) { return (round * 1000 + i) * 7919 % args_.sites + 1; };
    for (std::uint64_t i = 0; i < 500; ++i) {
      core::SiteRecord record;
      record.id = core::SiteId{id_of(i)};
      record.url = "http://edited-" + std::to_string(round) + "-" + std::to_string(i) + ".example/";
      record.interval = std::chrono::seconds{30 + round};
      changed.push_back(record);
      some.emplace_back(id_of(i + 500));
    }
    const auto counts = must(catalog.upsert(changed, nullptr));
    const std::uint64_t paused = must(catalog.set_active(some, false));
    const core::SteadyTime begin = clock_.steady();
    const std::uint64_t wanted = before + counts.changed + paused;
    while (feeder_->stats().changes.value() < wanted && since(begin) < 60s) clock_.sleep_for(1ms);
    return since(begin);
  }

  core::Duration edits(int rounds) {
    const auto catalog = must(store_->make_site_catalog());
    core::Duration worst{};
    for (int i = 0; i < rounds; ++i) worst = std::max(worst, edit_batch(*catalog, ++round_));
    return worst;
  }

  void edit() {
    const core::Duration worst = edits(10);
    std::printf("%-34s in force after at most %.0f ms\n", "10 times 1,000 edits",
                core::to_ms(worst));
    tell("  while edited");
  }

  void retune() {
    const core::SteadyTime begin = clock_.steady();
    settings_.defaults.timeout = 7s;
    feeder_->retune(settings_, std::make_shared<const app::LaneTuning>());
    const core::Duration worst = edits(5);
    const bool still = feeder_->stats().rereads.value() == 0;
    while (feeder_->stats().rereads.value() == 0 && since(begin) < 300s) clock_.sleep_for(10ms);
    std::printf("%-34s %.1f s; edits %s in force after at most %.0f ms\n", "new defaults for all",
                core::to_seconds(since(begin)), still ? "meanwhile" : "(afterwards)",
                core::to_ms(worst));
    tell("  while read again");
  }

  // An event a while, as a shard would commit it.
  void commit_events(std::atomic<bool>& stop, std::vector<double>& took_ms) const {
    const auto events = must(store_->make_event_store());
    for (std::uint64_t i = 1; !stop.load(); ++i) {
      sideeffects::EventWrite write;
      write.site = core::SiteId{i};
      write.started_at = core::from_unix_ms(1'700'000'000'000);
      write.state = core::SiteState::SeemsDown;
      write.failures = 1;
      write.evidence.cause = core::Cause::HttpStatus;
      write.transitions_total = 1;
      write.transitions.push_back({.seq = 1,
                                   .reason = core::TransitionReason::Opened,
                                   .before = core::SiteState::Up,
                                   .after = core::SiteState::SeemsDown,
                                   .at = write.started_at,
                                   .failures = 1,
                                   .evidence = write.evidence});
      const core::SteadyTime begin = clock_.steady();
      if (const auto done = events->commit(std::span(&write, 1)); !done) {
        std::fprintf(stderr, "commit: %s\n", done.error().message.c_str());
        took_ms.push_back(1e9);
      }
      took_ms.push_back(core::to_ms(since(begin)));
      clock_.sleep_for(50ms);
    }
  }

  void import_while_running() {
    write_list(dir_ + "/second.csv", args_.sites + 1, args_.sites);
    const std::uint64_t before = feeder_->stats().changes.value();
    std::atomic<bool> stop{false};
    std::vector<double> took_ms;
    std::thread committing([&] { commit_events(stop, took_ms); });
    const core::SteadyTime begin = clock_.steady();
    const double took_s = import(dir_ + "/second.csv");
    const core::SteadyTime imported = clock_.steady();
    while (feeder_->stats().changes.value() < before + args_.sites && since(begin) < 600s)
      clock_.sleep_for(10ms);
    stop.store(true);
    committing.join();
    std::sort(took_ms.begin(), took_ms.end());
    std::printf(
        "%-34s %.1f s, %.0f sites/s; in force %.1f s later; commits of events %.0f ms median, "
        "%.0f ms p99, %.0f ms max of %zu\n",
        "import while running", took_s, static_cast<double>(args_.sites) / took_s,
        core::to_seconds(since(imported)), took_ms[took_ms.size() / 2],
        took_ms[took_ms.size() * 99 / 100], took_ms.back(), took_ms.size());
    tell("  while importing");
  }

  void fail() {
    InstantProber::failing.store(true);
    clock_.sleep_for(std::chrono::seconds{args_.interval_s} + 5s);
    std::size_t down = 0;
    for (auto& lane : lanes_)
      down += static_cast<std::size_t>(lane->lane->stats().incidents_seem_down.value() +
                                       lane->lane->stats().incidents_down.value());
    std::printf("%-34s %zu sites fail\n", "a third begins to fail", down);
    tell("  while they do");
  }

  void tell(const char* when) {
    Turns all;
    std::uint64_t checks = 0;
    for (auto& lane : lanes_) {
      const Turns turns = lane->take_turns();
      all.count += turns.count;
      all.cpu_max = std::max(all.cpu_max, turns.cpu_max);
      all.wall_max = std::max(all.wall_max, turns.wall_max);
      all.over_5ms += turns.over_5ms;
      all.over_20ms += turns.over_20ms;
      checks += lane->prober.checks.exchange(0);
    }
    worst_ = std::max(worst_, all.cpu_max);
    std::printf(
        "%-34s longest turn %.1f ms CPU (%.1f ms passed); over 5 ms %llu, over 20 ms %llu of "
        "%llu; %llu checks\n",
        when, core::to_ms(all.cpu_max), core::to_ms(all.wall_max),
        static_cast<unsigned long long>(all.over_5ms),
        static_cast<unsigned long long>(all.over_20ms), static_cast<unsigned long long>(all.count),
        static_cast<unsigned long long>(checks));
    std::fflush(stdout);
  }

  const Arguments args_;
  const std::string dir_;
  const core::SystemClock clock_;
  NoLog log_;
  app::FeederSettings settings_;
  std::unique_ptr<db::Store> store_;
  std::vector<std::unique_ptr<BenchLane>> lanes_;
  std::unique_ptr<app::Feeder> feeder_;
  std::uint64_t round_ = 0;
  core::Duration worst_{};
};

}  // namespace

int main(int argc, char** argv) {
  Arguments args;
  CLI::App app{"The longest turns of lanes whose sites are loaded, edited and imported.",
               "watchwheel-bench-changes"};
  app.add_option("--sites", args.sites, "Sites to begin with")->check(CLI::Range(1000, 8'000'000));
  app.add_option("--lanes", args.lanes, "Lanes")->check(CLI::Range(1, 64));
  app.add_option("--interval", args.interval_s, "Seconds")->check(CLI::Range(1, 3600));
  app.add_option("--dir", args.dir, "Where the store is made; it is removed")->required();
  CLI11_PARSE(app, argc, argv);
  const std::string dir = args.dir + "/watchwheel-bench-changes";
  std::filesystem::remove_all(dir);
  std::filesystem::create_directories(dir);
  const int status = Bench(args, dir).run();
  std::filesystem::remove_all(dir);
  return status;
}
