// SPDX-License-Identifier: Apache-2.0
//
// Three tables. A *request* is one asker; it needs one or two lookups (A, AAAA). A *lookup* is one question under way, shared by
// all who ask it; it tries the servers of its set in turn. The *cache* keeps what lookups found.
//
// A lookup. Round by round each server of the set is asked; a try is waited for 500 ms in the first round, twice that in the
// next, until 3 s have passed. NXDOMAIN, "no such address" and addresses decide at once. SERVFAIL, REFUSED, garbage and a dead socket
// send it to the next server at once. Earlier tries stay open: whichever answers first counts. So a silent server costs one
// try, and servers that were lately silent to everything are asked last.
//
// A request for both families waits for both, but only 50 ms (RFC 8305) for the second once the first has addresses; the late
// one still goes into the cache. All answers to askers leave through a timer that is due at once: nothing is called from within
// resolve(), and no asker runs in the middle of a table being changed.
#include "checker/resolver.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <unordered_map>
#include <utility>

#include "checker/resolver_answer.h"
#include "checker/resolver_cache.h"
#include "checker/resolver_servers.h"
#include "checker/resolver_upstream.h"
#include "core/ensure.h"

namespace watchwheel::checker {
namespace {

using core::Cause;
using std::chrono::milliseconds;

constexpr core::Duration kFirstTry = milliseconds{500};
constexpr core::Duration kDecideAfter = milliseconds{3000};
constexpr core::Duration kSecondFamilyGrace = milliseconds{50};
constexpr core::Duration kSuspectFor = std::chrono::seconds{10};
constexpr std::size_t kServerSetsMax = 64;
constexpr std::size_t kServersPerSetMax = 8;

constexpr std::array<bool, 2> kFamilies{true, false};  // v6?

bool wants(core::IpFamily family, bool v6) {
  return family == core::IpFamily::Any || (family == core::IpFamily::V6) == v6;
}

bool is_resource_error(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM ||
         error == EADDRNOTAVAIL || error == EAGAIN;
}

Cause cause_of(DnsQueryResult result) {
  switch (result) {
    case DnsQueryResult::Ok:
      return Cause::Ok;
    case DnsQueryResult::Nxdomain:
      return Cause::DnsNxdomain;
    case DnsQueryResult::Nodata:
      return Cause::DnsNoAddress;
    case DnsQueryResult::Servfail:
      return Cause::DnsServfail;
    case DnsQueryResult::Refused:
      return Cause::DnsRefused;
    case DnsQueryResult::Timeout:
      return Cause::DnsTimeout;
    case DnsQueryResult::Malformed:
      return Cause::DnsMalformed;
    case DnsQueryResult::Unreachable:
      return Cause::ResolverUnreachable;
  }
  return Cause::ResolverUnreachable;
}

// Of two failures of one name, the one that is told. Ours first: with half of the question unasked nothing can be said of the
// name. But NXDOMAIN holds for all types. "No such address" comes last: the other half might have had some.
int weight(Cause cause) {
  if (cause == Cause::DnsNxdomain) return 6;
  if (core::outcome_of(cause) == core::Outcome::NotMeasured) return 5;
  switch (cause) {
    case Cause::DnsServfail:
      return 4;
    case Cause::DnsRefused:
      return 3;
    case Cause::DnsMalformed:
      return 2;
    case Cause::DnsTimeout:
      return 1;
    default:
      return 0;
  }
}

const DnsFact& worse(const DnsFact& a, const DnsFact& b) {
  // Broken servers say NXDOMAIN for AAAA of a name that exists: when the other half knows the name, it exists.
  if (a.cause == Cause::DnsNxdomain && b.cause == Cause::DnsNoAddress) return b;
  if (b.cause == Cause::DnsNxdomain && a.cause == Cause::DnsNoAddress) return a;
  return weight(a.cause) >= weight(b.cause) ? a : b;
}

struct OwnKey {
  ServerSetId set = 0;
  bool v6 = false;
  std::string host;
  friend bool operator==(const OwnKey&, const OwnKey&) = default;
  [[nodiscard]] DnsKey view() const { return {set, v6, host}; }
};
struct OwnKeyHash {
  std::size_t operator()(const OwnKey& key) const {
    return std::hash<std::string>{}(key.host) ^ (std::size_t{key.set} << 1U) ^ std::size_t{key.v6};
  }
};

struct Try {
  std::uint32_t server = 0;
  Upstream::QueryId query = 0;
};

struct Lookup {
  OwnKey key;
  std::vector<std::uint64_t> requests;
  std::vector<std::uint32_t> order;  // Servers, in the order of asking.
  std::vector<bool> gave_up;         // By position in `order`: has failed, is not asked again.
  std::vector<Try> open;             // Asked and not answered.
  std::size_t tries = 0;
  std::uint32_t waiting_for = 0;  // The server of the newest try.
  bool waiting = false;           // For that try.
  bool queued = false;
  core::SteadyTime created;
  core::SteadyTime asked = core::kNoSteadyTime;  // First.
  core::SteadyTime try_started;
  TimerId timer = 0;
  DnsFact failure{Cause::DnsTimeout,
                  {},
                  {}};   // The worst that a server said so far; DnsTimeout: none said anything.
  int socket_error = 0;  // The newest; 0: no socket failed.
  bool out_of_resources = false;
};

struct Request {
  OwnKey key;  // `v6` unused.
  core::IpFamily family = core::IpFamily::Any;
  ResolveHandler* handler = nullptr;
  std::uint64_t tag = 0;
  std::array<std::optional<DnsFact>, 2> facts;  // [v6].
  TimerId grace = 0;
  bool ready = false;
};

struct ServerState {
  std::unique_ptr<Upstream> upstream;
  std::vector<ServerSetId> sets;  // That have it.
  core::SteadyTime suspect_until = core::kNoSteadyTime;
};

struct ServerSet {
  std::vector<Endpoint> endpoints;
  std::vector<std::uint32_t> servers;
  std::deque<std::uint64_t> queue;  // Lookups that wait for room.
};

class CachingResolver final : public Resolver, private AnswerHandler, private TimerHandler {
 public:
  CachingResolver(Limits limits, Reactor& reactor, Stats& stats)
      : limits_(limits), reactor_(reactor), stats_(stats), cache_(limits.cache_entries_max) {}

