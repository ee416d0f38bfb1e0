// SPDX-License-Identifier: Apache-2.0
// app/verifiers.h - the other vantages of the configuration: how they are asked, and how they do.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "app/config.h"
#include "app/log.h"
#include "core/clock.h"
#include "core/result.h"
#include "sideeffects/verification.h"
#include "verify/panel_thread.h"

namespace prometheus {
struct MetricFamily;
}

namespace watchwheel::app {

// When a site is down: with a quorum of vantages where there are others, else by our own word. No more than there are: a reload takes
// a new quorum at once, and verifiers only at the next start.
[[nodiscard]] core::ConfirmPolicy confirm_policy(const Config& config);

// Null without [[verifier]]. Invalid: a token or certificate that cannot be read, naming the verifier.
[[nodiscard]] core::Result<std::unique_ptr<verify::PanelThread>> make_panel(const Config& config,
                                                                            const core::Clock& clock,
                                                                            Log& log);

// What may be read while the engine runs.
struct VerifiersReading {
  const verify::PanelThread* panel = nullptr;  // Null: there are none.
  std::vector<const sideeffects::VerificationStats*> shards;
  std::uint32_t quorum = 1;
};

// Of status: quorum, how many sites wait or are disputed, and how each verifier does.
[[nodiscard]] std::string verifiers_json(const VerifiersReading& reading);
// Appends watchwheel_verifier_… and watchwheel_verification_….
void append_verifier_metrics(const VerifiersReading& reading,
                             std::vector<prometheus::MetricFamily>& families);

}  // namespace watchwheel::app
