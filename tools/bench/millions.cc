// SPDX-License-Identifier: Apache-2.0
// watchwheel-bench-millions: a lane with ten million sites at five minutes, in virtual time.
//
// The real lane (table, wheel, pacing, admission, judging at a glance, projection) and the real
// projector, with a network that answers after 50 ms and a store that only counts. Told are the
// cost of a check in CPU time, bytes a site, how late checks started and the most in a second. The
// exit status is 1 when a check was missed, doubled or late, when a second saw more than 1.5 times
// the required rate, or when the projector fell behind.
//
// At the end the process stands still for two minutes of virtual time, and catches up.
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <deque>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "app/lane.h"
#include "core/clock.h"
#include "sideeffects/projector.h"

namespace {

using namespace watchwheel;
using namespace std::chrono_literals;

constexpr core::Duration kAnswersAfter = 50ms;
constexpr core::Duration kTurn = 5ms;
constexpr core::Duration kStall = 2min;

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t all = 0;
  std::size_t resident = 0;
  statm >> all >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// 40 to 60 bytes, 50 in the mean.
std::string url_of(std::uint64_t id) {
  const std::string start = "http://www.customer-" + std::to_string(10'000'000 + id) + ".example/";
  return start + std::string(40 + id * 5 % 21 - start.size(), 'p');
}

// Answers everything, in the order in which it was asked.
class Network final : public checker::Prober {
 public:
  explicit Network(const core::Clock& clock) : clock_(clock) {}
  void report_to(checker::ResultHandler& handler) { handler_ = &handler; }

  core::Result<checker::PlanRef> prepare(const core::CheckOptions&) override {
    // The plan is the checker's own secret; nobody looks into this one.
    return checker::PlanRef(std::make_shared<int>(0), reinterpret_cast<checker::ProbePlan*>(this));
  }
  checker::Start start(checker::ProbeToken token, std::string_view, const checker::PlanRef&,
                       core::SteadyTime now) override {
    if (asked_.size() >= limit_) return checker::Start::Full;
    asked_.push_back({now, token});
    count(now);
    return checker::Start::Started;
  }
  void cancel_all(core::SteadyTime) override { asked_.clear(); }
  void set_in_flight_limit(std::size_t limit) override { limit_ = limit; }
  [[nodiscard]] std::size_t in_flight() const override { return asked_.size(); }

  void turn(core::SteadyTime now) {
    while (!asked_.empty() && asked_.front().at + kAnswersAfter <= now) {
      const Asked one = asked_.front();
      asked_.pop_front();
      core::ProbeResult result;
      result.cause = core::Cause::Ok;
      result.phase = core::Phase::Done;
      result.http_status = 200;
      result.started = one.at;
      result.started_at = clock_.wall();
      result.timings.total = now - one.at;
      handler_->on_result(one.token, std::move(result));
    }
  }
  [[nodiscard]] std::uint64_t starts() const { return starts_; }
  // The most in any second since the last call, to a tenth.
  std::uint64_t most_in_a_second() { return std::exchange(most_, 0); }

 private:
  struct Asked {
    core::SteadyTime at;
    checker::ProbeToken token = 0;
  };
  void count(core::SteadyTime now) {
    ++starts_;
    const auto tenth = static_cast<std::size_t>(now.time_since_epoch() / 100ms);
    for (; tenth_ < tenth; ++tenth_) {
      std::uint64_t sum = 0;
      for (const std::uint64_t n : last_) sum += n;
      most_ = std::max(most_, sum);
      last_[(tenth_ + 1) % last_.size()] = 0;
    }
    ++last_[tenth % last_.size()];
  }

  const core::Clock& clock_;
  checker::ResultHandler* handler_ = nullptr;
  std::deque<Asked> asked_;
  std::size_t limit_ = 0;
  std::uint64_t starts_ = 0;
  std::size_t tenth_ = 0;
  std::array<std::uint64_t, 10> last_{};
  std::uint64_t most_ = 0;
};

class CountingSink final : public sideeffects::FreshnessSink {
 public:
  core::Result<void> write(std::span<const core::FreshnessMark> marks) override {
    written += marks.size();
    return {};
  }
  std::uint64_t written = 0;
};

class Fleet {
 public:
  Fleet(std::uint64_t sites, core::Duration interval) : sites_(sites), interval_(interval) {
    app::LaneSettings settings;
    settings.sites_max = sites;
    settings.jitter_seed = 7;
    app::LanePorts ports{
        .inbox = &inbox_, .notes = {&notes_}, .shards = {{&mailbox_, [] {}}}, .marks = &marks_};
    lane_ = std::make_unique<app::Lane>(settings, std::move(ports), clock_.steady(), clock_.wall());
    lane_->attach(network_);
    network_.report_to(*lane_);
    projector_ = std::make_unique<sideeffects::Projector>(sideeffects::ProjectorLimits{},
                                                          std::vector{&marks_}, sink_, clock_, 7);
  }

