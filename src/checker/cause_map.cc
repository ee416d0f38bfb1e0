// SPDX-License-Identifier: Apache-2.0
#include "checker/cause_map.h"

#include <curl/curl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <system_error>

#include "checker/safe_text.h"
#include "core/units.h"

namespace watchwheel::checker {
namespace {

using core::Cause;
using core::Phase;

bool is_reset(int os_errno) {
  return os_errno == ECONNRESET || os_errno == ECONNABORTED || os_errno == EPIPE ||
         os_errno == ENOTCONN;
}

// Network errors that come up after the connection stood: the path or the peer went away.
bool is_path_lost(int os_errno) {
  return os_errno == ETIMEDOUT || os_errno == EHOSTUNREACH || os_errno == ENETUNREACH ||
         os_errno == EHOSTDOWN || os_errno == ENETDOWN;
}

std::string os_text(int os_errno) {
  return std::generic_category().message(os_errno);
}

// What send and recv say of this machine: no memory for the bytes, or its own firewall forbids them.
bool is_local(int os_errno) {
  return os_errno == ENOMEM || os_errno == ENOBUFS || os_errno == EPERM;
}

// What happened to the connection, for a sentence "the connection was …".
std::string lost_how(const TransferEnd& end) {
  if (is_reset(end.os_errno)) return "reset by the server";
  if (is_path_lost(end.os_errno)) return "lost (" + os_text(end.os_errno) + ")";
  return "closed by the server";
}

// Alerts by which a server says: not with this version or these algorithms.
bool is_protocol_alert(int alert) {
  return alert == SSL_AD_PROTOCOL_VERSION || alert == SSL_AD_INSUFFICIENT_SECURITY ||
         alert == SSL_AD_NO_APPLICATION_PROTOCOL || alert == SSL_AD_INAPPROPRIATE_FALLBACK;
}

bool is_protocol_reason(int reason) {
  switch (reason) {
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_UNKNOWN_PROTOCOL:
    case SSL_R_UNSUPPORTED_SSL_VERSION:
    case SSL_R_WRONG_SSL_VERSION:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_VERSION_TOO_HIGH:
    case SSL_R_NO_PROTOCOLS_AVAILABLE:
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_WRONG_CIPHER_RETURNED:
    case SSL_R_UNKNOWN_CIPHER_RETURNED:
    case SSL_R_BAD_RECORD_TYPE:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
    case SSL_R_TLSV1_ALERT_INSUFFICIENT_SECURITY:
      return true;
    default:
      return false;
  }
}

// The code in "error:0A00010B:SSL routines::…", 0 when there is none.
unsigned long openssl_error_in(std::string_view error_text) {
  constexpr std::string_view kMark = "error:";
  const std::size_t at = error_text.find(kMark);
  if (at == std::string_view::npos) return 0;
  const std::string_view digits = error_text.substr(at + kMark.size(), 8);
  unsigned long code = 0;
  const auto [end, problem] =
      std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
  return problem == std::errc{} && end == digits.data() + digits.size() ? code : 0;
}

// "error:0A00018A:SSL routines::dh key too small, errno 0" -> "dh key too small".
std::string_view words_in(std::string_view error_text) {
  const std::size_t at = error_text.rfind("::");
  if (at == std::string_view::npos) return error_text;
  const std::string_view words = error_text.substr(at + 2);
  return words.substr(0, words.find(','));
}

std::string reason_text(int reason, std::string_view error_text) {
  if (reason == SSL_R_WRONG_VERSION_NUMBER) {
    return "the answer is not TLS: does this port speak plain HTTP?";
  }
  if (reason == SSL_R_UNSUPPORTED_PROTOCOL) {
    return "the server chose a TLS version below the least we accept";
  }
  return "TLS: " + printable(words_in(error_text), 200);
}

// Servers rarely say that it is for the want of a certificate; that they had asked for one does.
std::string client_text(const TransferEnd& end) {
  switch (end.client) {
    case ClientAsked::No:
      break;
    case ClientAsked::Unanswered:
      return "; it had asked for a client certificate, and none is set (client_cert_file)";
    case ClientAsked::Withheld:
      return "; it had asked for a client certificate, which is shown to the check's own site only";
    case ClientAsked::Answered:
      return "; it had asked for a client certificate and got the one of client_cert_file";
  }
  return "";
}

Verdict judge_tls(const TransferEnd& end) {
  if (end.certificate.cause != Cause::Ok)
    return {end.certificate.cause, Phase::Tls, end.certificate.detail};
  if (end.alert > 0) {
    const Cause cause = is_protocol_alert(end.alert) ? Cause::TlsProtocol : Cause::TlsHandshake;
    return {cause, Phase::Tls,
            "the server refused the handshake with the alert " + alert_name(end.alert) +
                client_text(end)};
  }
  const int reason = ssl_reason_in(end.error_text);
  if (reason != 0 && reason != SSL_R_UNEXPECTED_EOF_WHILE_READING) {
    return {is_protocol_reason(reason) ? Cause::TlsProtocol : Cause::TlsHandshake, Phase::Tls,
            reason_text(reason, end.error_text)};
  }
  // Of the libraries below TLS; what the system said is in os_errno.
  const unsigned long below = reason == 0 ? openssl_error_in(end.error_text) : 0;
  if (below != 0 && !ERR_SYSTEM_ERROR(below)) {
    return {Cause::TlsHandshake, Phase::Tls, reason_text(0, end.error_text)};
  }
  return {Cause::TlsHandshake, Phase::Tls,
          "the connection was " + lost_how(end) + " during the TLS handshake" + client_text(end)};
}

Verdict judge_connected(const TransferEnd& end) {
  if (is_path_lost(end.os_errno)) {
    return {Cause::ConnectUnreachable, Phase::Connect,
            "the connection was lost at once: " + os_text(end.os_errno)};
  }
  return {Cause::ConnectReset, Phase::Connect,
          "the server reset the connection before anything was sent"};
}

std::string received_text(const TransferEnd& end) {
  if (end.body_expected >= 0) {
    return std::to_string(end.body_bytes) + " of " + std::to_string(end.body_expected) + " bytes";
  }
  return std::to_string(end.body_bytes) + " bytes";
}

// "HTTP/2 stream 1 was not closed cleanly: INTERNAL_ERROR (err 2)" -> 2.
std::optional<unsigned> stream_error_in(std::string_view error_text) {
  constexpr std::string_view kMark = "(err ";
  const std::size_t at = error_text.rfind(kMark);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view digits = error_text.substr(at + kMark.size());
  unsigned error = 0;
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), error);
  if (problem != std::errc{} || end == digits.data()) return std::nullopt;
  return error;
}

