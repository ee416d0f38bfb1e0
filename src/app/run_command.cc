// SPDX-License-Identifier: Apache-2.0
#include "app/run_command.h"

#include <fmt/format.h>
#include <prometheus/metric_family.h>
#include <pthread.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <cstdio>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "app/api_routes.h"
#include "app/config.h"
#include "app/engine.h"
#include "app/feeder.h"
#include "app/lane.h"
#include "app/logging.h"
#include "app/progress_watch.h"
#include "app/rates.h"
#include "app/recent.h"
#include "app/service_notify.h"
#include "app/status.h"
#include "app/store_access.h"
#include "app/store_reader.h"
#include "app/store_road.h"
#include "app/version.h"
#include "app/waiting.h"
#include "app/waiting_notices.h"
#include "checker/tls_decode.h"
#include "db/store_url.h"
#include "http/access.h"
#include "http/engine_view_api.h"
#include "http/server.h"

namespace watchwheel::app {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr int kExitOk = 0;
constexpr int kExitBadConfig = 1;
constexpr int kExitOwnTrouble = 3;

constexpr auto kHeartbeat = 250ms;
// A lane turns at least ten times a second; one that has not for this long stands still.
constexpr core::Duration kLanePatience = 15s;
// A daemon that waits for its database server asks so often.
constexpr core::Duration kStoreAgain = 3s;
// And counts so often what is in the journal.
constexpr core::Duration kCountAgain = 1min;

std::string reasons(const std::vector<Problem>& problems) {
  std::string text;
  for (const Problem& problem : problems) text += format(problem) + "\n";
  if (!text.empty()) text.pop_back();
  return text;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ",") + word;
  return text;
}

// The running daemon: the engine, and what stands around it. Its view is asked by the http thread,
// the rest is the main thread's; what both touch is behind one mutex, held shortly.
//
// Without its database server it cannot know its sites. It does not end then, for whoever restarts it would do so for as long as the
// server is away: it listens, says what it waits for, and builds its engine when the server is there.
class Daemon final : public http::EngineView {
 public:
  Daemon(std::string config_path, const Config& config, const core::Clock& clock, Logging& log,
         const checker::FastDecoding& decoding)
      : clock_(clock), log_(log), running_(config) {
    facts_.fast_certificates = decoding.on();
    facts_.config_path = std::move(config_path);
    facts_.config_loaded_at = clock.wall();
    facts_.store_url = config.store.url;
  }

  int run();

  std::vector<prometheus::MetricFamily> collect() override {
    const Engine* engine = live_.load();
    return engine != nullptr ? metric_families(*engine, facts(), server_->stats())
                             : waiting_families(store_away(waiting()));
  }
  bool healthy(std::string& why) override;
  bool ready(std::string& why) override;
  std::string status_json() override {
    const Engine* engine = live_.load();
    return engine != nullptr ? app::status_json(*engine, facts(), clock_)
                             : waiting_json(waiting(), facts().store_url, facts().http_listen,
                                            clock_.wall());
  }
  core::Result<std::string> reload() override;

 private:
  core::Result<void> start();
  core::Result<void> start_engine();
  core::Result<std::unique_ptr<db::Store>> open_for_reading();
  bool still_replaying(std::uint64_t left);
  void tell_waiting();
  core::Result<void> await_store(const core::Error& why);
  Waiting waiting();
  void beat_waiting();
  void stop();
  void on_signal();
  void beat();
  void look();
  DaemonFacts facts();

  const core::Clock& clock_;
  Logging& log_;
  ServiceNotify service_;
  asio::io_context io_{1};
  asio::signal_set signals_{io_, SIGTERM, SIGINT, SIGHUP};
  asio::steady_timer heartbeat_{io_};
  ProgressWatch progress_{kLanePatience};
  RecentRate checks_rate_;
  RecentWindow recent_;
  core::SteadyTime last_rate_sample_ = core::kNoSteadyTime;
  core::SteadyTime last_watchdog_ = core::kNoSteadyTime;
  std::atomic<int> stuck_lane_{-1};  // Written by main, read by http; stands for itself.
  std::atomic<bool> ready_{false};
  core::SteadyTime store_again_ = core::kNoSteadyTime;
  core::SteadyTime count_again_ = core::kNoSteadyTime;
  core::SteadyTime last_waiting_ = core::kNoSteadyTime;
  int exit_ = kExitOk;

  std::mutex mutex_;
  Config
      running_;  // Guarded by mutex_. What is in force, keys that wait for a restart at their old values.
  DaemonFacts facts_;      // Guarded by mutex_.
  bool stopping_ = false;  // Guarded by mutex_.
  NameSight name_sight_;   // While there is no engine.
  Waiting waiting_;        // Guarded by mutex_. While there is no engine.