  ~CachingResolver() override {
    for (auto& [id, lookup] : lookups_) reactor_.disarm(lookup.timer);
    for (auto& [id, request] : requests_) reactor_.disarm(request.grace);
    reactor_.disarm(flush_);
  }

  core::Result<ServerSetId> server_set(std::span<const Endpoint> servers) override {
    if (servers.empty()) return ServerSetId{0};
    if (servers.size() > kServersPerSetMax) {
      return core::Error{core::ErrorKind::Invalid, "at most 8 resolvers can be named"};
    }
    const std::vector<Endpoint> wanted(servers.begin(), servers.end());
    for (std::size_t i = 0; i < sets_.size(); ++i) {
      if (sets_[i].endpoints == wanted) return static_cast<ServerSetId>(i);
    }
    if (sets_.size() == kServerSetsMax) {
      return core::Error{core::ErrorKind::Unavailable,
                         "more than 64 different lists of resolvers are in use"};
    }
    const auto id = static_cast<ServerSetId>(sets_.size());
    ServerSet set;
    set.endpoints = wanted;
    for (const Endpoint& endpoint : wanted) {
      const std::uint32_t server = server_of(endpoint);
      if (std::find(set.servers.begin(), set.servers.end(), server) != set.servers.end()) continue;
      set.servers.push_back(server);
      servers_[server].sets.push_back(id);
    }
    sets_.push_back(std::move(set));
    return id;
  }

