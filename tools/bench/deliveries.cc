// SPDX-License-Identifier: Apache-2.0
// watchwheel-bench-deliveries: what becomes of notices when the process that sends them is killed, and when more of them come than a
// receiver takes.
//
//   crash   a burst of confirmed outages, one site each; SIGKILL in the middle of it, and a new process on the same store.
//           lost        outages in the store that the receiver never heard of: must be 0
//           duplicates  messages that came twice: at most those that were being sent when the process was killed (`in_flight`)
//           ambiguous   those of `in_flight` that had arrived already: nobody can tell them from those that had not
//   burst   a receiver takes C a second (measured first, with a heap before it); then 0.4 C, for a while 1.3 C, and 0.4 C again. The
//           heap's peak is to be 0.3 C times that while, and gone after peak / 0.6 C; and at 0.9 C there is none but for a second's worth
//   shared  a heap, and two processes that send it: none may be told twice, and both must have sent some
//
// Sender and receiver are processes of their own; the receiver's record is what counts. Prints JSON; the exit status is 1 when
// something was lost or told twice that was not in flight. Without --quick the figures of `burst` must be within a quarter of the
// formula too.
#include <signal.h>
#include <sys/prctl.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "db/store.h"
#include "support/child_process.h"
#include "support/hook_receiver.h"
#include "support/sender_process.h"

namespace {

using namespace watchwheel;
using namespace std::chrono_literals;
using Json = nlohmann::ordered_json;
using testing::ChildProcess;
using testing::HookReceiver;
using testing::SenderTask;

[[noreturn]] void give_up(const std::string& why) {
  throw std::runtime_error(why);
}
template <typename T>
T must(core::Result<T> result) {
  if (!result) give_up(result.error().message);
  return *std::move(result);
}

double now_s() {
  return core::to_seconds(core::SystemClock().steady().time_since_epoch());
}

// What is looked at of what came.
struct Arrival {
  std::string id;
  std::string sender;  // Which process.
  std::uint64_t event = 0;
  double at = 0;
};

// Takes each message after a while, and remembers it.
class Receiver {
 public:
  explicit Receiver(core::Duration takes)
      : hooks_([this, takes](const HookReceiver::Arrival& came) {
          remember(came);
          return HookReceiver::Reply{.takes = takes};
        }) {}

  [[nodiscard]] int port() const { return hooks_.port(); }
  [[nodiscard]] std::vector<Arrival> arrivals() const {
    const std::lock_guard lock(mutex_);
    return arrivals_;
  }
  [[nodiscard]] std::size_t count() const {
    const std::lock_guard lock(mutex_);
    return arrivals_.size();
  }

 private:
  void remember(const HookReceiver::Arrival& came) {
    Arrival arrival{.id = came.id, .sender = came.sender, .event = 0, .at = came.at};
    const auto message = Json::parse(came.body, nullptr, false);
    if (!message.is_discarded()) arrival.event = message["data"]["sites"][0]["event"];
    const std::lock_guard lock(mutex_);
    arrivals_.push_back(std::move(arrival));
  }

