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
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "app/notifier.h"
#include "core/clock.h"
#include "db/store.h"

namespace {

using namespace watchwheel;
using namespace std::chrono_literals;
using Json = nlohmann::ordered_json;

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "watchwheel-bench-deliveries: %s\n", why.c_str());
  std::exit(3);
}
template <typename T>
T must(core::Result<T> result) {
  if (!result) give_up(result.error().message);
  return *std::move(result);
}

double now_s() {
  return core::to_seconds(core::SystemClock().steady().time_since_epoch());
}

class WarningsOnly final : public app::Log {
 public:
  void write(app::LogLevel level, std::string_view line) noexcept override {
    if (enabled(level)) std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
  }
  [[nodiscard]] bool enabled(app::LogLevel level) const noexcept override {
    return level == app::LogLevel::Error;
  }
};

// ---- The receiver: takes each message after a while, and remembers it.

struct Arrival {
  std::string id;
  std::string sender;  // Which process.
  std::uint64_t event = 0;
  double at = 0;
};

class Receiver {
 public:
  explicit Receiver(core::Duration takes) : takes_(takes) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const raw = reinterpret_cast<sockaddr*>(&address);
    if (listener_ < 0 || ::bind(listener_, raw, size) != 0 || ::listen(listener_, 512) != 0 ||
        ::getsockname(listener_, raw, &size) != 0)
      give_up("no socket to listen on");
    port_ = ::ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~Receiver() {
    stop_ = true;
    thread_.join();
    for (const auto& [fd, connection] : connections_) ::close(fd);
    ::close(listener_);
  }
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] std::vector<Arrival> arrivals() const {
    const std::lock_guard lock(mutex_);
    return arrivals_;
  }
  [[nodiscard]] std::size_t count() const {
    const std::lock_guard lock(mutex_);
    return arrivals_.size();
  }

 private:
  struct Connection {
    std::string text;
    std::optional<core::SteadyTime> answer_at;
  };

  void run() {
    const core::SystemClock clock;
    while (!stop_) {
      std::vector<pollfd> waits{{.fd = listener_, .events = POLLIN, .revents = 0}};
      const core::SteadyTime now = clock.steady();
      core::Duration wait = 50ms;
      for (const auto& [fd, connection] : connections_) {
        waits.push_back({.fd = fd, .events = POLLIN, .revents = 0});
        if (connection.answer_at)
          wait = std::clamp<core::Duration>(*connection.answer_at - now, 1ms, wait);
      }
      ::poll(waits.data(), waits.size(),
             static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(wait).count()));
      for (const pollfd& one : waits) {
        if (one.revents == 0) continue;
        one.fd == listener_ ? accept() : read(one.fd);
      }
      answer(clock.steady());
    }
  }
  void accept() {
    int fd = -1;
    while ((fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
      connections_.try_emplace(fd);
  }
  void read(int fd) {
    std::array<char, 16384> bytes{};
    const ssize_t got = ::recv(fd, bytes.data(), bytes.size(), 0);
    if (got <= 0) {
      ::close(fd);
      connections_.erase(fd);
      return;
    }
    Connection& connection = connections_.at(fd);
    connection.text.append(bytes.data(), static_cast<std::size_t>(got));
    const std::size_t head = connection.text.find("\r\n\r\n");
    if (connection.answer_at || head == std::string::npos) return;
    const std::string length = header(connection.text, "Content-Length");
    if (connection.text.size() < head + 4 + std::strtoul(length.c_str(), nullptr, 10)) return;
    const std::string body = connection.text.substr(head + 4);
    const auto message = Json::parse(body, nullptr, false);
    Arrival arrival{.id = header(connection.text, "webhook-id"),
                    .sender = header(connection.text, "User-Agent"),
                    .event = 0,
                    .at = now_s()};
    if (!message.is_discarded()) arrival.event = message["data"]["sites"][0]["event"];
    {
      const std::lock_guard lock(mutex_);
      arrivals_.push_back(std::move(arrival));
    }
    connection.answer_at = core::SystemClock().steady() + takes_;
  }
  void answer(core::SteadyTime now) {
    for (auto& [fd, connection] : connections_) {
      if (!connection.answer_at || *connection.answer_at > now) continue;
      constexpr std::string_view kTaken = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
      (void)::send(fd, kTaken.data(), kTaken.size(), MSG_NOSIGNAL);
      (void)::shutdown(fd, SHUT_WR);  // It is closed when the other end is.
      connection.answer_at.reset();
      connection.text.clear();
    }
  }
  static std::string header(const std::string& text, const std::string& name) {
    const std::size_t at = text.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "";
    const std::size_t from = at + name.size() + 4;
    return text.substr(from, text.find("\r\n", from) - from);
  }

  const core::Duration takes_;
  int listener_ = -1;
  int port_ = 0;
  std::map<int, Connection> connections_;
  std::atomic<bool> stop_{false};
  mutable std::mutex mutex_;
  std::vector<Arrival> arrivals_;  // Guarded by mutex_.
  std::thread thread_;
};

// ---- The sender: what the daemon has of it, and somebody who commits outages.

struct Phase {
  double per_second = 0;
  double seconds = 0;
};

// "40:5,130:10": 40 a second for 5 s, then 130 for 10 s. "40:0": 40 at once.
std::vector<Phase> phases_of(const std::string& text) {
  std::vector<Phase> phases;
  const char* at = text.c_str();
  while (*at != '\0') {
    char* end = nullptr;
    Phase phase{.per_second = std::strtod(at, &end)};
    phase.seconds = std::strtod(*end == ':' ? end + 1 : end, &end);
    phases.push_back(phase);
    at = *end == ',' ? end + 1 : end;
    if (end == at && *end != '\0') give_up("no phases: " + text);
  }
  return phases;
}

// How many are committed in a phase.
std::uint64_t count_of(const Phase& phase) {
  return static_cast<std::uint64_t>(phase.per_second * std::max(phase.seconds, 1.0));
}
std::uint64_t count_of(const std::string& phases) {
  std::uint64_t all = 0;
  for (const Phase& phase : phases_of(phases)) all += count_of(phase);
  return all;
}

sideeffects::EventWrite outage(core::SiteId site, core::WallTime began) {
  using core::SiteState;
  using core::TransitionReason;
  const core::Evidence evidence{core::Cause::ConnectRefused, core::Phase::Connect, 0, "refused",
                                "192.0.2.1"};
  sideeffects::EventWrite write;
  write.site = site;
  write.started_at = began;
  write.confirmed_at = began;
  write.state = SiteState::Down;
  write.failures = 2;
  write.transitions_total = 2;
  write.evidence = evidence;
  write.transitions = {{.seq = 1,
                        .reason = TransitionReason::Opened,
                        .before = SiteState::Up,
                        .after = SiteState::SeemsDown,
                        .at = began,
                        .failures = 1,
                        .evidence = evidence},
                       {.seq = 2,
                        .reason = TransitionReason::Confirmed,
                        .before = SiteState::SeemsDown,
                        .after = SiteState::Down,
                        .at = began,
                        .failures = 2,
                        .evidence = evidence}};
  return write;
}

struct Sender {
  std::string store;
  std::string node = "bench";
  int port = 0;
  std::uint32_t in_flight = 4;
  std::string phases;
  std::string progress;  // A line of "time count" for each commit.
  [[nodiscard]] std::string up() const { return progress + "." + node; }  // Is there once it sends.
};

// Commits one outage after the other, the first site's first, as the phases say.
void produce(const Sender& sender, db::Store& store,
             const std::unique_ptr<app::Notifier>& notifier) {
  app::ToldEvents events(must(store.make_event_store()), notifier);
  std::ofstream progress(sender.progress, std::ios::app);
  progress.precision(15);
  const core::SystemClock clock;
  std::uint64_t made = 0;
  double begun = now_s();
  for (const Phase& phase : phases_of(sender.phases)) {
    const std::uint64_t before = made;
    const std::uint64_t all = before + count_of(phase);
    while (made < all) {
      const auto due = static_cast<std::uint64_t>(phase.per_second * (now_s() - begun));
      const std::uint64_t until = phase.seconds == 0 ? all : std::min(all, before + due);
      std::vector<sideeffects::EventWrite> writes;
      while (made < until && writes.size() < 100)
        writes.push_back(outage(core::SiteId{++made}, clock.wall()));
      if (writes.empty()) {
        clock.sleep_for(2ms);
        continue;
      }
      while (!events.commit(writes)) clock.sleep_for(10ms);
      progress << now_s() << " " << writes.size() << std::endl;
    }
    if (phase.seconds != 0) begun += phase.seconds;
  }
}

int run_sender(const Sender& sender) {
  const core::SystemClock clock;
  WarningsOnly log;
  const auto store = must(db::open_store(sender.store));
  sideeffects::NotifyTarget target;
  target.channel.name = "ops";
  target.channel.url = "http://127.0.0.1:" + std::to_string(sender.port) + "/";
  target.channel.allow = {"127.0.0.0/8"};
  target.in_flight_max = sender.in_flight;
  const auto run = static_cast<std::uint64_t>(clock.wall().time_since_epoch().count());
  const auto notifier = must(app::Notifier::make(
      {.targets = {target}, .node = sender.node, .run = run, .user_agent = sender.node}, *store,
      clock, log));
  notifier->start();
  std::ofstream(sender.up()) << "up" << std::endl;
  std::thread producer;
  if (!sender.phases.empty()) producer = std::thread([&] { produce(sender, *store, notifier); });
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) > 0) {
  }
  if (producer.joinable()) producer.join();
  notifier->stop(clock.steady() + 5s);
  return 0;
}