  bool resolve(std::string_view host, core::IpFamily family, ServerSetId servers,
               core::SteadyTime now, ResolveHandler& handler, std::uint64_t tag,
               Resolution& now_known) override {
    ENSURE(servers < sets_.size(), "a set of servers that was never made");
    if (host == "localhost" || host.ends_with(".localhost")) {
      now_known = loopback(family);
      return true;
    }
    std::array<const DnsFact*, 2> known{};
    std::array<bool, 2> refresh{};
    bool complete = true;
    for (const bool v6 : kFamilies) {
      if (!wants(family, v6)) continue;
      const auto found = cache_.find({servers, v6, host}, now);
      known[v6] = found.fact;
      refresh[v6] = found.refresh;
      if (found.fact == nullptr) complete = false;
    }
    if (complete) {
      stats_.dns_cache_hits.add();
      combine(known[false], known[true], now_known);
      now_known.cached = true;
    }
    Request request;
    if (!complete) request = make_request(host, family, servers, handler, tag, known);
    // From here on the cache may change under `known`.
    for (const bool v6 : kFamilies) {
      if (refresh[v6]) refresh_ahead({servers, v6, std::string(host)}, now);
    }
    if (complete) return true;
    if (waiting_ >= limits_.waiting_max) {
      now_known = {};
      now_known.cause = Cause::LocalOverload;
      now_known.detail = "too many names wait to be resolved";
      return true;
    }
    const std::uint64_t id = ++last_id_;
    Request& placed = requests_.emplace(id, std::move(request)).first->second;
    for (const bool v6 : kFamilies) {
      if (!wants(family, v6) || placed.facts[v6]) continue;
      const std::uint64_t lookup = find_or_start({servers, v6, placed.key.host}, now, id);
      advance(lookup, now);
    }
    if (has_addresses(placed) && !placed.ready) start_grace(id, placed, now);
    return false;
  }

  Cause cancel(std::string_view host, core::IpFamily family, ServerSetId servers,
               std::uint64_t tag) override {
    const auto matches = [&](const Request& r) {
      return r.tag == tag && r.family == family && r.key.set == servers && r.key.host == host;
    };
    for (const bool v6 : kFamilies) {
      const auto flight = flights_.find({servers, v6, std::string(host)});
      if (flight == flights_.end()) continue;
      Lookup& lookup = lookups_.at(flight->second);
      for (const std::uint64_t id : lookup.requests) {
        if (!matches(requests_.at(id))) continue;
        const Cause cause = cause_of_silence(requests_.at(id));
        drop_request(id);
        return cause;
      }
    }
    // Its lookups have ended, and it has not been told yet.
    for (const std::uint64_t id : ready_) {
      const auto found = requests_.find(id);
      if (found == requests_.end() || !matches(found->second)) continue;
      const Cause cause = combine(found->second).cause;
      drop_request(id);
      return cause == Cause::Ok ? Cause::LocalOverload : cause;
    }
    return Cause::Cancelled;
  }

 private:
  // ---- timers: the kind in the low bits of the tag, the id above.

  enum class Wake : std::uint64_t { Try, Grace, Flush };
  static std::uint64_t tag_of(Wake wake, std::uint64_t id) {
    return id << 2U | static_cast<std::uint64_t>(wake);
  }

  void on_timer(std::uint64_t tag, core::SteadyTime now) noexcept override {
    const std::uint64_t id = tag >> 2U;
    switch (static_cast<Wake>(tag & 3U)) {
      case Wake::Try:
        on_try_over(id, now);
        break;
      case Wake::Grace: {
        const auto found = requests_.find(id);
        if (found == requests_.end()) break;
        found->second.grace = 0;
        make_ready(id, found->second, now);
        break;
      }
      case Wake::Flush:
        flush_ = 0;
        flush(now);
        break;
    }
  }

  // ---- servers

  std::uint32_t server_of(const Endpoint& endpoint) {
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      if (servers_[i].upstream->endpoint() == endpoint) return static_cast<std::uint32_t>(i);
    }
    const auto number = static_cast<std::uint32_t>(servers_.size());
    servers_.push_back(
        {Upstream::make(endpoint, number, reactor_, *this), {}, core::kNoSteadyTime});
    return number;
  }

