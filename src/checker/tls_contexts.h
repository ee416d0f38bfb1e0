// SPDX-License-Identifier: Apache-2.0
// checker/tls_contexts.h - the TLS contexts of a lane's own sessions: one for all checks that ask alike.
//
// Owns     the contexts. A session keeps its context alive by itself.
// Thread   the lane's.
// Bounded  kTlsContextsMax; the one used longest ago goes first. Plans that show the same client certificate share one. Those
//          whose trust store was read anew or whose client certificate's last plan is gone are dropped when the next one is made.
// Fails    Unavailable: no trusted certificates on this machine, or no memory.
// Cost     making one for each connection, as libcurl does, was measured at 12 % of a check.
//
// They offer what libcurl's do, so that a server that looks at the client's hello answers both alike. No session is ever taken up
// again: every handshake shows the certificate.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "checker/handshake.h"
#include "checker/plan.h"

struct ssl_ctx_st;

namespace watchwheel::checker {

inline constexpr std::size_t kTlsContextsMax = 64;

class TlsContexts : core::Pinned {
 public:
  struct Entry;
  TlsContexts();
  ~TlsContexts();

  struct Found {
    ssl_ctx_st* context = nullptr;  // Until the next call, or as long as a session has it.
    Handshake::Common common;
  };
  // For a check by `plan`; with our certificate where it points to (`at_origin`) and the plan has one.
  [[nodiscard]] core::Result<Found> context_for(const ProbePlan& plan, bool at_origin,
                                                core::SteadyTime now, core::WallTime wall);
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  std::vector<std::unique_ptr<Entry>> entries_;  // Used last first.
};

}  // namespace watchwheel::checker