// A stream that ended by an error. What our side finds wrong it calls PROTOCOL_ERROR and the like; a server that gives up says
// CANCEL, INTERNAL_ERROR …. Nothing tells who said it, and a server that blames us broke off as well: the kind decides.
bool is_violation(unsigned stream_error) {
  return stream_error == 1 || stream_error == 3 || stream_error == 6 || stream_error == 9;
}

std::string stream_text(const TransferEnd& end) {
  const std::size_t at = end.error_text.rfind(": ");
  const std::string_view name =
      at == std::string_view::npos ? end.error_text : end.error_text.substr(at + 2);
  return printable(name.substr(0, name.find(" (err")), 100);
}

// Failures that only HTTP/2 has; nothing when it is one of any HTTP.
std::optional<Verdict> judge_http2(const TransferEnd& end) {
  const bool in_body = end.stage == Stage::Body;
  if (end.asks_again) {
    return Verdict{Cause::HttpClosed, Phase::FirstByte,
                   "the server refused the HTTP/2 stream and wants to be asked again"};
  }
  if (end.curl_code == CURLE_HTTP2_STREAM) {
    const bool violation = is_violation(stream_error_in(end.error_text).value_or(1));
    const bool is_short =
        end.body_expected >= 0 && end.body_bytes < static_cast<std::uint64_t>(end.body_expected);
    if (in_body) {
      return Verdict{violation && !is_short ? Cause::BodyMalformed : Cause::BodyTruncated,
                     Phase::Body,
                     "the HTTP/2 stream was broken off (" + stream_text(end) + ") after " +
                         received_text(end)};
    }
    return Verdict{violation ? Cause::HttpMalformed : Cause::HttpClosed, Phase::FirstByte,
                   "the HTTP/2 stream was broken off (" + stream_text(end) + ") without an answer"};
  }
  // A GOAWAY that leaves our request out; framing that nghttp2 cannot go on from leaves libcurl with an "empty reply".
  if (end.curl_code == CURLE_HTTP2 && !in_body) {
    return Verdict{Cause::HttpClosed, Phase::FirstByte,
                   "the server ended the HTTP/2 connection without an answer"};
  }
  if (end.curl_code == CURLE_GOT_NOTHING && !in_body)
    return Verdict{Cause::HttpMalformed, Phase::FirstByte, "what the server sends is not HTTP/2"};
  if ((end.curl_code == CURLE_HTTP2 || end.curl_code == CURLE_GOT_NOTHING) && in_body) {
    return Verdict{Cause::BodyTruncated, Phase::Body,
                   "the HTTP/2 connection was broken off after " + received_text(end)};
  }
  return std::nullopt;
}