  std::unique_ptr<WaitingNotices> waiting_notices_;  // While there is no engine.
  std::unique_ptr<Engine> engine_;
  std::atomic<Engine*> live_{nullptr};  // engine_, once it runs; for the http thread.
  std::unique_ptr<StoreReader> reader_;  // Outlives the server.
  std::unique_ptr<http::Server> server_;
};

int Daemon::run() {
  on_signal();
  if (auto started = start(); !started) {
    log_.error(fmt::format("start_failed error=\"{}\"", started.error().message));
    return kExitOwnTrouble;
  }
  if (!io_.stopped()) beat();
  io_.run();
  stop();
  return exit_;
}

core::Result<void> Daemon::start() {
  log_.info(fmt::format("starting version={} store={} config={}", version(), facts_.store_url,
                        facts_.config_path));
  http::ServerOptions options;
  options.listen = running_.http.listen;
  if (!running_.http.token_file.empty()) {
    auto token = http::load_token(running_.http.token_file);
    if (!token) return token.error();
    options.token = *std::move(token);
  }
  reader_ = std::make_unique<StoreReader>([this] { return open_for_reading(); },
                                          api_routes(running_), clock_);
  auto server = http::Server::open(options, *this, reader_.get());
  if (!server) return server.error();
  server_ = *std::move(server);
  // The port that was bound, which differs from the one asked for when that was 0.
  facts_.http_listen = running_.http.listen.substr(0, running_.http.listen.rfind(':') + 1) +
                       std::to_string(server_->local_port());
  // Before the engine is there: to open its store, and to replay what is left, may take long.
  reader_->start();
  server_->start();
  log_.info(fmt::format("listening address={}", facts().http_listen));
  if (auto started = start_engine(); !started && !io_.stopped()) {
    if (auto waits = await_store(started.error()); !waits) {
      server_->stop();
      return waits;
    }
  }
  return {};
}

// Whatever has become of the engine: a daemon that waits for its store says so by this store's own words.
core::Result<std::unique_ptr<db::Store>> Daemon::open_for_reading() {
  db::StoreAccess access = [this] {
    const std::lock_guard lock(mutex_);
    return store_access(running_.store);
  }();
  access.clock = &clock_;
  auto store = db::open_store(access);
  if (!store) return store;
  if (auto fits = (*store)->check_schema(); !fits) {
    // The engine brings it up to date when it starts.
    return core::Error{core::ErrorKind::Unavailable, fits.error().message};
  }
  return store;
}

core::Result<void> Daemon::start_engine() {
  Config config;
  {
    const std::lock_guard lock(mutex_);
    config = running_;
  }
  name_sight_.waits = false;
  auto engine = Engine::make(
      config, clock_, log_, [this](std::uint64_t left) { return still_replaying(left); },
      &name_sight_, [this] { waiting_notices_.reset(); });
  {
    const std::lock_guard lock(mutex_);
    waiting_.replaying = false;
  }
  if (!engine) return engine.error();
  engine_ = *std::move(engine);
  if (auto started = engine_->start(); !started) return started;
  live_.store(engine_.get());
  log_.info(fmt::format("started lanes={}", engine_->lanes().size()));
  return {};
}

// What an earlier process left may be much. False: we were told to end.
bool Daemon::still_replaying(std::uint64_t left) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.replaying = true;
    waiting_.journal_entries = left;
  }
  tell_waiting();
  io_.poll();
  return !io_.stopped();
}

void Daemon::tell_waiting() {
  const core::SteadyTime now = clock_.steady();
  if (now - last_waiting_ < ServiceNotify::kWaitingEvery) return;
  last_waiting_ = now;
  service_.waiting(to_text(waiting()));
}

