// SPDX-License-Identifier: Apache-2.0
// checker/direct_exchange.h - plain GET and HEAD over HTTP/1.x by our own code, in clear text and through TLS.
//
// Owns     the transfers under way and their sockets, one read buffer for all of them, the lane's TLS contexts.
// Thread   the lane's, for every call.
// Bounded  as exchange.h says; a transfer is some KiB on top of its socket and its TLS session, and none is kept when it has ended.
// Fails    as a cause.
// Cost     half the CPU of libcurl in clear text, and about 0.7 of it through TLS (docs/adr/0010).
//
// What it says of a response is what libcurl says, but for the words: both are held to the table of cases.
#pragma once

#include <memory>

#include "checker/exchange.h"

namespace watchwheel::checker {

// GET or HEAD without a body, over HTTP/1.0 or 1.1, with headers that leave the framing to us.
[[nodiscard]] bool is_direct(const ExchangeRequest& request);

// For requests that are direct.
[[nodiscard]] std::unique_ptr<Exchange> make_direct_exchange(std::size_t transfers_max,
                                                             Reactor& reactor,
                                                             const core::Clock& clock,
                                                             BodyMeans& bodies, bool exact = false);

}  // namespace watchwheel::checker