std::string malformed_text(const TransferEnd& end) {
  if (end.curl_code == CURLE_UNSUPPORTED_PROTOCOL) return "the answer is not HTTP";
  if (end.curl_code == CURLE_OUT_OF_MEMORY) return "a line of the response header is too long";
  return "the response header is not HTTP: " + printable(end.error_text, 200);
}

Verdict judge_head(const TransferEnd& end) {
  const Phase phase = phase_of(end.stage);
  switch (end.curl_code) {
    case CURLE_OK:
    case CURLE_GOT_NOTHING:
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR: {
      const int reason = end.tls ? ssl_reason_in(end.error_text) : 0;
      if (end.tls &&
          end.alert > 0) {  // TLS 1.3 tells a missing client certificate only after the handshake.
        return {Cause::TlsHandshake, Phase::Tls,
                "the server ended the session with the alert " + alert_name(end.alert) +
                    client_text(end)};
      }
      std::string how =
          reason != 0 ? "broken (" + reason_text(reason, end.error_text) + ")" : lost_how(end);
      if (end.stage == Stage::Request)
        return {Cause::HttpClosed, phase,
                "the connection was " + how + " while the request was sent"};
      if (end.head_bytes > 0)
        return {Cause::HttpClosed, phase,
                "the connection was " + how + " in the middle of the response header"};
      return {Cause::HttpClosed, phase,
              "the connection was " + how + " without an answer" + client_text(end)};
    }
    default:
      return {Cause::HttpMalformed, phase, malformed_text(end)};
  }
}

Verdict judge_body(const TransferEnd& end) {
  switch (end.curl_code) {
    case CURLE_OK:
      return {};
    case CURLE_BAD_CONTENT_ENCODING:
      return {Cause::BodyMalformed, Phase::Body,
              "the compressed body cannot be decoded: " + printable(end.error_text, 200)};
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
      // The same code stands for a broken chunk and a broken connection. Only the latter is an error of a system call or of TLS.
      if (end.os_errno == 0 && end.error_text.find("chunk") != std::string_view::npos) {
        return {Cause::BodyMalformed, Phase::Body,
                "the chunked body is broken: " + printable(end.error_text, 200)};
      }
      if (const int reason = end.tls ? ssl_reason_in(end.error_text) : 0;
          reason != 0 && end.os_errno == 0) {
        return {Cause::BodyTruncated, Phase::Body,
                reason_text(reason, end.error_text) + ", after " + received_text(end)};
      }
      return {Cause::BodyTruncated, Phase::Body,
              "the connection was " + lost_how(end) + " after " + received_text(end)};
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
      return {Cause::BodyTruncated, Phase::Body,
              "the body ended early, after " + received_text(end)};
    default:
      return {Cause::BodyMalformed, Phase::Body,
              "the body cannot be read: " + printable(end.error_text, 200)};
  }
}

// Codes that speak of us whatever the stage.
bool is_ours(int curl_code) {
  switch (curl_code) {
    case CURLE_FAILED_INIT:
    case CURLE_NOT_BUILT_IN:
    case CURLE_INTERFACE_FAILED:
    case CURLE_UNKNOWN_OPTION:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_ABORTED_BY_CALLBACK:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
      return true;
    default:
      return false;
  }
}

}  // namespace

Phase phase_of(Stage stage) {
  switch (stage) {
    case Stage::Connected:
      return Phase::Connect;
    case Stage::Tls:
      return Phase::Tls;
    case Stage::Request:
      return Phase::Request;
    case Stage::Head:
      return Phase::FirstByte;
    case Stage::Body:
      return Phase::Body;
  }
  return Phase::Connect;
}

