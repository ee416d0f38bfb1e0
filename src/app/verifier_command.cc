// SPDX-License-Identifier: Apache-2.0
#include "app/verifier_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <cstdio>
#include <memory>
#include <utility>
#include <vector>

#include "app/config.h"
#include "app/limits.h"
#include "app/logging.h"
#include "app/machine.h"
#include "app/service_notify.h"
#include "app/vantage_thread.h"
#include "app/verify_desk.h"
#include "app/version.h"
#include "checker/secret_file.h"
#include "checker/tls_decode.h"
#include "http/access.h"
#include "http/verify_server.h"

namespace watchwheel::app {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

constexpr int kExitOk = 0;
constexpr int kExitBadConfig = 1;
constexpr int kExitOwnTrouble = 3;
constexpr auto kHeartbeat = 250ms;
constexpr core::Duration kDrainPoll = 10ms;
constexpr core::Duration kCanariesMost = 15s;
// Beyond it the answers to a batch come too late for whoever asked.
constexpr std::size_t kInFlightAutoMost = 4096;

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : "verifier";
}

// A path, or a credential's; "" stays "".
core::Result<std::string> path_of(const std::string& key, const std::string& file) {
  if (file.empty()) return std::string();
  auto path = checker::secret_path(file);
  if (path) return path;
  return core::Error{path.error().kind, "verifier_server." + key + ": " + path.error().message};
}

VerifyDeskSettings desk_settings(const Config& config, const Limits& limits) {
  const VerifierServerConfig& own = config.verifier_server;
  VerifyDeskSettings settings;
  settings.name = own.name.empty() ? host_name() : own.name;
  settings.region = own.region;
  settings.threads = limits.lanes;
  settings.in_flight_max =
      own.in_flight_max != 0
          ? own.in_flight_max
          : std::min(limits.checker.in_flight_max * limits.lanes, kInFlightAutoMost);
  settings.batch_max = own.batch_max;
  settings.batches_max = own.connections_max;
  settings.own = config.checks.options;
  settings.checker.limits = limits.checker;
  settings.checker.user_agent = config.checks.options.user_agent.empty()
                                    ? default_user_agent()
                                    : config.checks.options.user_agent;
  return settings;
}

class VerifierProcess {
 public:
  VerifierProcess(const Config& config, const core::Clock& clock, Logging& log)
      : config_(config),
        clock_(clock),
        log_(log),
        limits_(derive_limits(config, read_machine())),
        settings_(desk_settings(config, limits_)),
        desk_(settings_, gate_, clock) {}

  int run() {
    if (auto started = start(); !started) {
      log_.error(fmt::format("start_failed error=\"{}\"", started.error().message));
      return kExitOwnTrouble;
    }
    asio::signal_set signals(io_, SIGTERM, SIGINT);
    signals.async_wait([this](const boost::system::error_code& error, int signal) {
      if (error) return;
      log_.info(fmt::format("signal_received signal={}", signal == SIGTERM ? "SIGTERM" : "SIGINT"));
      io_.stop();
    });
    await_renewal();
    beat();
    io_.run();
    stop();
    return kExitOk;
  }

 private:
  // SIGHUP: certificate, key, authority and token are read anew. Unhandled it would end us, and systemd takes that for a clean end.
  void await_renewal() {
    hangup_.async_wait([this](const boost::system::error_code& error, int) {
      if (error) return;
      const auto options = server_options();
      const auto renewed = options ? server_->renew(*options) : core::Result<void>(options.error());
      if (renewed) {
        log_.info("reloaded what=\"certificate, token\"");
      } else {
        log_.error(fmt::format("reload_failed action=go_on_as_before error=\"{}\"",
                               renewed.error().message));
      }
      await_renewal();
    });
  }

  core::Result<http::VerifyServerOptions> server_options() const {
    const VerifierServerConfig& own = config_.verifier_server;
    http::VerifyServerOptions options;
    options.listen = own.listen;
    options.limits.connections = own.connections_max;
    options.limits.body_bytes = own.body_bytes_max;
    for (const auto& [key, file, into] :
         {std::tuple{"cert_file", &own.cert_file, &options.cert_file},
          std::tuple{"key_file", &own.key_file, &options.key_file},
          std::tuple{"client_ca_file", &own.client_ca_file, &options.client_ca_file},
          std::tuple{"token_file", &own.token_file, &options.token}}) {
      auto path = path_of(key, *file);
      if (!path) return path.error();
      *into = *std::move(path);
    }
    if (!options.token.empty()) {
      auto token = http::load_token(options.token);
      if (!token) return token.error();
      options.token = *std::move(token);
    }
    return options;
  }