  // Does a server that keeps silent about this name answer other questions? Once the first try is over it has been asked ". NS"
  // too, and what it said before that counts no more: it may have died since.
  [[nodiscard]] bool servers_live(const Lookup& lookup) const {
    const auto since = lookup.tries > 1 ? lookup.asked + kFirstTry : lookup.asked;
    for (std::size_t i = 0; i < lookup.order.size(); ++i) {
      const auto heard = servers_[lookup.order[i]].upstream->heard();
      if (!lookup.gave_up[i] && heard > since) return true;
    }
    return false;
  }

  [[nodiscard]] std::vector<std::uint32_t> asking_order(ServerSetId set,
                                                        core::SteadyTime now) const {
    std::vector<std::uint32_t> order = sets_[set].servers;
    std::stable_partition(order.begin(), order.end(), [&](std::uint32_t server) {
      const ServerState& state = servers_[server];
      // Heard since it became suspect: it lives.
      return state.suspect_until <= now ||
             state.upstream->heard() + kSuspectFor > state.suspect_until;
    });
    return order;
  }

  // ---- lookups

  std::uint64_t find_or_start(OwnKey key, core::SteadyTime now, std::uint64_t request) {
    const auto [flight, fresh] = flights_.try_emplace(key, last_id_ + 1);
    if (fresh) {
      Lookup lookup;
      lookup.order = asking_order(key.set, now);
      lookup.gave_up.resize(lookup.order.size());
      lookup.key = std::move(key);
      lookup.created = now;
      lookups_.emplace(++last_id_, std::move(lookup));
    }
    if (request != 0) lookups_.at(flight->second).requests.push_back(request);
    return flight->second;
  }

  // Starts the next try, unless one is being waited for.
  void advance(std::uint64_t id, core::SteadyTime now) {
    const auto found = lookups_.find(id);
    if (found == lookups_.end()) return;
    Lookup& lookup = found->second;
    while (!lookup.waiting && !lookup.queued) {
      if (std::all_of(lookup.gave_up.begin(), lookup.gave_up.end(), [](bool b) { return b; }) ||
          (lookup.asked != core::kNoSteadyTime && now >= lookup.asked + kDecideAfter)) {
        finish_failed(id, lookup, now);
        return;
      }
      const std::size_t at = lookup.tries % lookup.order.size();
      if (lookup.gave_up[at]) {
        ++lookup.tries;
      } else if (!try_server(id, lookup, at, now)) {
        wait_for_room(id, lookup);
      }
    }
  }

  // False: the server has no room.
  bool try_server(std::uint64_t id, Lookup& lookup, std::size_t at, core::SteadyTime now) {
    const std::uint32_t server = lookup.order[at];
    const auto type = lookup.key.v6 ? DnsType::Aaaa : DnsType::A;
    const auto sent = servers_[server].upstream->send(lookup.key.host, type, id, now);
    if (sent.query == 0 && sent.error == 0) return false;
    if (lookup.asked == core::kNoSteadyTime) lookup.asked = now;
    const std::size_t round = lookup.tries++ / lookup.order.size();
    if (sent.query == 0) {
      note_socket_error(lookup, server, sent.error);
      return true;
    }
    lookup.open.push_back({server, sent.query});
    lookup.waiting = true;
    lookup.waiting_for = server;
    lookup.try_started = now;
    reactor_.disarm(lookup.timer);
    lookup.timer = reactor_.arm(
        std::min(now + kFirstTry * (std::int64_t{1} << round), lookup.asked + kDecideAfter), *this,
        tag_of(Wake::Try, id));
    return true;
  }

  void wait_for_room(std::uint64_t id, Lookup& lookup) {
    lookup.queued = true;
    ++waiting_;
    sets_[lookup.key.set].queue.push_back(id);
    reactor_.disarm(lookup.timer);
    const auto since = lookup.asked == core::kNoSteadyTime ? lookup.created : lookup.asked;
    lookup.timer = reactor_.arm(since + kDecideAfter, *this, tag_of(Wake::Try, id));
  }

  void leave_queue(std::uint64_t id, Lookup& lookup) {
    if (!lookup.queued) return;
    lookup.queued = false;
    --waiting_;
    auto& queue = sets_[lookup.key.set].queue;
    queue.erase(std::find(queue.begin(), queue.end(), id));
  }