Verdict judge_end(const TransferEnd& end) {
  // libcurl keeps headers and trailers for its own interface; a line that it cannot split is a "bad argument", one that is too
  // long is "out of memory".
  const bool in_answer = end.stage == Stage::Head || end.stage == Stage::Body;
  if (is_ours(end.curl_code) || (end.curl_code == CURLE_BAD_FUNCTION_ARGUMENT && !in_answer) ||
      (end.curl_code == CURLE_OUT_OF_MEMORY && end.stage != Stage::Head)) {
    return {Cause::LocalResources, phase_of(end.stage),
            "our own trouble: " + printable(end.error_text, 200)};
  }
  if (is_local(end.os_errno)) {
    return {Cause::LocalResources, phase_of(end.stage),
            "our own trouble: " + os_text(end.os_errno)};
  }
  if (ERR_GET_REASON(openssl_error_in(end.error_text)) == ERR_R_MALLOC_FAILURE)
    return {Cause::LocalResources, phase_of(end.stage), "no memory for TLS"};
  if (end.curl_code == CURLE_URL_MALFORMAT) {
    return {Cause::TargetInvalid, Phase::Request,
            "the URL cannot be asked: " + printable(end.error_text, 200)};
  }
  if (end.http2 && end.stage >= Stage::Request) {
    if (auto verdict = judge_http2(end)) return *std::move(verdict);
  }
  switch (end.stage) {
    case Stage::Connected:
      return judge_connected(end);
    case Stage::Tls:
      return judge_tls(end);
    case Stage::Request:
    case Stage::Head:
      return judge_head(end);
    case Stage::Body:
      return judge_body(end);
  }
  return judge_body(end);
}

bool is_refused_stream(const TransferEnd& end) {
  if (!end.http2 || end.stage == Stage::Body || end.head_bytes > 0) return false;
  if (end.asks_again) return true;
  const std::optional<unsigned> error = stream_error_in(end.error_text);
  return end.curl_code == CURLE_HTTP2_STREAM && (error == 0x7U || error == 0xdU);
}

Verdict judge_timeout(const TransferEnd& end, core::Duration allowed) {
  const std::string within = " within " + core::humanize(allowed);
  switch (end.stage) {
    case Stage::Connected:
    case Stage::Request:
      return {Cause::HttpTimeout, Phase::Request, "the request could not be sent" + within};
    case Stage::Tls:
      return {Cause::TlsTimeout, Phase::Tls, "the TLS handshake was not complete" + within};
    case Stage::Head:
      return {Cause::HttpTimeout, Phase::FirstByte,
              end.head_bytes > 0 ? "the response header was not complete" + within + ": " +
                                       std::to_string(end.head_bytes) + " bytes came"
              : end.answer_begun ? "the response header was not complete" + within +
                                       ": not even its first line came"
                                 : "no answer" + within};
    case Stage::Body:
      return {Cause::BodyTimeout, Phase::Body,
              "the body was not complete" + within + ": " + received_text(end) + " came"};
  }
  return {Cause::HttpTimeout, Phase::Request, "the request could not be sent" + within};
}

int ssl_reason_in(std::string_view error_text) {
  const unsigned long code = openssl_error_in(error_text);
  return ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
}

std::string alert_name(int alert) {
  struct Name {
    int number;
    std::string_view name;
  };
  // RFC 8446 section 6 and its elders.
  static constexpr std::array<Name, 30> kNames{{
      {0, "close_notify"},
      {10, "unexpected_message"},
      {20, "bad_record_mac"},
      {21, "decryption_failed"},
      {22, "record_overflow"},
      {30, "decompression_failure"},
      {40, "handshake_failure"},
      {41, "no_certificate"},
      {42, "bad_certificate"},
      {43, "unsupported_certificate"},
      {44, "certificate_revoked"},
      {45, "certificate_expired"},
      {46, "certificate_unknown"},
      {47, "illegal_parameter"},
      {48, "unknown_ca"},
      {49, "access_denied"},
      {50, "decode_error"},
      {51, "decrypt_error"},
      {70, "protocol_version"},
      {71, "insufficient_security"},
      {80, "internal_error"},
      {86, "inappropriate_fallback"},
      {90, "user_canceled"},
      {100, "no_renegotiation"},
      {109, "missing_extension"},
      {110, "unsupported_extension"},
      {112, "unrecognized_name"},
      {113, "bad_certificate_status_response"},
      {116, "certificate_required"},
      {120, "no_application_protocol"},
  }};
  for (const Name& entry : kNames) {
    if (entry.number == alert) return std::string(entry.name) + " (" + std::to_string(alert) + ")";
  }
  return "number " + std::to_string(alert);
}

}  // namespace watchwheel::checker