  core::Result<void> start() {
    log_.info(fmt::format("starting version={} role=verifier", version()));
    const VerifierServerConfig& own = config_.verifier_server;
    const auto options = server_options();
    if (!options) return options.error();
    auto server = http::VerifyServer::open(*options, desk_);
    if (!server) return server.error();
    server_ = *std::move(server);
    desk_.set_listener(server_->stats());
    if (!config_.vantage.canaries.empty()) {
      vantage_ = std::make_unique<VantageThread>(
          VantageSettings{.canaries = config_.vantage.canaries,
                          .failure_share = config_.vantage.failure_share,
                          .options = config_.checks.options},
          settings_.checker.user_agent, std::vector<const core::VantageTally*>{&tally_}, gate_,
          [](const sideeffects::VantageEvent&) {}, clock_, log_);
      if (auto started = vantage_->start(); !started) return started;
      // Before they have said anything nothing is known of our own network, and what we see would be a vote.
      const core::SteadyTime until = clock_.steady() + kCanariesMost;
      while (!canaries_known() && clock_.steady() < until) clock_.sleep_for(kDrainPoll);
    } else {
      log_.warn("verifier_without_canaries meaning=\"a fault of this machine's network is a vote against every site\" "
                "remedy=\"name some in vantage.canaries\"");
    }
    if (auto started = desk_.start(); !started) return started;
    server_->start();
    const bool tls = !own.cert_file.empty();
    listen_ = own.listen.substr(0, own.listen.rfind(':') + 1) + std::to_string(server_->local_port());
    log_.info(fmt::format("listening address={} tls={} token={} client_certificates={}", listen_, tls,
                          !own.token_file.empty(), !own.client_ca_file.empty()));
    if (own.token_file.empty() && own.client_ca_file.empty())
      log_.warn("verifier_open_to_all remedy=\"set verifier_server.token_file\"");
    log_.info(fmt::format("ready name=\"{}\" region=\"{}\" threads={} in_flight_max={}",
                          settings_.name, settings_.region, settings_.threads,
                          settings_.in_flight_max));
    service_.ready(fmt::format("answering at {}", listen_));
    return {};
  }

  [[nodiscard]] bool canaries_known() const {
    const VantageReading here = vantage_->reading();
    return !here.canaries.empty() &&
           std::all_of(here.canaries.begin(), here.canaries.end(),
                       [](const CanaryReading& one) { return one.asked; });
  }

  void beat() {
    // Fed by real progress only: a thread that stands still lets systemd restart us.
    std::string why;
    const core::SteadyTime now = clock_.steady();
    const auto period = service_.watchdog_period();
    if (period && desk_.healthy(why) && now - last_watchdog_ >= *period / 3) {
      last_watchdog_ = now;
      service_.alive();
    }
    heartbeat_.expires_after(kHeartbeat);
    heartbeat_.async_wait([this](const boost::system::error_code& error) {
      if (!error) beat();
    });
  }

  void stop() {
    service_.stopping();
    log_.info("stopping");
    server_->close_admission();
    const core::SteadyTime until = clock_.steady() + config_.engine.drain_timeout;
    while (server_->unanswered() > 0 && clock_.steady() < until) clock_.sleep_for(kDrainPoll);
    log_.info(fmt::format("drained unanswered={}", server_->unanswered()));
    desk_.stop();  // Answers what is left as cancelled.
    const core::SteadyTime sent_by = clock_.steady() + 1s;
    while (server_->unanswered() > 0 && clock_.steady() < sent_by) clock_.sleep_for(kDrainPoll);
    server_->stop();
    if (vantage_) vantage_->stop();
    log_.info("stopped");
  }

  const Config& config_;
  const core::Clock& clock_;
  Logging& log_;
  const Limits limits_;
  const VerifyDeskSettings settings_;
  core::VantageGate gate_;
  core::VantageTally tally_;  // Nobody counts there: only the canaries speak.
  ServiceNotify service_;
  asio::io_context io_{1};
  asio::steady_timer heartbeat_{io_};
  asio::signal_set hangup_{io_, SIGHUP};
  core::SteadyTime last_watchdog_ = core::kNoSteadyTime;
  VerifyDesk desk_;
  std::unique_ptr<VantageThread> vantage_;
  std::unique_ptr<http::VerifyServer> server_;
  std::string listen_;
};

}  // namespace

int run_verifier(const VerifierArgs& args) {
  const ConfigReport report = load_config(args.config_path);
  for (const Problem& problem : report.problems)
    std::fprintf(stderr, "%s\n", format(problem).c_str());
  if (!report.ok()) {
    std::fprintf(stderr, "watchwheel: the configuration has errors; nothing was started\n");
    return kExitBadConfig;
  }
  std::signal(SIGPIPE, SIG_IGN);
  const core::SystemClock clock;
  const auto log = Logging::make(report.config.log);
  const checker::FastDecoding decoding(report.config.engine.fast_certificates);
  VerifierProcess process(report.config, clock, *log);
  return process.run();
}

}  // namespace watchwheel::app
