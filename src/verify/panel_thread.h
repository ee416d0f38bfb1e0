// SPDX-License-Identifier: Apache-2.0
// verify/panel_thread.h - asks the verifiers over HTTPS, on a thread of its own ("verify"), for every shard.
//
// Owns     the thread, its libcurl multi handle and connections, the panel.
// Thread   make(), port(), start(), stop(): the engine's, in this order. A port: its shard's. The readings, set_canaries(): any; a mutex held to copy.
// Blocks   only in its wait, at most 250 ms. A verifier that hangs holds a handle, never the thread.
// Bounded  as the panel (panel.h); an answer is read up to kAnswerBytesMost.
// Fails    make(): a token, a certificate or an authority cannot be read. Later nothing: what fails is an answer that is no vote.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/pinned.h"
#include "core/result.h"
#include "sideeffects/verifier_panel_api.h"
#include "verify/panel.h"

namespace watchwheel::verify {

inline constexpr std::size_t kAnswerBytesMost = 8 * 1024 * 1024;

struct VerifierSettings {
  std::string name;
  std::string region;
  std::string url;          // "https://host:port"; kPath is added where it has no path.
  std::string token;        // "": none is sent.
  std::string ca_file;      // "": the system's.
  std::string client_cert;  // Files; "": none.
  std::string client_key;
};

class PanelThread : core::Pinned {
 public:
  // `say`: hears of every change of a verifier's standing, on the panel thread.
  PanelThread(std::vector<VerifierSettings> verifiers, const PanelLimits& limits,
              std::string user_agent, Panel::Say say, const core::Clock& clock);
  ~PanelThread();  // As stop().

  // One for each shard; it lives as long as this. `wake`: something is there to be taken; called on the panel thread.
  [[nodiscard]] sideeffects::VerifierPanel& port(std::function<void()> wake);

  [[nodiscard]] core::Result<void> start();
  // What is under way is given up.
  void stop();

  // With what verifiers are examined from now on. Any thread.
  void set_canaries(std::vector<std::string> urls);
  // Whether all canaries are up as this host sees them; else they prove nothing. Before start(); called on the panel thread.
  void set_well_here(std::function<bool()> well_here);

  [[nodiscard]] std::size_t seats() const;
  [[nodiscard]] const VerifierStats& stats(std::size_t seat) const;
  [[nodiscard]] std::vector<VerifierReading> readings() const;
  // Questions that wait for answers, and how many may.
  [[nodiscard]] std::size_t depth() const;
  [[nodiscard]] std::size_t capacity() const;
  [[nodiscard]] std::uint64_t refused() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace watchwheel::verify