// A sender in a process of its own; it ends when it is told to, or is killed.
class Child {
 public:
  Child(const std::string& program, const Sender& sender) {
    std::array<int, 2> pipe{};
    if (::pipe2(pipe.data(), O_CLOEXEC) != 0) give_up("no pipe");
    const std::vector<std::string> words{program,
                                         "--role",
                                         "sender",
                                         "--store",
                                         sender.store,
                                         "--node",
                                         sender.node,
                                         "--port",
                                         std::to_string(sender.port),
                                         "--in-flight",
                                         std::to_string(sender.in_flight),
                                         "--phases",
                                         sender.phases,
                                         "--progress",
                                         sender.progress};
    std::vector<char*> raw;
    for (const std::string& word : words) raw.push_back(const_cast<char*>(word.c_str()));
    raw.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ < 0) give_up("no process");
    if (pid_ == 0) {
      ::dup2(pipe[0], STDIN_FILENO);
      ::execv(program.c_str(), raw.data());
      ::_exit(127);
    }
    ::close(pipe[0]);
    end_ = pipe[1];
  }
  ~Child() { finish(); }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void kill_it() {
    ::kill(pid_, SIGKILL);
    finish();
  }
  void finish() {
    if (end_ >= 0) ::close(std::exchange(end_, -1));
    if (pid_ > 0) ::waitpid(std::exchange(pid_, -1), nullptr, 0);
  }

 private:
  pid_t pid_ = -1;
  int end_ = -1;
};