  mutable std::mutex mutex_;
  std::vector<Arrival> arrivals_;  // Guarded by mutex_.
  HookReceiver hooks_;             // Last: its thread writes the others.
};

// A sender in a process of its own: this program, as main() says.
constexpr std::string_view kSender = "--sender";

struct End {
  void operator()(ChildProcess* child) const {
    child->stop(1min);
    std::fputs(child->err().c_str(), stderr);
    delete child;
  }
};
using Child = std::unique_ptr<ChildProcess, End>;

Child start(const SenderTask& task) {
  std::vector<std::string> words = testing::words_of(task);
  words.insert(words.begin(),
               {std::filesystem::read_symlink("/proc/self/exe").string(), std::string(kSender)});
  return Child(new ChildProcess(words));
}

// ---- The scenarios.

struct Options {
  bool quick = false;
  std::string dir;
  std::string only = "crash burst shared";
};

class Bed {
 public:
  Bed(const Options& options, const std::string& name, std::uint64_t sites)
      : dir_(options.dir + "/" + name) {
    std::filesystem::remove_all(dir_);
    std::filesystem::create_directories(dir_);
    store_ = must(db::open_store(url()));
    must(store_->migrate(false));
    const auto catalog = must(store_->make_site_catalog());
    for (std::uint64_t made = 0; made < sites;) {
      std::vector<core::SiteRecord> records(std::min<std::uint64_t>(1000, sites - made));
      for (core::SiteRecord& one : records)
        one.url = "https://s" + std::to_string(++made) + ".example/";
      must(catalog->upsert(records));
    }
  }
  [[nodiscard]] std::string url() const { return "sqlite://" + dir_ + "/w.db"; }
  [[nodiscard]] SenderTask sender(const Receiver& receiver, const std::string& outages,
                                  std::uint32_t in_flight) const {
    SenderTask task;
    task.store = url();
    task.node = "bench";
    task.port = receiver.port();
    task.in_flight = in_flight;
    task.outages = outages;
    task.record = dir_ + "/progress";
    return task;
  }
  [[nodiscard]] std::set<std::uint64_t> events() const {
    const auto log = must(store_->make_incident_log());
    std::set<std::uint64_t> ids;
    for (std::size_t offset = 0;; offset += 1000) {
      const auto page = must(log->list({}, offset, 1000));
      for (const db::Incident& one : page) ids.insert(one.id.value);
      if (page.size() < 1000) return ids;
    }
  }
  // Nothing waits any more, and nothing is being sent.
  [[nodiscard]] bool all_told() const {
    return must(must(store_->make_delivery_log())->list({}, 1)).empty();
  }
  // What is being sent, by its message's id.
  [[nodiscard]] std::set<std::string> in_flight() const {
    const auto log = must(store_->make_delivery_log());
    std::set<std::string> ids;
    db::DeliveryFilter filter;
    while (true) {
      const auto page = must(log->list(filter, 1000));
      for (const db::DeliveryRecord& one : page) {
        if (one.status == db::DeliveryStatus::Sending) ids.insert(one.message_id);
        filter.after = one.id.value;
      }
      if (page.size() < 1000) return ids;
    }
  }
  // Commits so far: when, and how many in all by then.
  [[nodiscard]] std::vector<std::pair<double, double>> produced() const {
    std::ifstream file(dir_ + "/progress");
    std::vector<std::pair<double, double>> all;
    double at = 0;
    double count = 0;
    double sum = 0;
    while (file >> at >> count) all.emplace_back(at, sum += count);
    return all;
  }

