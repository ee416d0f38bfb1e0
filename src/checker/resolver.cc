// SPDX-License-Identifier: Apache-2.0
//
// A *request* is one asker; it needs one or two lookups (A, AAAA), which all who ask the same share. The *cache* keeps what
// lookups found.
//
// A request for both families waits for both, but only 50 ms (RFC 8305) for the second once the first has addresses; the late
// one still goes into the cache. All answers to askers leave through a timer that is due at once: nothing is called from within
// resolve(), and no asker runs in the middle of a table being changed.
#include "checker/resolver.h"

#include <algorithm>
#include <array>
#include <deque>
#include <optional>
#include <unordered_map>
#include <utility>

#include "checker/resolver_absence.h"
#include "checker/resolver_cache.h"
#include "checker/resolver_lookups.h"
#include "checker/resolver_servers.h"
#include "core/ensure.h"

namespace watchwheel::checker {
namespace {

using core::Cause;

constexpr core::Duration kSecondFamilyGrace = std::chrono::milliseconds{50};

// How long IPv4 addresses are waited for before IPv6 ones, of which there were none, are asked for too.
constexpr core::Duration kAloneMost = std::chrono::milliseconds{200};

constexpr std::array<bool, 2> kFamilies{true, false};  // v6?

bool wants(core::IpFamily family, bool v6) {
  return family == core::IpFamily::Any || (family == core::IpFamily::V6) == v6;
}

const DnsFact& worse(const DnsFact& a, const DnsFact& b) {
  // Broken servers say NXDOMAIN for AAAA of a name that exists: when the other half knows the name, it exists.
  if (a.cause == Cause::DnsNxdomain && b.cause == Cause::DnsNoAddress) return b;
  if (b.cause == Cause::DnsNxdomain && a.cause == Cause::DnsNoAddress) return a;
  return weight_of(a.cause) >= weight_of(b.cause) ? a : b;
}

struct Request {
  LookupKey key;  // `v6` unused.
  core::IpFamily family = core::IpFamily::Any;
  ResolveHandler* handler = nullptr;
  std::uint64_t tag = 0;
  std::array<std::optional<DnsFact>, 2> facts;  // [v6].
  TimerId grace = 0;  // Of the second family; or, while `alone`, until that is asked for.
  bool alone = false;  // Only IPv4 was asked for: there were no IPv6 addresses lately.
  bool ready = false;
};

class CachingResolver final : public Resolver, private LookupHandler, private TimerHandler {
 public:
  void give_back_memory() override {
    cache_.shrink();
    absences_.clear();
    stats_.dns_cache_entries.set(static_cast<double>(cache_.size()));
  }
  CachingResolver(Limits limits, Reactor& reactor, Stats& stats)
      : reactor_(reactor),
        stats_(stats),
        cache_(limits.cache_entries_max),
        absences_(limits.absences_max),
        keep_max_(limits.keep_max),
        lookups_(Lookups::make(limits.waiting_max, reactor, stats, *this)) {}

  ~CachingResolver() override {
    for (auto& [id, request] : requests_) reactor_.disarm(request.grace);
    reactor_.disarm(flush_);
  }

  core::Result<ServerSetId> server_set(std::span<const Endpoint> servers) override {
    if (servers.empty()) return ServerSetId{0};
    return lookups_->server_set(servers);
  }