  void load() {
    const auto options = std::make_shared<const core::CheckOptions>();
    for (std::uint64_t id = 1; id <= sites_; ++id) {
      app::LaneMessage message;
      message.kind = app::LaneMessage::Kind::Put;
      message.id = core::SiteId{id};
      message.url = url_of(id);
      message.interval = interval_;
      message.options = options;
      message.last_checked_at = clock_.wall() - 1min;
      // Loading takes no virtual time: it is not what is measured here.
      while (!inbox_.offer(std::move(message))) turn();
    }
    while (inbox_.depth() > 0) turn();
  }
  void run_for(core::Duration time) {
    for (const core::SteadyTime end = clock_.steady() + time; clock_.steady() < end;) {
      clock_.advance(kTurn);
      turn();
    }
  }
  void stall(core::Duration time) {
    clock_.advance(time);
    lane_->note_loop_lag(time, clock_.steady());
  }
  // Sites whose newest result is older than this.
  [[nodiscard]] std::uint64_t older_than(core::Duration age) const {
    std::uint64_t count = 0;
    const scheduler::SiteTable& table = lane_->sites();
    for (std::uint32_t slot = 0; slot < table.slots_end(); ++slot) {
      const core::SiteSlot site{slot};
      if (table.contains(site) && clock_.steady() - table.row(site).checked > age) ++count;
    }
    return count;
  }

  [[nodiscard]] const app::Lane& lane() const { return *lane_; }
  [[nodiscard]] Network& network() { return network_; }
  [[nodiscard]] const CountingSink& sink() const { return sink_; }
  [[nodiscard]] const sideeffects::Projector& projector() const { return *projector_; }

 private:
  void turn() {
    const core::SteadyTime now = clock_.steady();
    network_.turn(now);
    lane_->turn(now, clock_.wall());
    if (projector_->next_turn() <= now) (void)projector_->turn(now);
  }

  const std::uint64_t sites_;
  const core::Duration interval_;
  core::ManualClock clock_;
  core::SpscRing<app::LaneMessage> inbox_{4096};
  core::SpscRing<core::SiteNote> notes_{64};
  core::SpscRing<core::FreshnessMark> marks_{16'384};
  app::ShardMailbox mailbox_{1024};
  Network network_{clock_};
  CountingSink sink_;
  std::unique_ptr<app::Lane> lane_;
  std::unique_ptr<sideeffects::Projector> projector_;
};

double real(std::uint64_t count) {
  return static_cast<double>(count);
}

int wrong = 0;

void demand(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "watchwheel-bench-millions: %s\n", what);
  wrong = 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t sites = 10'000'000;
  int interval_s = 300;
  CLI::App app{"A lane with millions of sites, in virtual time.", "watchwheel-bench-millions"};
  app.add_option("--sites", sites, "Sites")->check(CLI::Range(1, 16'000'000));
  app.add_option("--interval", interval_s, "Seconds")->check(CLI::Range(10, 3600));
  CLI11_PARSE(app, argc, argv);
  const core::Duration interval = std::chrono::seconds{interval_s};
  const double required = real(sites) / interval_s;
  // As many as may start at once whatever the rate.
  const double a_few = 8;

  const std::size_t before = resident_bytes();
  const double began = cpu_seconds();
  Fleet fleet(sites, interval);
  fleet.load();
  const double loaded = cpu_seconds();
  std::printf(
      "%llu sites, %d s apart: %.0f checks/s required; loaded in %.1f s of CPU, %.2f us a site\n",
      static_cast<unsigned long long>(sites), interval_s, required, loaded - began,
      (loaded - began) * 1e6 / real(sites));

  const scheduler::Stats& stats = fleet.lane().scheduler().stats();
  fleet.run_for(2 * interval + 1s);
  const double ran = cpu_seconds();
  const std::uint64_t checks = fleet.network().starts();
  const std::uint64_t most = fleet.network().most_in_a_second();
  const core::HistogramReading lag = stats.lag.read();
  std::printf(
      "two intervals: %llu checks, %.3f us of CPU a check; lag p50 %.1f ms, p99 %.1f ms; most in a "
      "second %.2f of required; "
      "%llu marks\n",
      static_cast<unsigned long long>(checks), (ran - loaded) * 1e6 / real(checks),
      lag.quantile(0.5) * 1e3, lag.quantile(0.99) * 1e3, real(most) / required,
      static_cast<unsigned long long>(fleet.sink().written));
  const std::size_t table = fleet.lane().sites().bytes();
  const std::size_t schedule = fleet.lane().scheduler().bytes();
  const auto each = [&](std::size_t bytes) { return real(bytes) / real(sites); };
  std::printf("bytes a site: table %.1f, schedule %.1f, resident %.1f\n", each(table),
              each(schedule), each(resident_bytes() - before));
  demand(stats.missed.value() == 0, "intervals were missed");
  demand(checks >= 2 * sites && real(checks) <= 2.02 * real(sites) + a_few,
         "not every site was checked twice in two intervals");
  demand(fleet.older_than(interval + 1s) == 0, "a site's newest result is older than its interval");
  demand(real(most) <= 1.5 * required + a_few, "a burst");
  const sideeffects::ProjectorStats& projector = fleet.projector().stats();
  demand(real(fleet.sink().written) + projector.pending.value() >= real(sites),
         "sites were not projected");

  fleet.stall(kStall);
  (void)fleet.network().most_in_a_second();
  const core::Duration back = kStall * 100 / 45 + 5s;  // Backlog / (0.45 x required rate).
  fleet.run_for(back);
  const std::uint64_t most_after = fleet.network().most_in_a_second();
  std::printf(
      "after standing still for 2 min: on time within %.0f s, most in a second %.2f of required; "
      "%.1f s of CPU in all\n",
      core::to_seconds(back), real(most_after) / required, cpu_seconds() - began);
  demand(real(fleet.lane().scheduler().queued()) < required, "still behind");
  demand(real(most_after) <= 1.5 * required + a_few, "a burst after standing still");
  fleet.run_for(interval);
  demand(fleet.older_than(interval + 1s) == 0, "not back on time");
  return wrong;
}