 private:
  const std::string dir_;
  std::unique_ptr<db::Store> store_;
};

template <typename Condition>
bool wait_for(Condition condition, core::Duration most) {
  const core::SystemClock clock;
  const core::SteadyTime until = clock.steady() + most;
  while (!condition()) {
    if (clock.steady() >= until) return false;
    clock.sleep_for(5ms);
  }
  return true;
}

struct Told {
  std::uint64_t lost = 0;
  std::uint64_t duplicates = 0;
  std::set<std::string> twice;
};

Told compare(const std::set<std::uint64_t>& events, const std::vector<Arrival>& arrivals) {
  Told told;
  std::map<std::string, int> by_id;
  std::set<std::uint64_t> heard;
  for (const Arrival& one : arrivals) {
    if (++by_id[one.id] == 2) told.twice.insert(one.id);
    heard.insert(one.event);
  }
  told.duplicates = arrivals.size() - by_id.size();
  for (const std::uint64_t event : events) told.lost += heard.contains(event) ? 0U : 1U;
  return told;
}

Json crash(const Options& options, bool& good) {
  const double rate = options.quick ? 100 : 500;
  const double seconds = options.quick ? 4 : 20;
  const Bed bed(options, "crash", static_cast<std::uint64_t>(rate * seconds) + 1);
  Receiver receiver(20ms);
  SenderTask sender =
      bed.sender(receiver, std::to_string(rate) + ":" + std::to_string(seconds), 16);
  const Child first = start(sender);
  // While it commits, and after it has begun to send.
  const auto in_the_middle = [&] {
    const auto produced = bed.produced();
    return receiver.count() > 20 && !produced.empty() &&
           produced.back().second >= rate * seconds / 2;
  };
  if (!wait_for(in_the_middle, 2min)) give_up("the burst does not arrive");
  first->signal(SIGKILL);
  if (!first->wait(1min)) give_up("the sender survives");
  const std::size_t before = receiver.count();
  const std::set<std::string> in_flight = bed.in_flight();
  const std::set<std::uint64_t> events = bed.events();
  const std::vector<Arrival> early = receiver.arrivals();
  std::set<std::string> arrived;
  for (const Arrival& one : early) arrived.insert(one.id);
  std::uint64_t ambiguous = 0;
  for (const std::string& id : in_flight) ambiguous += arrived.contains(id) ? 1U : 0U;

  sender.outages.clear();
  const double restarted = now_s();
  const Child second = start(sender);
  const bool heard = wait_for([&] { return compare(events, receiver.arrivals()).lost == 0; }, 2min);
  const double done = now_s();
  const bool all = heard && wait_for([&] { return bed.all_told(); }, 2min);
  const std::vector<Arrival> arrivals = receiver.arrivals();
  const Told told = compare(events, arrivals);
  std::uint64_t unexplained = 0;
  for (const std::string& id : told.twice) unexplained += in_flight.contains(id) ? 0U : 1U;
  good = good && all && told.lost == 0 && unexplained == 0 && told.duplicates <= in_flight.size();
  return {{"committed", events.size()},
          {"heard_before", before},
          {"in_flight", in_flight.size()},
          {"ambiguous", ambiguous},
          {"lost", told.lost},
          {"duplicates", told.duplicates},
          {"duplicates_not_in_flight", unexplained},
          {"time_to_resume_s", arrivals.size() > before ? arrivals[before].at - restarted : -1},
          {"time_to_drain_s", done - restarted}};
}

// The heap by what was committed and what arrived, and when it was at its highest and gone.
struct Heap {
  double peak = 0;
  double peak_at = 0;
  double gone_at = 0;
};

Heap heap_of(const std::vector<std::pair<double, double>>& produced,
             const std::vector<Arrival>& arrivals, double small) {
  Heap heap;
  std::size_t next = 0;
  for (std::size_t i = 0; i < arrivals.size(); ++i) {
    while (next < produced.size() && produced[next].first <= arrivals[i].at) ++next;
    const double so_far = next == 0 ? 0 : produced[next - 1].second;
    const double waits = so_far - static_cast<double>(i + 1);
    if (waits > heap.peak) heap = {.peak = waits, .peak_at = arrivals[i].at, .gone_at = 0};
    if (waits <= small && heap.gone_at == 0) heap.gone_at = arrivals[i].at;
  }
  return heap;
}

Json burst(const Options& options, bool& good) {
  // The receiver is slow, and not we, however busy the machine is.
  const core::Duration takes = options.quick ? 400ms : 1600ms;
  constexpr std::uint32_t kPlaces = 64;
  const std::size_t heap = options.quick ? 200 : 1000;
  double capacity = 0;
  {
    const Bed bed(options, "capacity", heap);
    Receiver receiver(takes);
    const Child child = start(bed.sender(receiver, std::to_string(heap) + ":0", kPlaces));
    if (!wait_for([&] { return receiver.count() >= heap; }, 2min)) give_up("the heap stays");
    const auto arrivals = receiver.arrivals();
    const std::size_t from = heap / 5;
    capacity =
        static_cast<double>(arrivals.size() - 1 - from) / (arrivals.back().at - arrivals[from].at);
  }
  const double quiet = options.quick ? 1 : 5;
  const double loud = options.quick ? 2 : 30;
  const auto run = [&](const std::string& name, double rho) {
    const double tail = loud * std::max(rho - 1, 0.0) / 0.6 * 1.5 + 2;
    const auto phase = [&](double share, double seconds) {
      return std::to_string(share * capacity) + ":" + std::to_string(seconds);
    };
    const std::string phases = phase(0.4, quiet) + "," + phase(rho, loud) + "," + phase(0.4, tail);
    const std::uint64_t all = testing::outages_of(phases);
    const Bed bed(options, name, all);
    Receiver receiver(takes);
    Child child = start(bed.sender(receiver, phases, kPlaces));
    const bool told = wait_for([&] { return receiver.count() >= all; }, 3min);
    child.reset();
    const Heap seen = heap_of(bed.produced(), receiver.arrivals(), 8);
    const Told compared = compare(bed.events(), receiver.arrivals());
    good = good && told && compared.lost == 0 && compared.duplicates == 0;
    const double peak = std::max(rho - 1, 0.0) * capacity * loud;
    const double drain = peak / (0.6 * capacity);
    const double measured = seen.gone_at > seen.peak_at ? seen.gone_at - seen.peak_at : 0;
    const auto near = [](double is, double should) { return std::abs(is - should) <= should / 4; };
    const bool as_said =
        rho > 1 ? near(seen.peak, peak) && near(measured, drain) : seen.peak <= capacity;
    if (!options.quick) good = good && as_said;
    return Json{{"offered", rho},
                {"peak", seen.peak},
                {"peak_by_formula", peak},
                {"drain_s", measured},
                {"drain_by_formula_s", drain},
                {"lost", compared.lost},
                {"duplicates", compared.duplicates},
                {"within_a_quarter", as_said}};
  };
  Json json{{"capacity_per_s", capacity}};
  json["within"] = run("within", 0.9);
  json["beyond"] = run("beyond", 1.3);
  return json;
}

Json shared(const Options& options, bool& good) {
  const std::size_t heap = options.quick ? 600 : 5000;
  Json json = Json::array();
  for (const int senders : {1, 2}) {
    const Bed bed(options, "shared" + std::to_string(senders), heap);
    Receiver receiver(50ms);
    std::vector<Child> children;
    // Who makes the heap last: the others are there before.
    for (int i = senders - 1; i >= 0; --i) {
      SenderTask sender = bed.sender(receiver, i == 0 ? std::to_string(heap) + ":0" : "", 16);
      sender.node = "bench" + std::to_string(i);
      children.push_back(start(sender));
      if (!wait_for([&] { return std::filesystem::exists(testing::record_of(sender)); }, 1min))
        give_up("a sender does not start");
    }
    const bool all = wait_for([&] { return receiver.count() >= heap; }, 3min) &&
                     wait_for([&] { return bed.all_told(); }, 1min);
    children.clear();
    const auto arrivals = receiver.arrivals();
    const Told told = compare(bed.events(), arrivals);
    std::map<std::string, std::uint64_t> by_sender;
    for (const Arrival& one : arrivals) ++by_sender[one.sender];
    good = good && all && told.lost == 0 && told.duplicates == 0 &&
           by_sender.size() == static_cast<std::size_t>(senders);
    json.push_back({{"senders", senders},
                    {"sent_by_each", by_sender},
                    {"messages", arrivals.size()},
                    {"lost", told.lost},
                    {"duplicates", told.duplicates},
                    {"per_s", static_cast<double>(arrivals.size()) /
                                  (arrivals.back().at - arrivals.front().at)}});
  }
  return json;
}

}  // namespace

