// SPDX-License-Identifier: Apache-2.0
// checker/cause_map.h - what the end of a transfer means: libcurl's code, what TLS said and how far it came -> cause, phase, detail.
//
// Pure; any thread. libcurl uses one code for several causes and several codes for one: the stage reached and the evidence beside
// the code decide, never the text alone.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "checker/tls_client.h"
#include "checker/tls_verdict.h"
#include "core/probe.h"

namespace watchwheel::checker {

// How far an exchange came on its connection.
enum class Stage : std::uint8_t {
  Connected,  // Nothing has been sent.
  Tls,        // The handshake has begun and not ended.
  Request,    // The request is not yet sent as a whole.
  Head,       // Waiting for, or in, the response header.
  Body,       // The header is complete.
};
[[nodiscard]] core::Phase phase_of(Stage stage);

struct TransferEnd {
  int curl_code = 0;              // CURLcode.
  int os_errno = 0;               // Of the call that failed, 0 when none did.
  std::string_view error_text{};  // libcurl's own words.
  Stage stage = Stage::Connected;
  bool tls = false;
  bool http2 = false;
  // libcurl wanted to ask again on another connection: the server refused the stream, or wants HTTP/1.1.
  bool asks_again = false;
  int alert = -1;  // The TLS alert the server sent, or -1.
  ClientAsked client = ClientAsked::No;
  CertProblem certificate{};        // Cause::Ok when the chain is good or was not seen.
  bool answer_begun = false;        // When it timed out: something came, be it less than a line.
  std::uint64_t head_bytes = 0;     // Of whole lines of response header received.
  std::uint64_t body_bytes = 0;     // Of the body received, before decompression.
  std::int64_t body_expected = -1;  // By Content-Length; -1 unknown.
};

struct Verdict {
  core::Cause cause = core::Cause::Ok;
  core::Phase phase = core::Phase::Done;
  std::string detail;
};

// The meaning of a transfer that ended by itself. Cause::Ok only when the response is complete.
[[nodiscard]] Verdict judge_end(const TransferEnd& end);
// The meaning of a transfer that we ended because its time was up, `allowed` after the check began.
[[nodiscard]] Verdict judge_timeout(const TransferEnd& end, core::Duration allowed);

// The server did nothing with our HTTP/2 stream and says so (REFUSED_STREAM, HTTP_1_1_REQUIRED): it may be asked again.
[[nodiscard]] bool is_refused_stream(const TransferEnd& end);

// The reason code in "error:0A00010B:SSL routines::…", 0 when there is none.
[[nodiscard]] int ssl_reason_in(std::string_view error_text);
// "handshake_failure (40)".
[[nodiscard]] std::string alert_name(int alert);

}  // namespace watchwheel::checker
