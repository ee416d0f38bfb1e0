// SPDX-License-Identifier: Apache-2.0
#include "fleet/fleet.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "fleet/report.h"
#include "fleet/timeline.h"

namespace watchwheel::fleet {
namespace {

constexpr std::uint64_t kTagWake = Server::kTagForeign;
constexpr std::uint64_t kTagDns = Server::kTagForeign + 1;
constexpr std::uint64_t kTagQuiet = Server::kTagForeign + 2;
constexpr std::size_t kEventsMax = 512;
constexpr int kBacklog = 4096;
// Descriptors for everything that is no connection, with room.
constexpr std::uint64_t kOwnDescriptors = 64;

double cpu_s(const OwnCost& cost) {
  return cost.cpu_user_s + cost.cpu_system_s;
}

Config checked(Config config) {
  if (const std::string problem = problem_of(config); !problem.empty()) {
    throw std::runtime_error(problem);
  }
  const std::uint64_t descriptors = raise_descriptor_limit();
  if (descriptors < kOwnDescriptors + 2 * Server::kReserved) {
    throw std::runtime_error("the limit on open files is " + std::to_string(descriptors) +
                             ": raise it with ulimit -n");
  }
  config.connections_max = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(config.connections_max, descriptors - kOwnDescriptors));
  return config;
}

}  // namespace

Fleet::Fleet(const Config& config)
    : config_(checked(config)),
      start_(std::chrono::steady_clock::now()),
      map_(config_),
      board_(map_),
      observer_(map_, board_, config_.interval, config_.timeout, start_),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (!epoll_ || !wake_) throw_errno("cannot make the event loop");
  load_timeline_into_board();

  // Sockets first: every part after them needs to know the ports.
  http_listener_ = listen_tcp({0, config_.http_port}, kBacklog, Sharing::WithOurs);
  https_listener_ = listen_tcp({0, config_.https_port}, kBacklog, Sharing::WithOurs);
  control_listener_ = listen_tcp(config_.control, 64, Sharing::Alone);
  http_port_ = port_of(http_listener_);
  https_port_ = port_of(https_listener_);
  control_port_ = port_of(control_listener_);
  map_.set_ports(http_port_, https_port_);

  quiet_ = std::make_unique<QuietPorts>(map_, http_port_, https_port_);
  open_dns();

  if (map_.https() > 0) {
    certs_ = std::make_unique<CertSet>(config_.cert_dir, config_.cert_mode, map_);
    tls_ = std::make_unique<TlsServer>(*certs_, map_, board_, config_.tls_tickets);
    ca_file_ = certs_->ca_file();
  }
  control_ = std::make_unique<Control>(map_, board_, observer_, *this);
  server_ = std::make_unique<Server>(
      Server::Parts{config_, map_, board_, observer_, *dns_, *control_, tls_.get()}, epoll_.get(),
      start_);

  watch(wake_.get(), kTagWake);
  watch(dns_->descriptor(), kTagDns);
  if (quiet_->descriptor() >= 0) watch(quiet_->descriptor(), kTagQuiet);
  server_->add_listener(Protocol::Http, std::move(http_listener_));
  if (tls_) server_->add_listener(Protocol::Https, std::move(https_listener_));
  server_->add_listener(Protocol::Control, std::move(control_listener_));
  server_->add_listener(Protocol::DnsTcp, std::move(dns_listener_));
}

// TCP and UDP on one port. With port 0 the kernel chooses for TCP, where a port is rarer: past
// connections hold theirs for a minute. Should the choice be taken for UDP, it chooses again.
void Fleet::open_dns() {
  constexpr int kTries = 16;
  for (int i = 1;; ++i) {
    dns_listener_ = listen_tcp(config_.dns, 64, Sharing::Alone);
    const Endpoint endpoint{config_.dns.address, port_of(dns_listener_)};
    try {
      dns_ =
          std::make_unique<DnsServer>(
              endpoint,
              DnsServer::Ttls{config_.dns_ttl, config_.dns_negative_ttl.value_or(config_.dns_ttl)},
              map_, board_, *quiet_, observer_);
      dns_port_ = endpoint.port;
      return;
    } catch (const std::runtime_error&) {
      if (config_.dns.port != 0 || i == kTries) throw;
    }
  }
}

