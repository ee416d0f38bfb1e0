// SPDX-License-Identifier: Apache-2.0
// watchwheel-bench-micro: what the small parts of a check's way take, one at a time, by Google
// Benchmark. Times are for one item: a check placed and fired, a value sent, a result judged.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "checker/error_pages.h"
#include "checker/stats.h"
#include "core/mailbox.h"
#include "core/ring.h"
#include "core/site_facts.h"
#include "core/stats.h"
#include "scheduler/scheduler.h"
#include "scheduler/site_table.h"
#include "scheduler/wheel.h"
#include "sideeffects/attention.h"
#include "sideeffects/judge.h"

namespace {

using namespace watchwheel;
using namespace std::chrono_literals;

constexpr core::Duration kInterval = 60s;
constexpr core::WallTime kWall{std::chrono::seconds{1'700'000'000}};

void fill(scheduler::SiteTable& table, std::size_t sites) {
  for (std::uint64_t id = 1; id <= sites; ++id) {
    const auto slot = table.add(core::SiteId{id},
                                "https://site-" + std::to_string(id) + ".example/", kInterval, 0);
    benchmark::DoNotOptimize(slot);
  }
}

void per_item(benchmark::State& state, std::uint64_t items) {
  // kIsRate counts a second; inverted it is the time of one.
  state.counters["each"] = benchmark::Counter(
      static_cast<double>(items), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

// One tick of time, and every site that fired placed again an interval later.
void wheel_turn(benchmark::State& state) {
  const auto sites = static_cast<std::size_t>(state.range(0));
  scheduler::SiteTable table(sites);
  fill(table, sites);
  core::SteadyTime now{1h};
  scheduler::Wheel wheel({.tick = 100ms, .horizon = 1h}, table, now);
  for (std::uint32_t i = 0; i < sites; ++i) {
    // Scattered, as phases are: 7,919 is prime.
    const auto phase = kInterval * (i * 7919ULL % sites) / static_cast<std::int64_t>(sites);
    wheel.place(core::SiteSlot{i}, now + phase);
  }
  std::vector<core::SiteSlot> fired;
  std::uint64_t checks = 0;
  for (auto _ : state) {
    now += 100ms;
    fired.clear();
    wheel.advance(now, fired);
    for (const core::SiteSlot site : fired) wheel.place(site, now + kInterval);
    checks += fired.size();
  }
  per_item(state, checks);
}
BENCHMARK(wheel_turn)->Arg(10'000)->Arg(100'000)->Arg(1'000'000)->MinTime(0.3);

// The whole decision when: due, paced, handed out, finished, placed again.
void scheduler_turn(benchmark::State& state) {
  const auto sites = static_cast<std::size_t>(state.range(0));
  scheduler::SiteTable table(sites);
  fill(table, sites);
  core::SteadyTime now{1h};
  core::WallTime wall = kWall;
  scheduler::Scheduler scheduler({}, table, now, wall);
  for (std::uint32_t i = 0; i < sites; ++i) scheduler.add(core::SiteSlot{i}, wall - kInterval, now);
  std::vector<core::SiteSlot> taken(256);
  std::uint64_t checks = 0;
  for (auto _ : state) {
    now += 5ms;
    wall += 5ms;
    scheduler.turn(now, wall);
    const std::size_t count = scheduler.take_due(taken, now);
    for (std::size_t i = 0; i < count; ++i) scheduler.finished(taken[i], now, std::nullopt);
    checks += count;
  }
  per_item(state, checks);
}
BENCHMARK(scheduler_turn)->Arg(100'000)->Arg(1'000'000)->MinTime(0.3);

// Both ends on one thread: what the two calls cost, not what moving a cache line does.
void ring_offer_take(benchmark::State& state) {
  core::SpscRing<core::FreshnessMark> ring(1024);
  core::FreshnessMark taken;
  for (auto _ : state) {
    core::FreshnessMark mark{.site = core::SiteId{7}, .checked_at = kWall};
    benchmark::DoNotOptimize(ring.offer(std::move(mark)));
    benchmark::DoNotOptimize(ring.take(taken));
  }
  per_item(state, static_cast<std::uint64_t>(state.iterations()));
}
BENCHMARK(ring_offer_take);

core::SiteFacts failing_facts(std::uint64_t site) {
  core::Evidence evidence{.cause = core::Cause::HttpStatus,
                          .phase = core::Phase::FirstByte,
                          .http_status = 503,
                          .detail = "503 Service Unavailable",
                          .address = "192.0.2.17"};
  core::Outage outage;
  outage.started_at = outage.last_failed_at = kWall;
  outage.failures = 1;
  outage.evidence = outage.opened_by = evidence;
  core::SiteFacts facts;
  facts.site = core::SiteId{site};
  facts.seq = site;
  facts.at = kWall;
  facts.outages.push_back(outage);
  return facts;
}

// 256 sites posted and taken at once, as a shard does; each value with one outage, copied in.
void mailbox_post_take(benchmark::State& state) {
  constexpr std::uint64_t kSites = 256;
  core::Mailbox<core::FactsKey, core::SiteFacts> mailbox(kSites);
  std::vector<core::SiteFacts> facts;
  for (std::uint64_t i = 1; i <= kSites; ++i) facts.push_back(failing_facts(i));
  std::vector<core::SiteFacts> taken;
  for (auto _ : state) {
    for (const core::SiteFacts& one : facts) benchmark::DoNotOptimize(mailbox.post(core::key_of(one), one));
    taken.clear();
    benchmark::DoNotOptimize(mailbox.take(taken, kSites));
  }
  per_item(state, static_cast<std::uint64_t>(state.iterations()) * kSites);
}
BENCHMARK(mailbox_post_take);

// The two commonest verdicts: an outage that is new, and one confirmed that ended.
void judge_opened(benchmark::State& state) {
  const core::SiteFacts facts = failing_facts(1);
  for (auto _ : state) benchmark::DoNotOptimize(sideeffects::judge(std::nullopt, facts, {}));
  per_item(state, static_cast<std::uint64_t>(state.iterations()));
}
BENCHMARK(judge_opened);

void judge_recovered(benchmark::State& state) {
  core::SiteFacts facts = failing_facts(1);
  core::Outage& outage = facts.outages.front();
  outage.failures = outage.confirmed_failures = 3;
  outage.confirmed_at = kWall + 20s;
  outage.confirmed_by = outage.evidence;
  outage.ended_at = kWall + 60s;
  const sideeffects::StoredEvent open{.event = {.id = core::EventId{5},
                                                .state = core::SiteState::Down,
                                                .started_at = kWall,
                                                .confirmed_at = kWall + 20s,
                                                .failures = 3,
                                                .cause = outage.evidence.cause},
                                      .transitions_total = 2,
                                      .evidence = outage.evidence};
  for (auto _ : state) benchmark::DoNotOptimize(sideeffects::judge(open, facts, {}));
  per_item(state, static_cast<std::uint64_t>(state.iterations()));
}
BENCHMARK(judge_recovered);

sideeffects::Seen seen(core::Cause cause, core::WallTime at) {
  return {
      .outcome = core::outcome_of(cause),
      .evidence = {.cause = cause, .detail = "503 Service Unavailable", .address = "192.0.2.17"},
      .at = at};
}

// A healthy site's lane does not even ask. This is the look-up it would pay, beside a thousand sites
// in trouble.
void attention_healthy(benchmark::State& state) {
  sideeffects::Attention attention({}, 1);
  for (std::uint64_t id = 1; id <= 1000; ++id)
    benchmark::DoNotOptimize(
        attention.on_result(core::SiteId{1'000'000 + id}, seen(core::Cause::HttpStatus, kWall)));
  const sideeffects::Seen good = seen(core::Cause::Ok, kWall);
  std::uint64_t site = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(attention.on_result(core::SiteId{++site % 100'000 + 1}, good));
  per_item(state, static_cast<std::uint64_t>(state.iterations()));
}
BENCHMARK(attention_healthy);

// Ten thousand sites that go on failing: one more result of each.
void attention_failing(benchmark::State& state) {
  constexpr std::uint64_t kSites = 10'000;
  sideeffects::Attention attention({}, 1);
  core::WallTime at = kWall;
  std::uint64_t site = 0;
  for (auto _ : state) {
    at += 1ms;
    benchmark::DoNotOptimize(
        attention.on_result(core::SiteId{site++ % kSites + 1}, seen(core::Cause::HttpStatus, at)));
  }
  per_item(state, static_cast<std::uint64_t>(state.iterations()));
}
BENCHMARK(attention_failing);

void count_result(benchmark::State& state) {
  checker::Stats stats;
  core::Duration took = 1ms;
  for (auto _ : state) {
    took = took > 2s ? 1ms : took * 3 / 2;
    stats.results[0].add();
    stats.duration.observe(took);
    benchmark::ClobberMemory();
  }
  per_item(state, static_cast<std::uint64_t>(state.iterations()));
}
BENCHMARK(count_result);

// Everything one lane's checker counts, read as a scrape does; `each` is a whole snapshot.
void metric_snapshot(benchmark::State& state) {
  checker::Stats stats;
  stats.duration.observe(20ms);
  for (auto _ : state) {
    std::uint64_t sum = 0;
    for (const core::Counter& counter : stats.results) sum += counter.value();
    core::HistogramReading durations = stats.duration.read();
    for (const core::Histogram& phase : stats.phase_duration) durations.merge(phase.read());
    benchmark::DoNotOptimize(sum);
    benchmark::DoNotOptimize(durations.quantile(0.99));
  }
  per_item(state, static_cast<std::uint64_t>(state.iterations()));
}
BENCHMARK(metric_snapshot);

// Nearly every page is healthy. The first number is its bytes; the second says whether it has a heading, behind which little is
// read.
void healthy_page(benchmark::State& state) {
  const auto bytes = static_cast<std::size_t>(state.range(0));
  std::string page =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<title>Lamps and chairs - the lamp shop</title>\n"
      "<script>window.dataLayer=window.dataLayer||[];</script>\n</head>\n<body>\n"
      "<nav><a href=\"/\">Home</a> <a href=\"/lamps\">Lamps</a></nav>\n";
  if (state.range(1) != 0) page += "<h1>New lamps for the winter</h1>\n";
  while (page.size() < bytes) page += "<p class=\"text\">A lamp of <b>oak</b> and paper.</p>\n";
  page.resize(bytes);
  for (auto _ : state) {
    benchmark::DoNotOptimize(checker::recognise_error_page(
        {.content_type = "text/html; charset=utf-8", .body = page, .home_page = true}));
  }
  per_item(state, static_cast<std::uint64_t>(state.iterations()));
}
BENCHMARK(healthy_page)->Args({2048, 1})->Args({2048, 0})->Args({16384, 1})->Args({16384, 0});

}  // namespace

BENCHMARK_MAIN();
