// SPDX-License-Identifier: Apache-2.0
// core/probe_trace.h - how a probe went, step by step, for a person who asks about one site.
//
// Values. A fleet's probes carry none: it is kept only where it was asked for (`watchwheel check`).
// Of headers that may hold a secret the value is left out already, where the line is taken. Lines are
// bytes from outside all the same: who shows them makes them fit to be shown.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"

namespace watchwheel::core {

// Where the time went. A phase that was not reached has no value. Over redirects they are those of
// the last hop; `total` is of the whole check.
struct Timings {
  std::optional<Duration> dns, connect, tls, first_byte, transfer;
  Duration total{};
  friend bool operator==(const Timings&, const Timings&) = default;
};

// One address that was connected to, or tried.
struct AddressTry {
  std::string address;
  Duration after{};    // From the start of this hop's dialling until this connect began.
  std::string result;  // "connected", "refused", "no answer", "blocked: private" …
  friend bool operator==(const AddressTry&, const AddressTry&) = default;
};

struct HopTrace {
  std::string url;  // Without credentials; with its query.
  std::uint16_t status = 0;  // 0: none came.
  std::string http_version;  // "HTTP/1.1", "HTTP/2"; "" when no status line came.
  bool dns_cached = false;
  std::vector<std::string> addresses;  // What the name resolved to; at most 32.
  std::vector<AddressTry> tries;       // At most 32, in the order they began.
  Timings timings;                     // Of this hop; `total` too.
  std::vector<std::string> request;    // The request line and headers as they were sent; at most 64 KiB.
  std::vector<std::string> response;   // Status line and headers, interim responses too; at most 64 KiB.
};

struct ProbeTrace {
  std::vector<HopTrace> hops;         // The URL asked for first, then one for each redirect; at most 51.
  std::vector<std::string> findings;  // What was looked for in header and body, and what came of it: one sentence each.
};

}  // namespace watchwheel::core