// Succeeds when waiting can help.
core::Result<void> Daemon::await_store(const core::Error& why) {
  if (engine_ || why.kind != core::ErrorKind::Unavailable || !db::is_server_url(running_.store.url))
    return why;
  store_again_ = clock_.steady() + kStoreAgain;
  const bool first = waiting().since == core::kNoWallTime;
  // Counting reads the whole file, and only an attempt to replay changes it.
  const auto known = waiting();
  const bool look = first || !known.journal_error.empty() || store_again_ >= count_again_;
  if (look) count_again_ = store_again_ + kCountAgain;
  // Where another process has our name the store is there, and what we left is that one's to replay, or ours in a moment.
  if (!waiting_notices_ && !name_sight_.waits)
    waiting_notices_ = WaitingNotices::begin(running_, clock_, log_);
  const core::Result<std::uint64_t> left = waiting_notices_ ? waiting_notices_->journal_entries()
                                           : look ? StoreRoad::left_behind(running_.store)
                                                  : known.journal_entries;
  const std::string unread = left ? "" : left.error().message;
  const bool in_use = !waiting_notices_ && StoreRoad::journal_in_use(running_.store);
  if (in_use && !known.journal_in_use)
    log_.error(fmt::format("journal_in_use action=wait error=\"{}\"", why.message));
  if (name_sight_.waits && !known.name_in_use)
    log_.error(fmt::format("node_name_in_use action=wait error=\"{}\"", why.message));
  if (first && !in_use && !name_sight_.waits)
    log_.error(fmt::format("store_away_at_start action=wait journal_entries={} error=\"{}\"",
                           left ? std::to_string(*left) : "unknown", why.message));
  if (!unread.empty() && !in_use && unread != known.journal_error)
    log_.error(fmt::format("journal_unreadable action=leave error=\"{}\"", unread));
  const std::lock_guard lock(mutex_);
  if (first) waiting_.since = clock_.wall();
  waiting_.error = why.message;
  waiting_.journal_entries = left ? *left : 0;
  waiting_.journal_error = unread;
  waiting_.journal_in_use = in_use;
  waiting_.name_in_use = name_sight_.waits;
  waiting_.notices = waiting_notices_ != nullptr;
  return {};
}

Waiting Daemon::waiting() {
  const std::lock_guard lock(mutex_);
  return waiting_;
}

// Blocks for as long as the server lets us wait for an answer: there is nothing else to do.
void Daemon::beat_waiting() {
  tell_waiting();
  if (clock_.steady() < store_again_) return;
  const auto started = start_engine();
  if (io_.stopped()) return;
  if (started) {
    log_.info(fmt::format("{}={:.1f}",
                          waiting().journal_in_use ? "journal_free waited_s"
                          : waiting().name_in_use  ? "node_name_free waited_s"
                                                   : "store_back away_s",
                          core::to_seconds(clock_.wall() - waiting().since)));
    return;
  }
  if (await_store(started.error())) return;
  log_.error(fmt::format("start_failed error=\"{}\"", started.error().message));
  exit_ = kExitOwnTrouble;
  io_.stop();
}

void Daemon::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;  // A reload from now on is refused: the engine is being taken apart.
  }
  ready_.store(false);
  service_.stopping();
  log_.info("stopping");
  waiting_notices_.reset();
  if (live_.load() != nullptr) engine_->drain_and_stop();
  reader_->stop();
  server_->stop();
  log_.info("stopped");
}

void Daemon::on_signal() {
  signals_.async_wait([this](const boost::system::error_code& error, int signal) {
    if (error) return;
    if (signal == SIGHUP) {
      // Nothing to reload, and not in service: systemd is not to be told that it is.
      if (live_.load() == nullptr) {
        on_signal();
        return;
      }
      service_.reloading();
      (void)reload();  // Its outcome is logged and shown in status; there is nobody here to tell.
      service_.ready("");
      on_signal();
      return;
    }
    log_.info(fmt::format("signal_received signal={}", signal == SIGTERM ? "SIGTERM" : "SIGINT"));
    heartbeat_.cancel();
    io_.stop();
  });
}

void Daemon::beat() {
  if (live_.load() == nullptr) beat_waiting();
  if (live_.load() != nullptr) look();
  heartbeat_.expires_after(kHeartbeat);
  heartbeat_.async_wait([this](const boost::system::error_code& error) {
    if (!error) beat();
  });
}

void Daemon::look() {
  const core::SteadyTime now = clock_.steady();
  if (engine_->usurped()) {  // Told in the log by who noticed. To go on would be to write beside another.
    exit_ = kExitOwnTrouble;
    io_.stop();
    return;
  }
  engine_->watch_memory(now);
  std::vector<std::uint64_t> turns;
  for (const LaneReading& lane : engine_->lanes())
    turns.push_back(lane.lane.turns.load(std::memory_order_relaxed));
  const auto stuck = progress_.look(turns, now);
  const int before = stuck_lane_.exchange(stuck ? static_cast<int>(*stuck) : -1);
  if (stuck && before < 0)
    log_.error(
        fmt::format("lane_stuck lane={} patience_s={}", *stuck, core::to_seconds(kLanePatience)));

  if (now - last_rate_sample_ >= 1s) {
    last_rate_sample_ = now;
    checks_rate_.sample(checks_done(*engine_), now);
  }
  if (recent_.due(now)) recent_.sample(counts_at(*engine_, now));
  if (!ready_.load() && engine_->loaded()) {
    ready_.store(true);
    log_.info("ready");
    service_.ready(fmt::format("watching; metrics at http://{}/metrics", facts().http_listen));
  }
  // Fed by real progress only: a lane that stands still lets systemd restart us.
  if (const auto period = service_.watchdog_period();
      period && !stuck && now - last_watchdog_ >= *period / 3) {
    last_watchdog_ = now;
    service_.alive();
  }
}