  bool resolve(std::string_view host, core::IpFamily family, ServerSetId servers,
               core::SteadyTime now, ResolveHandler& handler, std::uint64_t tag,
               Resolution& now_known) override {
    ENSURE(lookups_->is_set(servers), "a set of servers that was never made");
    if (host == "localhost" || host.ends_with(".localhost")) {
      now_known = loopback(family);
      return true;
    }
    if (host == "onion" || host.ends_with(".onion")) {
      now_known = {};
      now_known.cause = Cause::DnsNxdomain;
      now_known.detail = "names under .onion are not in the DNS (RFC 7686)";
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
    bool alone = false;
    if (!complete && may_leave_out_v6(family, known) &&
        absences_.holds({servers, true, host}, now)) {
      complete = known[false] != nullptr;
      alone = !complete;
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
    if (lookups_->full()) {
      now_known = {};
      now_known.cause = Cause::LocalOverload;
      now_known.detail = "too many names wait to be resolved";
      return true;
    }
    const std::uint64_t id = ++last_id_;
    Request& placed = requests_.emplace(id, std::move(request)).first->second;
    placed.alone = alone;
    for (const bool v6 : kFamilies) {
      if (!wants(family, v6) || placed.facts[v6] || (v6 && alone)) continue;
      look_up(id, placed, v6, now);
    }
    if (has_addresses(placed) && !placed.ready) start_grace(id, placed, now);
    if (placed.alone && !placed.ready)
      placed.grace = reactor_.arm(now + kAloneMost, *this, tag_of(Wake::Grace, id));
    return false;
  }

  Cause cancel(std::string_view host, core::IpFamily family, ServerSetId servers,
               std::uint64_t tag) override {
    const auto matches = [&](const Request& r) {
      return r.tag == tag && r.family == family && r.key.set == servers && r.key.host == host;
    };
    for (const bool v6 : kFamilies) {
      const auto waiting = waiters_.find({servers, v6, std::string(host)});
      if (waiting == waiters_.end()) continue;
      for (const std::uint64_t id : waiting->second) {
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
  // ---- timers: the kind in the low bit of the tag, the request above.

  enum class Wake : std::uint64_t { Grace, Flush };
  static std::uint64_t tag_of(Wake wake, std::uint64_t id) {
    return id << 1U | static_cast<std::uint64_t>(wake);
  }

  void on_timer(std::uint64_t tag, core::SteadyTime now) noexcept override {
    const std::uint64_t id = tag >> 1U;
    switch (static_cast<Wake>(tag & 1U)) {
      case Wake::Grace: {
        const auto found = requests_.find(id);
        if (found == requests_.end()) break;
        found->second.grace = 0;
        if (found->second.alone) {
          ask_v6_too(id, found->second, now);
        } else {
          make_ready(id, found->second, now);
        }
        break;
      }
      case Wake::Flush:
        flush_ = 0;
        flush(now);
        break;
    }
  }

  void on_looked_up(const LookupKey& key, DnsFact&& fact, std::uint32_t ttl_s,
                    core::SteadyTime now) noexcept override {
    if (const auto waiting = waiters_.extract(key); !waiting.empty()) {
      for (const std::uint64_t id : waiting.mapped()) take_fact(id, key.v6, fact, now);
    }
    if (key.v6 && fact.cause == Cause::DnsNoAddress) {
      absences_.remember(key.view(), std::min<core::Duration>(std::chrono::seconds{ttl_s}, keep_max_),
                         now);
    } else if (key.v6 && fact.cause == Cause::Ok) {
      absences_.forget(key.view(), now);
    }
    const core::Duration keep = std::min(lifetime(fact.cause, ttl_s), keep_max_);
    cache_.store(key.view(), std::move(fact), keep, now);
    stats_.dns_cache_entries.set(static_cast<double>(cache_.size()));
  }

  // ---- requests

  void take_fact(std::uint64_t id, bool v6, const DnsFact& fact, core::SteadyTime now) {
    Request& request = requests_.at(id);
    request.facts[v6] = fact;
    if (request.alone) {
      if (fact.cause == Cause::Ok) {
        make_ready(id, request, now);
      } else {
        ask_v6_too(id, request, now);
      }
      return;
    }
    const bool other_missing = wants(request.family, !v6) && !request.facts[!v6];
    if (!other_missing) {
      make_ready(id, request, now);
    } else if (fact.cause == Cause::Ok) {
      start_grace(id, request, now);
    }
  }

  // With IPv4 addresses, or none of them known yet, and nothing known of IPv6.
  static bool may_leave_out_v6(core::IpFamily family, const std::array<const DnsFact*, 2>& known) {
    const bool hopeful = known[false] == nullptr || known[false]->cause == Cause::Ok;
    return family == core::IpFamily::Any && known[true] == nullptr && hopeful;
  }

  void look_up(std::uint64_t id, const Request& request, bool v6, core::SteadyTime now) {
    const LookupKey key{request.key.set, v6, request.key.host};
    waiters_[key].push_back(id);
    lookups_->start(key, now);
  }

  // IPv4 addresses do not come as they should: so it is as if both had been asked for.
  void ask_v6_too(std::uint64_t id, Request& request, core::SteadyTime now) {
    request.alone = false;
    reactor_.disarm(request.grace);
    request.grace = 0;
    if (lookups_->full()) {
      take_fact(id, true, {Cause::LocalOverload, {}, "too many names wait to be resolved"}, now);
    } else {
      look_up(id, request, true, now);
    }
  }

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

  void refresh_ahead(const LookupKey& key, core::SteadyTime now) {
    if (!lookups_->full()) lookups_->start(key, now);
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
    leave_waiters(id, request);
    request.ready = true;
    ready_.push_back(id);
    if (flush_ == 0) flush_ = reactor_.arm(now, *this, tag_of(Wake::Flush, 0));
  }

  void leave_waiters(std::uint64_t id, const Request& request) {
    for (const bool v6 : kFamilies) {
      // What has been answered waits no more, and who was not asked never did.
      if (request.facts[v6] || (v6 && request.alone)) continue;
      const auto waiting = waiters_.find({request.key.set, v6, request.key.host});
      if (waiting == waiters_.end()) continue;
      std::erase(waiting->second, id);
      if (waiting->second.empty()) waiters_.erase(waiting);
    }
  }

  void drop_request(std::uint64_t id) {
    const auto found = requests_.find(id);
    reactor_.disarm(found->second.grace);
    leave_waiters(id, found->second);
    requests_.erase(found);
  }

  // What the time being up means for a request that still waits.
  [[nodiscard]] Cause cause_of_silence(const Request& request) const {
    Cause worst = Cause::DnsTimeout;
    for (const auto& fact : request.facts) {
      if (!fact) continue;
      if (fact->cause == Cause::Ok) return Cause::LocalOverload;
      if (core::outcome_of(fact->cause) == core::Outcome::NotMeasured) return fact->cause;
    }
    for (const bool v6 : kFamilies) {
      if (!wants(request.family, v6) || request.facts[v6]) continue;
      const auto cause = lookups_->cause_of_silence({request.key.set, v6, request.key.host});
      if (cause == Cause::LocalOverload) return *cause;
      if (cause == Cause::ResolverUnreachable) worst = *cause;
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

  Reactor& reactor_;
  Stats& stats_;
  ResolverCache cache_;
  AbsenceMemory absences_;  // Of IPv6 addresses.
  const core::Duration keep_max_;
  std::unique_ptr<Lookups> lookups_;
  std::unordered_map<LookupKey, std::vector<std::uint64_t>, LookupKeyHash>
      waiters_;  // To `requests_`; never empty.
  std::unordered_map<std::uint64_t, Request> requests_;
  std::deque<std::uint64_t> ready_;  // Requests to be told.
  std::uint64_t last_id_ = 0;
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
