// SPDX-License-Identifier: Apache-2.0
//
// A lookup. Round by round each server of the set is asked. NXDOMAIN, "no such address" and addresses decide at once. SERVFAIL,
// REFUSED, garbage and a dead socket send it to the next server at once. Earlier tries stay open: whichever answers first
// counts. So a silent server costs one try, and servers that were lately silent to everything are asked last.
//
// An answer that ends at an alias and says nothing about its target (a server that only knows its own zones) is followed by
// asking for the target, from the first server on, within the same 3 s. Aliases of all answers together are at most
// kAliasesMax.
//
// A refusal. A resolver whose access list leaves us out says REFUSED to everything, and one that stopped resolving refers us to
// others: neither is about the name. So a server that refuses is asked ". NS" as well. Only when it answers that, or has answered
// an earlier part of this very chain, is its refusal the name's failure; else it is a server that nothing can be heard from. The
// verdict is waited for only when nothing else decides, and 500 ms at most.
#include "checker/resolver_lookups.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <limits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "checker/resolver_answer.h"
#include "checker/resolver_upstream.h"
#include "core/ensure.h"

namespace watchwheel::checker {
namespace {

using core::Cause;
using std::chrono::milliseconds;

constexpr core::Duration kFirstTry = milliseconds{500};
constexpr core::Duration kDecideAfter = milliseconds{3000};
constexpr core::Duration kSuspectFor = std::chrono::seconds{10};

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

struct Try {
  std::uint32_t server = 0;
  Upstream::QueryId query = 0;
};

struct Refusal {
  std::uint32_t server = 0;
  core::SteadyTime at;
  bool is_of_the_name = false;  // It served us within this lookup.
  DnsFact fact;
};

struct Lookup {
  LookupKey key;
  std::string name;         // That is asked for: the key's, or where its aliases lead.
  std::size_t aliases = 0;  // From one to the other.
  std::uint32_t ttl_s = std::numeric_limits<std::uint32_t>::max();  // Theirs.
  std::vector<std::uint32_t> order;  // Servers, in the order of asking.
  std::vector<bool> gave_up;         // By position in `order`: has failed, is not asked again.
  std::vector<Try> open;             // Asked and not answered.
  std::size_t tries = 0;
  std::uint32_t waiting_for = 0;  // The server of the newest try.
  bool waiting = false;           // For that try.
  bool queued = false;
  std::uint32_t queued_at = 0;  // The server that had no room.
  core::SteadyTime created;
  core::SteadyTime asked = core::kNoSteadyTime;  // First.
  core::SteadyTime try_started;
  TimerId timer = 0;
  DnsFact failure{Cause::DnsTimeout,
                  {},
                  {}};  // The worst that a server said so far; DnsTimeout: none said anything.
  std::vector<Refusal> refusals;
  std::vector<std::uint32_t> served_by;  // Servers that answered an earlier part of the chain.
  core::SteadyTime settle_until = core::kNoSteadyTime;  // Waits for what ". NS" says of `refusals`.
  QueryError socket_error;  // The one that says most, the newest of those.
  bool out_of_resources = false;
  bool truncated = false;  // A server knows the name, and we cannot hear it for want of TCP.
};

// Of two socket errors the one to tell.
int rank_of(QueryError error) {
  if (is_resource_error(error.number)) return 3;
  if (error.tcp) return 2;
  return error.number != 0 ? 1 : 0;
}

struct ServerState {
  std::unique_ptr<Upstream> upstream;
  core::SteadyTime suspect_until = core::kNoSteadyTime;
  std::deque<std::uint64_t> queue;  // Lookups that wait for room at it.
};

struct ServerSet {
  std::vector<Endpoint> endpoints;
  std::vector<std::uint32_t> servers;
};

class ServerLookups final : public Lookups, private AnswerHandler, private TimerHandler {
 public:
  ServerLookups(std::size_t waiting_max, Reactor& reactor, Stats& stats, LookupHandler& handler)
      : waiting_max_(waiting_max), reactor_(reactor), stats_(stats), handler_(handler) {}

  ~ServerLookups() override {
    for (auto& [id, lookup] : lookups_) reactor_.disarm(lookup.timer);
  }

