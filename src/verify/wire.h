// SPDX-License-Identifier: Apache-2.0
// verify/wire.h - what an engine and a verifier say to each other: POST /v1/verify, JSON both ways. Pure.
//
//   asked     {"deadline_ms": 14000, "checks": [{"id": "1", "url": "https://…", "options": {"timeout": "10s", …}}]}
//   answered  {"vantage": {"name": "fra", "region": "eu"}, "results": [{"id": "1", …as `watchwheel check --json`…}]}
//
// `id` is the engine's own, given back as it was. Options are the site columns by name, as texts, and only those that differ
// from the built-in defaults. What belongs to the place where a check is made is never sent, and refused where it is: files, and
// what the address guard lets through (kNotSent). Resolvers are sent where a site has its own: its name means something only there.
// The verifier asks them only if its guard lets it. A reader passes over names that it does not know.
//
// Bounded  a batch: kBatchMost checks; an answer's detail and address: as core::Evidence keeps them.
// Fails    Invalid, saying what is wrong. Never by exception.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/check_options.h"
#include "core/probe.h"
#include "core/result.h"

namespace watchwheel::verify {

inline constexpr std::string_view kPath = "/v1/verify";
inline constexpr std::size_t kBatchMost = 1000;
inline constexpr std::size_t kIdBytesMost = 64;
inline constexpr core::Duration kDeadlineLeast = std::chrono::milliseconds{100};
inline constexpr core::Duration kDeadlineMost = std::chrono::minutes{5};

// Options that a verifier has of its own.
inline constexpr std::array<std::string_view, 9> kNotSent{
    "ca_file",           "client_cert_file",  "client_key_file", "auth_user",
    "auth_password_file", "bearer_token_file", "allow",           "allow_private",
    "priority"};

struct Ask {
  std::string id;
  std::string url;
  core::SiteOptions options;
};

struct Request {
  core::Duration deadline = std::chrono::seconds{30};  // For the answer to all of it.
  std::vector<Ask> checks;
};

// One result, as far as a vote needs it.
struct Answer {
  std::string id;
  core::Cause cause = core::Cause::Cancelled;
  core::Phase phase = core::Phase::Dns;
  std::uint16_t http_status = 0;
  std::string detail{};
  std::string address{};
};

struct Reply {
  std::string name;
  std::string region;
  std::vector<Answer> answers;
};

// What differs from CheckOptions{}, without kNotSent: apply_option makes them the same again. `own_resolvers`: they are the site's
// and not those of this host.
[[nodiscard]] core::SiteOptions options_to_send(const core::CheckOptions& options, bool own_resolvers);

// Why another place cannot make this check as it is meant: it needs a file of this host. "": it can.
[[nodiscard]] std::string_view bound_to_here(const core::CheckOptions& options);
// Whether all of a check can be said in JSON. Bytes that are no UTF-8 would arrive as others, and be looked for in vain.
[[nodiscard]] bool can_be_sent(std::string_view url, const core::CheckOptions& options);

[[nodiscard]] std::string encode(const Request& request);
// As a verifier reads it: at most `batch_max` checks.
[[nodiscard]] core::Result<Request> decode_request(std::string_view body, std::size_t batch_max);

// `results`: JSON objects (app/result_json.h), in the order of `ids`; each gets its id.
[[nodiscard]] std::string encode_reply(std::string_view name, std::string_view region,
                                       const std::vector<std::string>& ids,
                                       const std::vector<std::string>& results);
// As an engine reads it. An answer that is none (an unknown cause, no id) is left out.
[[nodiscard]] core::Result<Reply> decode_reply(std::string_view body);

}  // namespace watchwheel::verify
