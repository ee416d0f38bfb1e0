// SPDX-License-Identifier: Apache-2.0
#include "checker/exchange_router.h"

#include <algorithm>

#include "checker/direct_exchange.h"

namespace watchwheel::checker {
namespace {

using core::SteadyTime;

// In the ids that are given out: whose it is.
constexpr ExchangeId kDirect = ExchangeId{1} << 63U;

class ExchangeRouter final : public Exchange {
 public:
  ExchangeRouter(std::size_t transfers_max, Reactor& reactor, const core::Clock& clock,
                 BodyMeans& bodies, Stats& stats, bool exact)
      : stats_(stats),
        direct_(make_direct_exchange(transfers_max, reactor, clock, bodies, exact)),
        curl_(Exchange::make(transfers_max, reactor, clock, bodies, exact)) {}

  ExchangeId begin(const ExchangeRequest& request, ExchangeHandler& handler, std::uint64_t tag,
                   SteadyTime now) override {
    if (request.plan->exchange == ExchangeChoice::Auto && is_direct(request)) {
      stats_.exchange(ExchangedBy::Direct).add();
      return direct_->begin(request, handler, tag, now) | kDirect;
    }
    stats_.exchange(ExchangedBy::Curl).add();
    return curl_->begin(request, handler, tag, now);
  }
  bool came(ExchangeId exchange) override { return of(exchange).came(exchange & ~kDirect); }
  ExchangeResult expire(ExchangeId exchange, core::Duration allowed, SteadyTime now) override {
    return of(exchange).expire(exchange & ~kDirect, allowed, now);
  }
  void cancel(ExchangeId exchange, SteadyTime now) override {
    of(exchange).cancel(exchange & ~kDirect, now);
  }
  void turn(SteadyTime now) override {
    direct_->turn(now);
    curl_->turn(now);
  }
  [[nodiscard]] std::optional<SteadyTime> next_deadline() const override {
    const auto direct = direct_->next_deadline();
    const auto curl = curl_->next_deadline();
    return direct && curl ? std::min(*direct, *curl) : direct ? direct : curl;
  }

 private:
  [[nodiscard]] Exchange& of(ExchangeId exchange) {
    return (exchange & kDirect) != 0 ? *direct_ : *curl_;
  }

  Stats& stats_;
  std::unique_ptr<Exchange> direct_;
  std::unique_ptr<Exchange> curl_;
};

}  // namespace

std::unique_ptr<Exchange> make_exchange_router(std::size_t transfers_max, Reactor& reactor,
                                               const core::Clock& clock, BodyMeans& bodies,
                                               Stats& stats, bool exact) {
  return std::make_unique<ExchangeRouter>(transfers_max, reactor, clock, bodies, stats, exact);
}

}  // namespace watchwheel::checker