  core::Result<std::uint32_t> server_set(std::span<const Endpoint> servers) override {
    if (servers.empty()) return core::Error{core::ErrorKind::Invalid, "a list of no resolvers"};
    if (servers.size() > kServersPerSetMax) {
      return core::Error{core::ErrorKind::Invalid, "at most 8 resolvers can be named"};
    }
    const std::vector<Endpoint> wanted(servers.begin(), servers.end());
    for (std::size_t i = 0; i < sets_.size(); ++i) {
      if (sets_[i].endpoints == wanted) return static_cast<std::uint32_t>(i);
    }
    if (sets_.size() == kServerSetsMax) {
      return core::Error{core::ErrorKind::Unavailable,
                         "more than 64 different lists of resolvers are in use"};
    }
    const auto id = static_cast<std::uint32_t>(sets_.size());
    ServerSet set;
    set.endpoints = wanted;
    for (const Endpoint& endpoint : wanted) {
      const std::uint32_t server = server_of(endpoint);
      if (std::find(set.servers.begin(), set.servers.end(), server) != set.servers.end()) continue;
      set.servers.push_back(server);
    }
    sets_.push_back(std::move(set));
    return id;
  }

  [[nodiscard]] bool is_set(std::uint32_t set) const override { return set < sets_.size(); }
  [[nodiscard]] bool full() const override { return waiting_ >= waiting_max_; }

  void start(const LookupKey& key, core::SteadyTime now) override {
    ENSURE(is_set(key.set), "a set of servers that was never made");
    const auto [flight, fresh] = flights_.try_emplace(key, last_id_ + 1);
    if (!fresh) return;
    Lookup lookup;
    lookup.order = asking_order(key.set, now);
    lookup.gave_up.resize(lookup.order.size());
    lookup.key = key;
    lookup.name = key.host;
    lookup.created = now;
    lookups_.emplace(++last_id_, std::move(lookup));
    advance(last_id_, now);
  }

  [[nodiscard]] std::optional<Cause> cause_of_silence(const LookupKey& key) const override {
    const auto flight = flights_.find(key);
    if (flight == flights_.end()) return std::nullopt;
    const Lookup& lookup = lookups_.at(flight->second);
    if (lookup.asked == core::kNoSteadyTime) return Cause::LocalOverload;
    const bool says_nothing = lookup.truncated || waits_for_tcp(lookup) || !servers_live(lookup);
    return says_nothing ? Cause::ResolverUnreachable : Cause::DnsTimeout;
  }

 private:
  // `tag`: the lookup.
  void on_timer(std::uint64_t tag, core::SteadyTime now) noexcept override {
    on_try_over(tag, now);
  }

  // ---- servers

  std::uint32_t server_of(const Endpoint& endpoint) {
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      if (servers_[i].upstream->endpoint() == endpoint) return static_cast<std::uint32_t>(i);
    }
    const auto number = static_cast<std::uint32_t>(servers_.size());
    servers_.push_back(
        {Upstream::make(endpoint, number, reactor_, *this), core::kNoSteadyTime, {}});
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

  [[nodiscard]] std::vector<std::uint32_t> asking_order(std::uint32_t set,
                                                        core::SteadyTime now) const {
    std::vector<std::uint32_t> order = sets_[set].servers;
    if (order.size() == 1) return order;
    std::stable_partition(order.begin(), order.end(), [&](std::uint32_t server) {
      const ServerState& state = servers_[server];
      // Heard since it became suspect: it lives.
      return state.suspect_until <= now ||
             state.upstream->heard() + kSuspectFor > state.suspect_until;
    });
    return order;
  }

