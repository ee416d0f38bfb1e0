// SPDX-License-Identifier: Apache-2.0
// watchwheel-bench-bytes: what a site weighs in a lane: its row, its URL, the index, its place in the
// wheel, its response times, its share of the interned plans. Told twice: as the structures count themselves, and by how
// much the process grew.
//
// Each size is loaded in a process of its own, so that no run finds memory that another has freed, and
// is then checked for two intervals of virtual time, so that the wheel and the queues have all that
// they ever take.
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "app/response_tally.h"
#include "checker/checker.h"
#include "scheduler/scheduler.h"
#include "scheduler/site_table.h"

namespace {

using namespace watchwheel;
using namespace std::chrono_literals;

constexpr std::size_t kPlans = 16;
constexpr core::Duration kTurn = 10ms;

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t all = 0;
  std::size_t resident = 0;
  statm >> all >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

template <typename T>
T must(core::Result<T>&& result) {
  if (!result) {
    std::fprintf(stderr, "watchwheel-bench-bytes: %s\n", result.error().message.c_str());
    std::exit(3);
  }
  return *std::move(result);
}

struct NoResults final : checker::ResultHandler {
  void on_result(checker::ProbeToken, core::ProbeResult&&) noexcept override {}
};

// 40 to 60 bytes, 50 in the mean.
std::string url_of(std::uint64_t id) {
  const std::string start = "https://www.customer-" + std::to_string(10'000'000 + id) + ".example/";
  return start + std::string(40 + id * 5 % 21 - start.size(), 'p');
}

struct Held {
  std::size_t table = 0;
  std::size_t scheduler = 0;
  std::size_t growth = 0;
};

// A size for a person to read, and the same a line of JSON for a program.
void tell(const char* when, std::size_t sites, const Held& held, std::size_t url_bytes,
          std::FILE* json) {
  const auto each = [&](std::size_t bytes) {
    return static_cast<double>(bytes) / static_cast<double>(sites);
  };
  std::printf("%9zu  %-22s %8.1f %8.1f %8.1f %8.1f %9.1f\n", sites, when, each(url_bytes),
              each(held.table), each(held.scheduler), each(held.table + held.scheduler),
              each(held.growth));
  if (json == nullptr) return;
  std::fprintf(json,
               R"({"sites":%zu,"when":"%s","url_bytes":%.1f,"table_bytes":%.1f,)"
               R"("scheduler_bytes":%.1f,"counted_bytes":%.1f,"resident_bytes":%.1f})"
               "\n",
               sites, when, each(url_bytes), each(held.table), each(held.scheduler),
               each(held.table + held.scheduler), each(held.growth));
}

int measure(std::size_t sites, core::Duration interval, std::FILE* json) {
  const core::SystemClock clock;
  NoResults nobody;
  checker::Settings settings;
  settings.limits.in_flight_max = 1;
  settings.resolvers = {"127.0.0.1:53"};  // Never asked: nothing is checked here.
  const auto checker = must(checker::Checker::make(settings, clock, nobody));
  const std::size_t before = resident_bytes();

  std::vector<std::shared_ptr<const core::CheckOptions>> options;
  std::vector<checker::PlanRef> plans;
  for (std::size_t i = 0; i < kPlans; ++i) {
    core::CheckOptions own;
    own.keyword = {"expected on page " + std::to_string(i)};
    options.push_back(std::make_shared<const core::CheckOptions>(own));
    plans.push_back(must(checker->prepare(*options.back())));
  }

  core::SteadyTime now{1h};
  core::WallTime wall{std::chrono::seconds{1'700'000'000}};
  scheduler::SiteTable table(sites);
  scheduler::Scheduler scheduler({}, table, now, wall);
  app::ResponseTally responses;
  responses.keep(true);
  std::size_t url_bytes = 0;
  for (std::uint64_t id = 1; id <= sites; ++id) {
    const std::string url = url_of(id);
    url_bytes += url.size();
    const core::SiteSlot slot =
        table.add(core::SiteId{id}, url, interval, static_cast<scheduler::PlanIndex>(id % kPlans));
    scheduler.add(slot, wall - interval, now);
  }
  const auto held = [&] {
    return Held{table.bytes() + responses.bytes(), scheduler.bytes(), resident_bytes() - before};
  };
  tell("loaded", sites, held(), url_bytes, json);

  std::array<core::SiteSlot, 1024> taken{};
  std::uint64_t checks = 0;
  for (core::Duration gone{}; gone < 2 * interval; gone += kTurn) {
    now += kTurn;
    wall += kTurn;
    scheduler.turn(now, wall);
    while (const std::size_t count = scheduler.take_due(taken, now)) {
      for (std::size_t i = 0; i < count; ++i) {
        responses.add(taken[i], 120ms);
        scheduler.finished(taken[i], now, std::nullopt);
      }
      checks += count;
    }
  }
  tell("after two intervals", sites, held(), url_bytes, json);
  if (checks < sites) {
    std::fprintf(stderr, "watchwheel-bench-bytes: only %llu checks in two intervals\n",
                 static_cast<unsigned long long>(checks));
    return 1;
  }
  return 0;
}

int in_own_process(std::size_t sites, core::Duration interval, const std::string& json_file) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) return 3;
  if (child == 0) {
    std::FILE* json = json_file.empty() ? nullptr : std::fopen(json_file.c_str(), "ae");
    const int status = measure(sites, interval, json);
    if (json != nullptr) std::fclose(json);
    std::fflush(nullptr);
    std::_Exit(status);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 3;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::size_t> sizes{100'000, 1'000'000};
  int interval_s = 60;
  std::string json_file;
  CLI::App app{"Bytes a site in a lane's table and schedule.", "watchwheel-bench-bytes"};
  app.add_option("--sites", sizes, "Sizes to load")->check(CLI::Range(1, 10'000'000));
  app.add_option("--interval", interval_s, "Seconds")->check(CLI::Range(1, 3600));
  app.add_option("--json", json_file, "Append a line of JSON for each row to this file");
  CLI11_PARSE(app, argc, argv);

  std::printf("bytes a site\n%9s  %-22s %8s %8s %8s %8s %9s\n", "sites", "when", "its URL", "table",
              "schedule", "counted", "resident");
  for (const std::size_t sites : sizes) {
    if (const int status = in_own_process(sites, std::chrono::seconds{interval_s}, json_file))
      return status;
  }
  return 0;
}