  // A place became free at `server`.
  void pump(std::uint32_t server, core::SteadyTime now) {
    for (const ServerSetId set : servers_[server].sets) {
      auto& queue = sets_[set].queue;
      // Each is looked at once: one that finds no room goes back to the end.
      for (std::size_t left = queue.size(); left > 0 && !queue.empty(); --left) {
        const std::uint64_t id = queue.front();
        Lookup& lookup = lookups_.at(id);
        leave_queue(id, lookup);
        advance(id, now);
        const auto after = lookups_.find(id);
        if (after != lookups_.end() && after->second.queued) {
          // Still no room: first again, for the order of waiting, and the rest need not be tried.
          queue.pop_back();
          queue.push_front(id);
          break;
        }
      }
    }
  }

  void on_try_over(std::uint64_t id, core::SteadyTime now) {
    const auto found = lookups_.find(id);
    if (found == lookups_.end()) return;
    Lookup& lookup = found->second;
    lookup.timer = 0;
    if (lookup.queued) {
      leave_queue(id, lookup);
      if (lookup.asked == core::kNoSteadyTime) {
        finish(id, {Cause::LocalOverload, {}, "no room to ask within 3 s"}, 0, now);
      } else {
        finish_failed(id, lookup, now);
      }
      return;
    }
    count(DnsQueryResult::Timeout);
    const std::uint32_t server = lookup.waiting_for;
    ServerState& state = servers_[server];
    lookup.waiting = false;
    state.upstream->set_aside(lookup.open.back().query);
    if (state.upstream->heard() < lookup.try_started) state.suspect_until = now + kSuspectFor;
    state.upstream->ask_for_life(now);
    advance(id, now);
    pump(server, now);
  }

  void on_answer(std::uint64_t tag, std::uint32_t server, std::span<const std::uint8_t> message,
                 int error, core::SteadyTime now) noexcept override {
    const auto found = lookups_.find(tag);
    if (found != lookups_.end()) take_answer(tag, found->second, server, message, error, now);
    pump(server, now);
  }

  void take_answer(std::uint64_t id, Lookup& lookup, std::uint32_t server,
                   std::span<const std::uint8_t> message, int error, core::SteadyTime now) {
    if (lookup.waiting && lookup.waiting_for == server) lookup.waiting = false;
    for (const Try& open : lookup.open) {
      if (open.server == server) servers_[server].upstream->set_aside(open.query);
    }
    std::erase_if(lookup.open, [server](const Try& open) { return open.server == server; });
    if (message.empty()) {
      note_socket_error(lookup, server, error);
      advance(id, now);
      return;
    }
    DnsAnswer answer = parse_answer(message, lookup.key.host, lookup.key.v6);
    count(answer.result);
    DnsFact fact{cause_of(answer.result), std::move(answer.addresses), {}};
    if (fact.cause != Cause::Ok) {
      fact.detail = to_string(servers_[server].upstream->endpoint()) + " says " + answer.said +
                    (lookup.key.v6 ? " (AAAA)" : " (A)");
    }
    if (fact.cause == Cause::Ok || fact.cause == Cause::DnsNxdomain ||
        fact.cause == Cause::DnsNoAddress) {
      finish(id, std::move(fact), answer.ttl_s, now);
      return;
    }
    if (lookup.failure.cause == Cause::DnsTimeout ||
        weight(fact.cause) > weight(lookup.failure.cause)) {
      lookup.failure = std::move(fact);
    }
    give_up_on(lookup, server);
    advance(id, now);
  }

  static void give_up_on(Lookup& lookup, std::uint32_t server) {
    const auto at = std::find(lookup.order.begin(), lookup.order.end(), server);
    lookup.gave_up[static_cast<std::size_t>(at - lookup.order.begin())] = true;
  }

  void note_socket_error(Lookup& lookup, std::uint32_t server, int error) {
    count(DnsQueryResult::Unreachable);
    lookup.socket_error = error;
    lookup.out_of_resources = lookup.out_of_resources || is_resource_error(error);
    give_up_on(lookup, server);
  }