  // ---- tries

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
        wait_for_room(id, lookup, lookup.order[at]);
      }
    }
  }

  // False: the server has no room.
  bool try_server(std::uint64_t id, Lookup& lookup, std::size_t at, core::SteadyTime now) {
    const std::uint32_t server = lookup.order[at];
    const auto type = lookup.key.v6 ? DnsType::Aaaa : DnsType::A;
    const auto sent = servers_[server].upstream->send(lookup.name, type, id, now);
    if (sent.query == 0 && sent.error == 0) return false;
    if (lookup.asked == core::kNoSteadyTime) lookup.asked = now;
    const std::size_t round = lookup.tries++ / lookup.order.size();
    if (sent.query == 0) {
      note_socket_error(lookup, server, {sent.error, false});
      return true;
    }
    lookup.open.push_back({server, sent.query});
    lookup.waiting = true;
    lookup.waiting_for = server;
    lookup.try_started = now;
    reactor_.disarm(lookup.timer);
    lookup.timer = reactor_.arm(
        std::min(now + kFirstTry * (std::int64_t{1} << round), lookup.asked + kDecideAfter), *this,
        id);
    return true;
  }

  void wait_for_room(std::uint64_t id, Lookup& lookup, std::uint32_t server) {
    lookup.queued = true;
    lookup.queued_at = server;
    ++waiting_;
    servers_[server].queue.push_back(id);
    reactor_.disarm(lookup.timer);
    const auto since = lookup.asked == core::kNoSteadyTime ? lookup.created : lookup.asked;
    lookup.timer = reactor_.arm(since + kDecideAfter, *this, id);
  }

  void leave_queue(std::uint64_t id, Lookup& lookup) {
    if (!lookup.queued) return;
    lookup.queued = false;
    --waiting_;
    auto& queue = servers_[lookup.queued_at].queue;
    queue.erase(std::find(queue.begin(), queue.end(), id));
  }

  // A place became free at `server`.
  void pump(std::uint32_t server, core::SteadyTime now) {
    // Each is looked at once, and what follows from one may add servers: nothing is held across it.
    for (std::size_t left = servers_[server].queue.size(); left > 0; --left) {
      if (servers_[server].queue.empty()) return;
      const std::uint64_t id = servers_[server].queue.front();
      leave_queue(id, lookups_.at(id));
      advance(id, now);
      const auto after = lookups_.find(id);
      if (after == lookups_.end() || !after->second.queued || after->second.queued_at != server)
        continue;
      // Still no room: first again, for the order of waiting, and the rest need not be tried.
      servers_[server].queue.pop_back();
      servers_[server].queue.push_front(id);
      return;
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
    if (lookup.settle_until != core::kNoSteadyTime) {
      tell_failure(id, lookup, now);
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

  void on_answer(std::uint64_t tag, std::uint32_t server, Upstream::QueryId query,
                 std::span<const std::uint8_t> message, QueryError error,
                 core::SteadyTime now) noexcept override {
    const auto found = lookups_.find(tag);
    // A socket that fails says nothing about a question that was given up, or asked before an alias was followed.
    if (found != lookups_.end() && (!message.empty() || is_open(found->second, query)))
      take_answer(tag, found->second, server, message, error, now);
    pump(server, now);
  }

  static bool is_open(const Lookup& lookup, Upstream::QueryId query) {
    return std::any_of(lookup.open.begin(), lookup.open.end(),
                       [query](const Try& open) { return open.query == query; });
  }

  // What became of a question for life: those that wait for it look again.
  void on_life(std::uint32_t, core::SteadyTime now) noexcept override {
    for (const std::uint64_t id : std::exchange(settling_, {})) {
      const auto found = lookups_.find(id);
      if (found == lookups_.end() || found->second.settle_until == core::kNoSteadyTime) continue;
      finish_failed(id, found->second, now);
    }
  }

  void take_answer(std::uint64_t id, Lookup& lookup, std::uint32_t server,
                   std::span<const std::uint8_t> message, QueryError error, core::SteadyTime now) {
    DnsAnswer answer;
    if (!message.empty()) answer = parse_answer(message, lookup.name, lookup.key.v6);
    if (answer.other_question) return;  // Asked before an alias was followed.
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
    count(answer.result);
    if (answer.result == DnsQueryResult::Ok || answer.result == DnsQueryResult::Nodata) {
      lookup.ttl_s = std::min(lookup.ttl_s, answer.ttl_s);
    }
    lookup.aliases += answer.aliases;
    if (lookup.aliases > kAliasesMax) {
      answer = DnsAnswer{};
      answer.said = "aliases that go in a circle";
    } else if (!answer.alias_of.empty()) {
      lookup.served_by.push_back(server);
      follow(id, lookup, std::move(answer.alias_of), now);
      return;
    }
    DnsFact fact{cause_of(answer.result), std::move(answer.addresses), {}};
    if (fact.cause != Cause::Ok) {
      fact.detail = to_string(servers_[server].upstream->endpoint()) + " says " + answer.said +
                    (lookup.key.v6 ? " (AAAA)" : " (A)");
      if (lookup.name != lookup.key.host) fact.detail += " of its alias " + lookup.name;
    }
    if (fact.cause == Cause::Ok || fact.cause == Cause::DnsNxdomain ||
        fact.cause == Cause::DnsNoAddress) {
      const bool absent = fact.cause == Cause::DnsNoAddress;
      finish(id, std::move(fact), absent ? std::min(lookup.ttl_s, answer.absent_s) : lookup.ttl_s,
             now);
      return;
    }
    if (fact.cause == Cause::DnsRefused) {
      take_refusal(lookup, server, std::move(fact), now);
    } else {
      take_failure(lookup, std::move(fact));
    }
    give_up_on(lookup, server);
    advance(id, now);
  }

  static void take_failure(Lookup& lookup, DnsFact fact) {
    if (lookup.failure.cause != Cause::DnsTimeout &&
        weight_of(fact.cause) <= weight_of(lookup.failure.cause))
      return;
    lookup.failure = std::move(fact);
  }

  void take_refusal(Lookup& lookup, std::uint32_t server, DnsFact fact, core::SteadyTime now) {
    const bool served = std::find(lookup.served_by.begin(), lookup.served_by.end(), server) !=
                        lookup.served_by.end();
    if (!served) servers_[server].upstream->ask_for_service(now);
    lookup.refusals.push_back({server, now, served, std::move(fact)});
  }

  [[nodiscard]] bool is_of_the_name(const Refusal& refusal) const {
    return refusal.is_of_the_name || servers_[refusal.server].upstream->served() >= refusal.at;
  }

  // Would what ". NS" says of a refusal decide, and may it still come?
  [[nodiscard]] bool waits_for_life(const Lookup& lookup, core::SteadyTime now) const {
    if (lookup.out_of_resources || lookup.truncated || waits_for_tcp(lookup)) return false;
    if (weight_of(lookup.failure.cause) > weight_of(Cause::DnsRefused)) return false;
    if (now >= lookup.asked + kDecideAfter) return false;
    const auto& refusals = lookup.refusals;
    if (std::any_of(refusals.begin(), refusals.end(),
                    [this](const Refusal& refusal) { return is_of_the_name(refusal); }))
      return false;
    return std::any_of(refusals.begin(), refusals.end(), [this](const Refusal& refusal) {
      return servers_[refusal.server].upstream->is_asked_for_life();
    });
  }

  // Begins again with another name.
  void follow(std::uint64_t id, Lookup& lookup, std::string name, core::SteadyTime now) {
    for (const Try& open : lookup.open) servers_[open.server].upstream->set_aside(open.query);
    lookup.open.clear();
    lookup.name = std::move(name);
    lookup.gave_up.assign(lookup.order.size(), false);
    lookup.failure = {Cause::DnsTimeout, {}, {}};
    lookup.refusals.clear();
    lookup.truncated = false;
    lookup.settle_until = core::kNoSteadyTime;
    lookup.tries = 0;
    lookup.waiting = false;
    advance(id, now);
  }

  static void give_up_on(Lookup& lookup, std::uint32_t server) {
    const auto at = std::find(lookup.order.begin(), lookup.order.end(), server);
    lookup.gave_up[static_cast<std::size_t>(at - lookup.order.begin())] = true;
  }

  void note_socket_error(Lookup& lookup, std::uint32_t server, QueryError error) {
    count(DnsQueryResult::Unreachable);
    if (rank_of(error) >= rank_of(lookup.socket_error)) lookup.socket_error = error;
    lookup.truncated = lookup.truncated || error.tcp;
    lookup.out_of_resources = lookup.out_of_resources || is_resource_error(error.number);
    give_up_on(lookup, server);
  }

  void finish_failed(std::uint64_t id, Lookup& lookup, core::SteadyTime now) {
    if (!waits_for_life(lookup, now)) {
      tell_failure(id, lookup, now);
      return;
    }
    if (std::find(settling_.begin(), settling_.end(), id) == settling_.end())
      settling_.push_back(id);
    if (lookup.settle_until != core::kNoSteadyTime) return;
    lookup.settle_until = std::min(now + kFirstTry, lookup.asked + kDecideAfter);
    reactor_.disarm(lookup.timer);
    lookup.timer = reactor_.arm(lookup.settle_until, *this, id);
  }

  void tell_failure(std::uint64_t id, Lookup& lookup, core::SteadyTime now) {
    for (Refusal& refusal : lookup.refusals) {
      if (is_of_the_name(refusal)) take_failure(lookup, std::move(refusal.fact));
    }
    DnsFact fact = std::move(lookup.failure);
    lookup.truncated = lookup.truncated || waits_for_tcp(lookup);
    // A server that we could not ask, for want of descriptors or of TCP, might have said something else.
    if (fact.cause == Cause::DnsTimeout || lookup.out_of_resources || lookup.truncated)
      fact = silence(lookup);
    finish(id, std::move(fact), 0, now);
  }

  // A server has truncated its answer and now is silent over TCP: so it lives and knows the name, and we cannot hear it.
  [[nodiscard]] bool waits_for_tcp(const Lookup& lookup) const {
    return std::any_of(lookup.open.begin(), lookup.open.end(), [&](const Try& open) {
      return servers_[open.server].upstream->over_tcp(open.query);
    });
  }

  // No server said anything about the name: is it the name or are it the servers?
  [[nodiscard]] DnsFact silence(const Lookup& lookup) const {
    std::string who;
    for (const std::uint32_t server : lookup.order) {
      who += (who.empty() ? "" : ", ") + to_string(servers_[server].upstream->endpoint());
    }
    if (lookup.out_of_resources)
      return {Cause::LocalResources, {}, who + text_of(lookup.socket_error)};
    if (waits_for_tcp(lookup)) {
      return {Cause::ResolverUnreachable,
              {},
              "the answer is too long for UDP, and none came over TCP within 3 s from " + who};
    }
    if (lookup.truncated)
      return {Cause::ResolverUnreachable, {}, who + text_of(lookup.socket_error)};
    if (servers_live(lookup)) {
      return {Cause::DnsTimeout, {}, "no answer about this name within 3 s from " + who};
    }
    if (!lookup.refusals.empty()) {
      return {Cause::ResolverUnreachable,
              {},
              lookup.refusals.back().fact.detail + ", and resolves no other name for us either"};
    }
    if (lookup.socket_error.number != 0) {
      return {Cause::ResolverUnreachable, {}, who + text_of(lookup.socket_error)};
    }
    return {Cause::ResolverUnreachable, {}, "no answer to anything within 3 s from " + who};
  }

  static std::string text_of(QueryError error) {
    return (error.tcp ? " over TCP: " : ": ") + std::string(std::strerror(error.number));
  }

  void finish(std::uint64_t id, DnsFact fact, std::uint32_t ttl_s, core::SteadyTime now) {
    leave_queue(id, lookups_.at(id));
    const Lookup lookup = std::move(lookups_.at(id));
    reactor_.disarm(lookup.timer);
    lookups_.erase(id);
    flights_.erase(lookup.key);
    if (lookup.settle_until != core::kNoSteadyTime) std::erase(settling_, id);
    for (const Try& open : lookup.open) servers_[open.server].upstream->set_aside(open.query);
    handler_.on_looked_up(lookup.key, std::move(fact), ttl_s, now);
  }

  void count(DnsQueryResult result) { stats_.dns_queries[static_cast<std::size_t>(result)].add(); }

  std::size_t waiting_max_;
  Reactor& reactor_;
  Stats& stats_;
  LookupHandler& handler_;
  std::vector<ServerState> servers_;
  std::vector<ServerSet> sets_;
  std::unordered_map<std::uint64_t, Lookup> lookups_;
  std::unordered_map<LookupKey, std::uint64_t, LookupKeyHash> flights_;  // To `lookups_`.
  std::vector<std::uint64_t> settling_;  // Lookups that only wait for what ". NS" says.
  std::uint64_t last_id_ = 0;
  std::size_t waiting_ = 0;  // Lookups in queues.
};

}  // namespace

int weight_of(Cause failure) {
  if (failure == Cause::DnsNxdomain) return 6;
  if (core::outcome_of(failure) == core::Outcome::NotMeasured) return 5;
  switch (failure) {
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

std::unique_ptr<Lookups> Lookups::make(std::size_t waiting_max, Reactor& reactor, Stats& stats,
                                       LookupHandler& handler) {
  return std::make_unique<ServerLookups>(waiting_max, reactor, stats, handler);
}

}  // namespace watchwheel::checker