// ---- The scenarios.

struct Options {
  bool quick = false;
  std::string dir;
  std::string only = "crash burst shared";
  std::string program;
};

class Bed {
 public:
  Bed(const Options& options, const std::string& name, std::uint64_t sites)
      : options_(options), dir_(options.dir + "/" + name) {
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
  [[nodiscard]] Sender sender(const Receiver& receiver, const std::string& phases,
                              std::uint32_t in_flight) const {
    return {.store = url(),
            .port = receiver.port(),
            .in_flight = in_flight,
            .phases = phases,
            .progress = dir_ + "/progress"};
  }
  [[nodiscard]] const std::string& program() const { return options_.program; }
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
  const Options& options_;
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
  Sender sender = bed.sender(receiver, std::to_string(rate) + ":" + std::to_string(seconds), 16);
  auto first = std::make_unique<Child>(options.program, sender);
  // While it commits, and after it has begun to send.
  const auto in_the_middle = [&] {
    const auto produced = bed.produced();
    return receiver.count() > 20 && !produced.empty() &&
           produced.back().second >= rate * seconds / 2;
  };
  if (!wait_for(in_the_middle, 2min)) give_up("the burst does not arrive");
  first->kill_it();
  const std::size_t before = receiver.count();
  const std::set<std::string> in_flight = bed.in_flight();
  const std::set<std::uint64_t> events = bed.events();
  const std::vector<Arrival> early = receiver.arrivals();
  std::set<std::string> arrived;
  for (const Arrival& one : early) arrived.insert(one.id);
  std::uint64_t ambiguous = 0;
  for (const std::string& id : in_flight) ambiguous += arrived.contains(id) ? 1U : 0U;

  sender.phases.clear();
  const double restarted = now_s();
  const Child second(options.program, sender);
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
    const Child child(options.program, bed.sender(receiver, std::to_string(heap) + ":0", kPlaces));
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
    const std::uint64_t all = count_of(phases);
    const Bed bed(options, name, all);
    Receiver receiver(takes);
    Child child(options.program, bed.sender(receiver, phases, kPlaces));
    const bool told = wait_for([&] { return receiver.count() >= all; }, 3min);
    child.finish();
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
    std::vector<std::unique_ptr<Child>> children;
    for (int i = senders - 1; i >= 0;
         --i) {  // Who makes the heap last: the others are there before.
      Sender sender = bed.sender(receiver, i == 0 ? std::to_string(heap) + ":0" : "", 16);
      sender.node = "bench" + std::to_string(i);
      children.push_back(std::make_unique<Child>(options.program, sender));
      if (!wait_for([&] { return std::filesystem::exists(sender.up()); }, 1min))
        give_up("a sender does not start");
    }
    const bool all = wait_for([&] { return receiver.count() >= heap; }, 3min) &&
                     wait_for([&] { return bed.all_told(); }, 1min);
    for (const auto& child : children) child->finish();
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

int main(int argc, char** argv) {
  CLI::App cli{"What becomes of notices when their sender is killed, and when there are too many."};
  Options options;
  Sender sender;
  std::string role;
  cli.add_flag("--quick", options.quick, "seconds instead of minutes; the figures mean little");
  cli.add_option("--dir", options.dir, "where the stores are made");
  cli.add_option("--only", options.only, "of crash, burst, shared")->capture_default_str();
  for (auto* const hidden :
       {cli.add_option("--role", role), cli.add_option("--store", sender.store),
        cli.add_option("--node", sender.node), cli.add_option("--port", sender.port),
        cli.add_option("--in-flight", sender.in_flight), cli.add_option("--phases", sender.phases),
        cli.add_option("--progress", sender.progress)})
    hidden->group("");
  CLI11_PARSE(cli, argc, argv);
  ::signal(SIGPIPE, SIG_IGN);
  if (role == "sender") return run_sender(sender);
  if (options.dir.empty()) give_up("--dir is needed");
  options.dir = std::filesystem::absolute(options.dir).string();
  options.program = std::filesystem::read_symlink("/proc/self/exe").string();
  bool good = true;
  Json report{{"cores", std::thread::hardware_concurrency()}, {"quick", options.quick}};
  if (options.only.find("crash") != std::string::npos) report["crash"] = crash(options, good);
  if (options.only.find("burst") != std::string::npos) report["burst"] = burst(options, good);
  if (options.only.find("shared") != std::string::npos) report["shared"] = shared(options, good);
  report["good"] = good;
  std::printf("%s\n", report.dump(2).c_str());
  return good ? 0 : 1;
}