  void finish_failed(std::uint64_t id, Lookup& lookup, core::SteadyTime now) {
    DnsFact fact = std::move(lookup.failure);
    // A server that we could not ask for want of descriptors might have said something else.
    if (fact.cause == Cause::DnsTimeout || lookup.out_of_resources) fact = silence(lookup);
    finish(id, std::move(fact), 0, now);
  }

  // No server said anything about the name: is it the name or are it the servers?
  [[nodiscard]] DnsFact silence(const Lookup& lookup) const {
    std::string who;
    for (const std::uint32_t server : lookup.order) {
      who += (who.empty() ? "" : ", ") + to_string(servers_[server].upstream->endpoint());
    }
    if (lookup.out_of_resources) {
      return {Cause::LocalResources, {}, who + ": " + std::strerror(lookup.socket_error)};
    }
    if (servers_live(lookup)) {
      return {Cause::DnsTimeout, {}, "no answer about this name within 3 s from " + who};
    }
    if (lookup.socket_error != 0) {
      return {Cause::ResolverUnreachable, {}, who + ": " + std::strerror(lookup.socket_error)};
    }
    return {Cause::ResolverUnreachable, {}, "no answer to anything within 3 s from " + who};
  }

  void finish(std::uint64_t id, DnsFact fact, std::uint32_t ttl_s, core::SteadyTime now) {
    leave_queue(id, lookups_.at(id));
    Lookup lookup = std::move(lookups_.at(id));
    reactor_.disarm(lookup.timer);
    lookups_.erase(id);
    flights_.erase(lookup.key);
    for (const Try& open : lookup.open) servers_[open.server].upstream->set_aside(open.query);
    for (const std::uint64_t waiting : lookup.requests) {
      Request& request = requests_.at(waiting);
      request.facts[lookup.key.v6] = fact;
      const bool other_missing =
          wants(request.family, !lookup.key.v6) && !request.facts[!lookup.key.v6];
      if (!other_missing) {
        make_ready(waiting, request, now);
      } else if (fact.cause == Cause::Ok) {
        start_grace(waiting, request, now);
      }
    }
    const Cause cause = fact.cause;
    cache_.store(lookup.key.view(), std::move(fact), lifetime(cause, ttl_s), now);
    stats_.dns_cache_entries.set(static_cast<double>(cache_.size()));
  }

  void count(DnsQueryResult result) { stats_.dns_queries[static_cast<std::size_t>(result)].add(); }

  // ---- requests

  static Request make_request(std::string_view host, core::IpFamily family, ServerSetId servers,
                              ResolveHandler& handler, std::uint64_t tag,
                              const std::array<const DnsFact*, 2>& known) {
    Request request;
    request.key = {servers, false, std::string(host)};
    request.family = family;
    request.handler = &handler;
    request.tag = tag;
    for (const bool v6 : kFamilies) {
      if (known[v6] != nullptr) request.facts[v6] = *known[v6];
    }
    return request;
  }

  void refresh_ahead(OwnKey key, core::SteadyTime now) {
    if (waiting_ < limits_.waiting_max) advance(find_or_start(std::move(key), now, 0), now);
  }

  static bool has_addresses(const Request& request) {
    return std::any_of(request.facts.begin(), request.facts.end(),
                       [](const auto& fact) { return fact && fact->cause == Cause::Ok; });
  }

  // What is known of each family; null: it was not asked for, or did not come in time.
  static void combine(const DnsFact* v4, const DnsFact* v6, Resolution& into) {
    into.cause = Cause::Ok;
    into.detail.clear();
    into.cached = false;
    into.addresses.clear();
    for (const DnsFact* fact : {v6, v4}) {
      if (fact == nullptr) continue;
      into.addresses.insert(into.addresses.end(), fact->addresses.begin(), fact->addresses.end());
    }
    if (!into.addresses.empty()) return;
    const DnsFact& told = v4 == nullptr ? *v6 : v6 == nullptr ? *v4 : worse(*v4, *v6);
    into.cause = told.cause;
    into.detail = told.detail;
  }

  static Resolution combine(const Request& request) {
    Resolution resolution;
    const auto& [v4, v6] = request.facts;
    combine(v4 ? &*v4 : nullptr, v6 ? &*v6 : nullptr, resolution);
    return resolution;
  }

