// SPDX-License-Identifier: Apache-2.0
// checker/exchange_router.h - chooses who speaks HTTP for a check: our own code where it can (direct_exchange.h), else libcurl.
//
// Owns     both exchanges.
// Thread   the lane's.
// Bounded  `transfers_max` at once, over both.
//
// A plan may ask for libcurl always (ExchangeChoice::Curl). Who served is counted: Stats::exchanges.
#pragma once

#include <memory>

#include "checker/exchange.h"
#include "checker/stats.h"

namespace watchwheel::checker {

// `stats` and `bodies` outlive it.
[[nodiscard]] std::unique_ptr<Exchange> make_exchange_router(std::size_t transfers_max,
                                                             Reactor& reactor,
                                                             const core::Clock& clock,
                                                             BodyMeans& bodies, Stats& stats,
                                                             bool exact = false);

}  // namespace watchwheel::checker