DaemonFacts Daemon::facts() {
  const std::lock_guard lock(mutex_);
  DaemonFacts facts = facts_;
  facts.log_lines_dropped = log_.dropped();
  facts.checks_per_second = checks_rate_.per_second();
  facts.recent = recent_.view();
  facts.ready = ready_.load();
  if (reader_) {
    facts.store_read = {.name = "store_read",
                        .depth = reader_->waiting(),
                        .capacity = StoreReader::kWaitingMax,
                        .refused = reader_->stats().refused.value() +
                                   reader_->stats().expired.value()};
  }
  facts.now = clock_.wall();
  return facts;
}

bool Daemon::healthy(std::string& why) {
  const int stuck = stuck_lane_.load();
  if (stuck >= 0) why = fmt::format("lane {} makes no progress", stuck);
  return stuck < 0;
}

bool Daemon::ready(std::string& why) {
  if (live_.load() == nullptr) {
    why = to_text(waiting());
    return false;
  }
  if (!ready_.load()) {
    why = "the site list is being loaded";
    return false;
  }
  const StoreRoadReading road = engine_->store_road();
  why = degraded(road);
  if (engine_->feeder().away.load()) why += (why.empty() ? "" : "; ") + std::string("the site list cannot be read from the store");
  return !road.refusing;
}

// All or nothing: a configuration with any error is refused whole, with every reason, and the old
// one stays in force.
core::Result<std::string> Daemon::reload() {
  const ConfigReport report = load_config(facts().config_path);
  const std::lock_guard lock(mutex_);
  if (stopping_) return core::Error{core::ErrorKind::Unavailable, "the daemon is stopping"};
  if (live_.load() == nullptr)
    return core::Error{core::ErrorKind::Unavailable, "the daemon waits for its store"};
  facts_.reload_ok = report.ok();
  if (!report.ok()) {
    log_.error(fmt::format("reload_refused problems={} action=keep_old", report.problems.size()));
    for (const Problem& problem : report.problems)
      log_.error(fmt::format("config_problem at=\"{}\"", format(problem)));
    return core::Error{core::ErrorKind::Invalid, reasons(report.problems)};
  }
  for (const Problem& problem : report.problems)
    log_.warn(fmt::format("config_problem at=\"{}\"", format(problem)));
  facts_.restart_needed = keys_needing_restart(running_, report.config);
  facts_.config_loaded_at = clock_.wall();
  running_.checks = report.config.checks;
  running_.confirm = report.config.confirm;
  running_.projection = report.config.projection;
  running_.vantage = report.config.vantage;
  running_.notify = report.config.notify;
  running_.engine.drain_timeout = report.config.engine.drain_timeout;
  running_.log.level = report.config.log.level;
  engine_->reload(running_);
  log_.set_level(running_.log.level);
  const std::string waiting = joined(facts_.restart_needed);
  log_.info(fmt::format("reloaded restart_needed=\"{}\"", waiting));
  return waiting.empty() ? std::string("reloaded")
                         : "reloaded; these keys wait for a restart: " + waiting;
}

}  // namespace

int run_daemon(const RunOptions& options) {
  const ConfigReport report = load_config(options.config_path);
  for (const Problem& problem : report.problems)
    std::fprintf(stderr, "%s\n", format(problem).c_str());
  if (!report.ok()) {
    std::fprintf(stderr, "watchwheel: the configuration has errors; nothing was started\n");
    return kExitBadConfig;
  }
  // A peer that goes away must not end us with it; sends report it as an error.
  std::signal(SIGPIPE, SIG_IGN);
  const core::SystemClock clock;
  const auto log = Logging::make(report.config.log);
  // Before the first certificate and the first thread, and until the last.
  const checker::FastDecoding decoding(report.config.engine.fast_certificates);
  log->info(fmt::format("certificate_decoding fast={} reason={}", decoding.on(), decoding.reason()));
  Daemon daemon(options.config_path, report.config, clock, *log, decoding);
  return daemon.run();
}

}  // namespace watchwheel::app