void Fleet::load_timeline_into_board() {
  if (config_.timeline_file.empty()) return;
  const Timeline timeline = load_timeline(config_.timeline_file, board_, map_.sites());
  if (!timeline.problems.empty()) {
    std::string text = "the timeline is refused as a whole:\n";
    for (const std::string& problem : timeline.problems) text += problem + "\n";
    text.pop_back();
    throw std::runtime_error(text);
  }
  for (const FaultSwitch& wish : timeline.switches) {
    const std::string problem = board_.schedule(wish, start_, start_);
    if (!problem.empty()) throw std::runtime_error(config_.timeline_file + ": error: " + problem);
  }
}

void Fleet::watch(int fd, std::uint64_t tag) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = tag;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) throw_errno("cannot watch");
}

void Fleet::run() {
  // Making certificates took its time; the window begins when sites can be asked.
  reset_window(std::chrono::steady_clock::now(), observer_.window());
  if (config_.duration > Duration{0}) end_ = std::chrono::steady_clock::now() + config_.duration;
  while (!is_stopping_) turn();
}

void Fleet::turn() {
  std::array<epoll_event, kEventsMax> events;
  const Time before = std::chrono::steady_clock::now();
  const int count =
      ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), wait_ms(before));
  const Time now = std::chrono::steady_clock::now();
  // Faults switch before the requests of this turn are looked at.
  board_.advance(now);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    switch (event.data.u64) {
      case kTagWake:
        stop();
        break;
      case kTagDns:
        dns_->on_readable(now);
        break;
      case kTagQuiet:
        quiet_->on_readable();
        break;
      default:
        server_->on_event(event.data.u64, event.events);
    }
  }
  server_->on_timers(now);
  if (end_ && now >= *end_) stop();
}

int Fleet::wait_ms(Time now) const noexcept {
  constexpr Duration kLongest = std::chrono::seconds(60);
  Time soonest = std::min(server_->next(), board_.next());
  if (end_) soonest = std::min(soonest, *end_);
  if (soonest <= now) return 0;
  const Duration wait = std::min<Duration>(soonest - now, kLongest);
  return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(wait).count());
}

void Fleet::request_stop() noexcept {
  const std::uint64_t one = 1;
  // A full counter means that a stop is already on its way.
  [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof(one));
}

void Fleet::stop() noexcept {
  is_stopping_ = true;
}

void Fleet::reset_window(Time now, const Window& window) {
  observer_.reset(now, window);
  board_.begin_window();
  cpu_at_window_s_ = cpu_s(own_cost());
}

std::string Fleet::report(Time now) {
  const Summary summary = observer_.summary(now);
  const OwnCost cost = own_cost();
  return report_json({summary, server_->counts(), dns_->counts(), dns_->is_answering(),
                      quiet_->refused_count(), cost, cpu_s(cost) - cpu_at_window_s_});
}

std::string Fleet::ready_json() const {
  const nlohmann::ordered_json ready = {
      {"ready", true},
      {"http_port", http_port_},
      {"https_port", https_port_},
      {"dns", to_text(Endpoint{config_.dns.address, dns_port_})},
      {"control", to_text(Endpoint{config_.control.address, control_port_})},
      {"ca_file", ca_file_},
      {"sites", map_.sites()},
      {"https_sites", map_.https()},
      {"domain", map_.domain()},
      {"connections_max", config_.connections_max},
      {"refused_by", quiet_->refused_address() != 0 ? "rst" : "ipv6"},
  };
  return ready.dump();
}

}  // namespace watchwheel::fleet