int main(int argc, char** argv) try {
  ::signal(SIGPIPE, SIG_IGN);
  if (argc > 1 && argv[1] == kSender) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // It ends with who started it.
    return testing::run(testing::task_of(std::vector<std::string>(argv + 2, argv + argc)));
  }
  CLI::App cli{"What becomes of notices when their sender is killed, and when there are too many."};
  Options options;
  cli.add_flag("--quick", options.quick, "seconds instead of minutes; the figures mean little");
  cli.add_option("--dir", options.dir, "where the stores are made");
  cli.add_option("--only", options.only, "of crash, burst, shared")->capture_default_str();
  CLI11_PARSE(cli, argc, argv);
  if (options.dir.empty()) give_up("--dir is needed");
  options.dir = std::filesystem::absolute(options.dir).string();
  bool good = true;
  Json report{{"cores", std::thread::hardware_concurrency()}, {"quick", options.quick}};
  if (options.only.find("crash") != std::string::npos) report["crash"] = crash(options, good);
  if (options.only.find("burst") != std::string::npos) report["burst"] = burst(options, good);
  if (options.only.find("shared") != std::string::npos) report["shared"] = shared(options, good);
  report["good"] = good;
  std::printf("%s\n", report.dump(2).c_str());
  return good ? 0 : 1;
} catch (const std::exception& problem) {
  std::fprintf(stderr, "watchwheel-bench-deliveries: %s\n", problem.what());
  return 3;
}