  static Resolution loopback(core::IpFamily family) {
    Resolution resolution;
    resolution.cached = true;
    if (wants(family, true)) resolution.addresses.push_back(*parse_ip("::1"));
    if (wants(family, false)) resolution.addresses.push_back(*parse_ip("127.0.0.1"));
    return resolution;
  }

  void start_grace(std::uint64_t id, Request& request, core::SteadyTime now) {
    if (request.grace != 0) return;
    request.grace = reactor_.arm(now + kSecondFamilyGrace, *this, tag_of(Wake::Grace, id));
  }

  void make_ready(std::uint64_t id, Request& request, core::SteadyTime now) {
    reactor_.disarm(request.grace);
    request.grace = 0;
    leave_lookups(id, request);
    request.ready = true;
    ready_.push_back(id);
    if (flush_ == 0) flush_ = reactor_.arm(now, *this, tag_of(Wake::Flush, 0));
  }

  void leave_lookups(std::uint64_t id, const Request& request) {
    for (const bool v6 : kFamilies) {
      const auto flight = flights_.find({request.key.set, v6, request.key.host});
      if (flight != flights_.end()) std::erase(lookups_.at(flight->second).requests, id);
    }
  }

  void drop_request(std::uint64_t id) {
    const auto found = requests_.find(id);
    reactor_.disarm(found->second.grace);
    leave_lookups(id, found->second);
    requests_.erase(found);
  }

  // What the time being up means for a request that still waits.
  [[nodiscard]] Cause cause_of_silence(const Request& request) const {
    Cause worst = Cause::DnsTimeout;
    for (const bool v6 : kFamilies) {
      const auto flight = flights_.find({request.key.set, v6, request.key.host});
      if (request.facts[v6] || flight == flights_.end()) continue;
      const Lookup& lookup = lookups_.at(flight->second);
      if (lookup.asked == core::kNoSteadyTime) return Cause::LocalOverload;
      if (!servers_live(lookup)) worst = Cause::ResolverUnreachable;
    }
    return worst;
  }

  // Tells those that are ready by now; what they start waits for the next flush.
  void flush(core::SteadyTime now) {
    for (std::size_t left = ready_.size(); left > 0; --left) {
      const std::uint64_t id = ready_.front();
      ready_.pop_front();
      const auto found = requests_.find(id);
      if (found == requests_.end()) continue;  // Cancelled meanwhile.
      const Request request = std::move(found->second);
      requests_.erase(found);
      request.handler->on_resolved(request.tag, combine(request), now);
    }
    if (!ready_.empty() && flush_ == 0) flush_ = reactor_.arm(now, *this, tag_of(Wake::Flush, 0));
  }

  Limits limits_;
  Reactor& reactor_;
  Stats& stats_;
  ResolverCache cache_;
  std::vector<ServerState> servers_;
  std::vector<ServerSet> sets_;
  std::unordered_map<std::uint64_t, Lookup> lookups_;
  std::unordered_map<OwnKey, std::uint64_t, OwnKeyHash> flights_;  // To `lookups_`.
  std::unordered_map<std::uint64_t, Request> requests_;
  std::deque<std::uint64_t> ready_;  // Requests to be told.
  std::uint64_t last_id_ = 0;
  std::size_t waiting_ = 0;  // Lookups in queues.
  TimerId flush_ = 0;
};

}  // namespace

core::Result<std::unique_ptr<Resolver>> Resolver::make(Limits limits,
                                                       std::span<const Endpoint> default_servers,
                                                       Reactor& reactor, Stats& stats) {
  auto resolver = std::make_unique<CachingResolver>(limits, reactor, stats);
  const std::vector<Endpoint> servers =
      default_servers.empty()
          ? machine_servers()
          : std::vector<Endpoint>(default_servers.begin(), default_servers.end());
  const auto id = resolver->server_set(servers);
  if (!id) return id.error();
  return std::unique_ptr<Resolver>(std::move(resolver));
}

}  // namespace watchwheel::checker
