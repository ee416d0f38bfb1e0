// SPDX-License-Identifier: Apache-2.0
#include "checker/cause_map.h"

#include <curl/curl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <cerrno>

namespace watchwheel::checker {
namespace {

using core::Cause;
using core::Phase;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

struct Case {
  const char* what;
  TransferEnd end;
  Cause cause;
  Phase phase;
  const char* detail;
};

// "No answer" is not said when a part of its first line came.
TEST(CauseMap, ATimeoutKnowsWhetherAnythingCame) {
  TransferEnd end;
  end.stage = Stage::Head;
  EXPECT_THAT(judge_timeout(end, 3s).detail, HasSubstr("no answer within 3s"));
  end.answer_begun = true;
  EXPECT_THAT(judge_timeout(end, 3s).detail, HasSubstr("not even its first line came"));
  end.head_bytes = 17;
  EXPECT_THAT(judge_timeout(end, 3s).detail, HasSubstr("within 3s: 17 bytes came"));
}

// HTTP/2 has ends of its own: a stream, or the connection under it, broken off by an error.
TEST(CauseMap, EndsOfHttp2) {
  const auto judge = [](int code, Stage stage, std::string_view text, std::int64_t expected = -1,
                        bool asks_again = false) {
    TransferEnd end;
    end.curl_code = code;
    end.stage = stage;
    end.error_text = text;
    end.tls = end.http2 = true;
    end.asks_again = asks_again;
    end.body_bytes = stage == Stage::Body ? 3 : 0;
    end.body_expected = expected;
    return judge_end(end);
  };
  const auto stream = [](std::string_view name, int number) {
    return "HTTP/2 stream 1 was not closed cleanly: " + std::string(name) + " (err " +
           std::to_string(number) + ")";
  };
  EXPECT_EQ(judge(CURLE_OK, Stage::Body, "").cause, Cause::Ok);
  const Verdict reset = judge(CURLE_HTTP2_STREAM, Stage::Head, stream("INTERNAL_ERROR", 2));
  EXPECT_EQ(reset.cause, Cause::HttpClosed);
  EXPECT_EQ(reset.phase, Phase::FirstByte);
  EXPECT_THAT(reset.detail, HasSubstr("(INTERNAL_ERROR)"));
  for (const int violation : {1, 3, 6, 9}) {
    EXPECT_EQ(judge(CURLE_HTTP2_STREAM, Stage::Head, stream("X", violation)).cause,
              Cause::HttpMalformed);
    EXPECT_EQ(judge(CURLE_HTTP2_STREAM, Stage::Body, stream("X", violation)).cause,
              Cause::BodyMalformed);
    EXPECT_EQ(judge(CURLE_HTTP2_STREAM, Stage::Body, stream("X", violation), 9).cause,
              Cause::BodyTruncated);
  }
  EXPECT_EQ(judge(CURLE_HTTP2_STREAM, Stage::Body, stream("CANCEL", 8)).cause,
            Cause::BodyTruncated);
  EXPECT_EQ(judge(CURLE_HTTP2, Stage::Head, "").cause, Cause::HttpClosed);
  EXPECT_EQ(judge(CURLE_HTTP2, Stage::Body, "").cause, Cause::BodyTruncated);
  EXPECT_EQ(judge(CURLE_GOT_NOTHING, Stage::Head, "").cause, Cause::HttpMalformed);
  EXPECT_EQ(judge(CURLE_GOT_NOTHING, Stage::Body, "").cause, Cause::BodyTruncated);
  EXPECT_EQ(judge(CURLE_PARTIAL_FILE, Stage::Head, "").cause, Cause::HttpClosed);
  EXPECT_EQ(judge(CURLE_PARTIAL_FILE, Stage::Body, "").cause, Cause::BodyTruncated);
  const Verdict refused = judge(CURLE_COULDNT_CONNECT, Stage::Head, "", -1, true);
  EXPECT_EQ(refused.cause, Cause::HttpClosed);
  EXPECT_THAT(refused.detail, HasSubstr("asked again"));
}

TEST(CauseMap, EachEndOfATransferMeansOneThing) {
  const std::vector<Case> cases{
      {"complete",
       {.curl_code = CURLE_OK, .error_text = "", .stage = Stage::Body},
       Cause::Ok,
       Phase::Done,
       ""},
      // The socket was lost between the dialer and the request.
      {"reset before use",
       {.curl_code = CURLE_COULDNT_CONNECT,
        .os_errno = ECONNRESET,
        .error_text = "",
        .stage = Stage::Connected},
       Cause::ConnectReset,
       Phase::Connect,
       "before anything was sent"},
      {"aborted before use",
       {.curl_code = CURLE_COULDNT_CONNECT,
        .os_errno = ECONNABORTED,
        .error_text = "",
        .stage = Stage::Connected},
       Cause::ConnectReset,
       Phase::Connect,
       "reset"},
      {"path lost before use",
       {.curl_code = CURLE_COULDNT_CONNECT,
        .os_errno = EHOSTUNREACH,
        .error_text = "",
        .stage = Stage::Connected},
       Cause::ConnectUnreachable,
       Phase::Connect,
       "lost"},
      // TLS.
      {"certificate",
       {.curl_code = CURLE_PEER_FAILED_VERIFICATION,
        .error_text = "x",
        .stage = Stage::Tls,
        .tls = true,
        .certificate = {Cause::TlsCertExpired, "certificate expired"}},
       Cause::TlsCertExpired,
       Phase::Tls,
       "certificate expired"},
      {"alert",
       {.curl_code = CURLE_SSL_CONNECT_ERROR,
        .error_text = "",
        .stage = Stage::Tls,
        .tls = true,
        .alert = 40},
       Cause::TlsHandshake,
       Phase::Tls,
       "handshake_failure (40)"},
      {"protocol alert",
       {.curl_code = CURLE_SSL_CONNECT_ERROR,
        .error_text = "",
        .stage = Stage::Tls,
        .tls = true,
        .alert = 70},
       Cause::TlsProtocol,
       Phase::Tls,
       "protocol_version (70)"},
      {"weak server alert",
       {.curl_code = CURLE_SSL_CONNECT_ERROR,
        .error_text = "",
        .stage = Stage::Tls,
        .tls = true,
        .alert = 71},
       Cause::TlsProtocol,
       Phase::Tls,
       "insufficient_security (71)"},
      {"not tls",
       {.curl_code = CURLE_SSL_CONNECT_ERROR,
        .error_text = "error:0A00010B:SSL routines::wrong version number",
        .stage = Stage::Tls,
        .tls = true},
       Cause::TlsProtocol,
       Phase::Tls,
       "plain HTTP"},
      {"old version",
       {.curl_code = CURLE_SSL_CONNECT_ERROR,
        .error_text = "error:0A000102:SSL routines::unsupported protocol",
        .stage = Stage::Tls,
        .tls = true},
       Cause::TlsProtocol,
       Phase::Tls,
       "below the least"},
      {"other tls error",
       {.curl_code = CURLE_SSL_CONNECT_ERROR,
        .error_text = "OpenSSL/3: error:0A00018A:SSL routines::dh key too small",
        .stage = Stage::Tls,
        .tls = true},
       Cause::TlsHandshake,
       Phase::Tls,
       "dh key too small"},
      {"closed in handshake",
       {.curl_code = CURLE_SSL_CONNECT_ERROR,
        .error_text = "SSL_ERROR_SYSCALL",
        .stage = Stage::Tls,
        .tls = true},
       Cause::TlsHandshake,
       Phase::Tls,
       "closed by the server during the TLS handshake"},
      {"eof in handshake",
       {.curl_code = CURLE_SSL_CONNECT_ERROR,
        .error_text = "error:0A000126:SSL routines::unexpected eof while reading",
        .stage = Stage::Tls,
        .tls = true},
       Cause::TlsHandshake,
       Phase::Tls,
       "closed by the server"},
      {"reset in handshake",
       {.curl_code = CURLE_SSL_CONNECT_ERROR,
        .os_errno = ECONNRESET,
        .error_text = "",
        .stage = Stage::Tls,
        .tls = true},
       Cause::TlsHandshake,
       Phase::Tls,
       "reset by the server"},
      // Request and header.
      {"send error",
       {.curl_code = CURLE_SEND_ERROR,
        .os_errno = EPIPE,
        .error_text = "",
        .stage = Stage::Request},
       Cause::HttpClosed,
       Phase::Request,
       "while the request was sent"},
      {"nothing came",
       {.curl_code = CURLE_GOT_NOTHING, .error_text = "", .stage = Stage::Head},
       Cause::HttpClosed,
       Phase::FirstByte,
       "closed by the server without an answer"},
      {"reset",
       {.curl_code = CURLE_RECV_ERROR,
        .os_errno = ECONNRESET,
        .error_text = "",
        .stage = Stage::Head},
       Cause::HttpClosed,
       Phase::FirstByte,
       "reset by the server"},
      {"path died",
       {.curl_code = CURLE_RECV_ERROR,
        .os_errno = ETIMEDOUT,
        .error_text = "",
        .stage = Stage::Head},
       Cause::HttpClosed,
       Phase::FirstByte,
       "lost ("},
      {"half a header",
       {.curl_code = CURLE_OK, .error_text = "", .stage = Stage::Head, .head_bytes = 9},
       Cause::HttpClosed,
       Phase::FirstByte,
       "middle of the response header"},
      {"client certificate wanted",
       {.curl_code = CURLE_RECV_ERROR,
        .error_text = "",
        .stage = Stage::Head,
        .tls = true,
        .alert = 116},
       Cause::TlsHandshake,
       Phase::Tls,
       "certificate_required (116)"},
      {"broken record",
       {.curl_code = CURLE_RECV_ERROR,
        .error_text = "error:0A000119:SSL routines::decryption failed or bad record mac",
        .stage = Stage::Head,
        .tls = true},
       Cause::HttpClosed,
       Phase::FirstByte,
       "bad record mac"},
      {"not http",
       {.curl_code = CURLE_UNSUPPORTED_PROTOCOL, .error_text = "", .stage = Stage::Head},
       Cause::HttpMalformed,
       Phase::FirstByte,
       "not HTTP"},
      {"odd header",
       {.curl_code = CURLE_WEIRD_SERVER_REPLY,
        .error_text = "Invalid Content-Length: value",
        .stage = Stage::Head},
       Cause::HttpMalformed,
       Phase::FirstByte,
       "Invalid Content-Length"},
      {"endless line",
       {.curl_code = CURLE_OUT_OF_MEMORY, .error_text = "", .stage = Stage::Head},
       Cause::HttpMalformed,
       Phase::FirstByte,
       "too long"},
      // Body.
      {"short",
       {.curl_code = CURLE_PARTIAL_FILE,
        .error_text = "",
        .stage = Stage::Body,
        .body_bytes = 3,
        .body_expected = 10},
       Cause::BodyTruncated,
       Phase::Body,
       "3 of 10 bytes"},
      {"reset in body",
       {.curl_code = CURLE_RECV_ERROR,
        .os_errno = ECONNRESET,
        .error_text = "",
        .stage = Stage::Body,
        .body_bytes = 3},
       Cause::BodyTruncated,
       Phase::Body,
       "reset by the server after 3 bytes"},
      {"tls breaks in body",
       {.curl_code = CURLE_RECV_ERROR,
        .error_text = "error:0A000119:SSL routines::decryption failed or bad record mac",
        .stage = Stage::Body,
        .tls = true},
       Cause::BodyTruncated,
       Phase::Body,
       "bad record mac"},
      {"bad chunk",
       {.curl_code = CURLE_RECV_ERROR,
        .error_text = "Illegal or missing hexadecimal sequence in chunked-encoding",
        .stage = Stage::Body},
       Cause::BodyMalformed,
       Phase::Body,
       "chunk"},
      {"bad gzip",
       {.curl_code = CURLE_BAD_CONTENT_ENCODING,
        .error_text = "incorrect header check",
        .stage = Stage::Body},
       Cause::BodyMalformed,
       Phase::Body,
       "incorrect header check"},
      {"anything else",
       {.curl_code = CURLE_HTTP2, .error_text = "odd", .stage = Stage::Body},
       Cause::BodyMalformed,
       Phase::Body,
       "odd"},
      // What goes wrong below TLS itself has words of its own.
      {"a broken certificate",
       {.curl_code = CURLE_SSL_CONNECT_ERROR,
        .error_text = "error:0680009B:asn1 encoding routines::too long",
        .stage = Stage::Tls,
        .tls = true},
       Cause::TlsHandshake,
       Phase::Tls,
       "TLS: too long"},
      {"a broken connection in OpenSSL's words",
       {.curl_code = CURLE_SSL_CONNECT_ERROR,
        .os_errno = ECONNRESET,
        .error_text = "error:80000068:system library::Connection reset by peer",
        .stage = Stage::Tls,
        .tls = true},
       Cause::TlsHandshake,
       Phase::Tls,
       "reset by the server during"},
      // Ours.
      {"no memory",
       {.curl_code = CURLE_OUT_OF_MEMORY, .error_text = "Out of memory", .stage = Stage::Request},
       Cause::LocalResources,
       Phase::Request,
       "our own trouble"},
      {"no memory for TLS",
       {.curl_code = CURLE_SSL_CONNECT_ERROR,
        .error_text = "error:0A0C0100:SSL routines::malloc failure",
        .stage = Stage::Tls,
        .tls = true},
       Cause::LocalResources,
       Phase::Tls,
       "no memory"},
      {"no memory for a key",
       {.curl_code = CURLE_SSL_CONNECT_ERROR,
        .error_text = "error:078C0100:common libcrypto routines::malloc failure",
        .stage = Stage::Tls,
        .tls = true},
       Cause::LocalResources,
       Phase::Tls,
       "no memory"},
      {"no memory for the first byte",
       {.curl_code = CURLE_SEND_ERROR,
        .os_errno = ENOBUFS,
        .error_text = "",
        .stage = Stage::Connected},
       Cause::LocalResources,
       Phase::Connect,
       "our own trouble"},
      {"no memory for the request",
       {.curl_code = CURLE_SEND_ERROR,
        .os_errno = ENOMEM,
        .error_text = "",
        .stage = Stage::Request},
       Cause::LocalResources,
       Phase::Request,
       "our own trouble"},
      {"our own firewall",
       {.curl_code = CURLE_SSL_CONNECT_ERROR,
        .os_errno = EPERM,
        .error_text = "",
        .stage = Stage::Tls,
        .tls = true},
       Cause::LocalResources,
       Phase::Tls,
       "our own trouble"},
      {"no memory for what comes",
       {.curl_code = CURLE_RECV_ERROR,
        .os_errno = ENOMEM,
        .error_text = "",
        .stage = Stage::Body,
        .body_bytes = 3},
       Cause::LocalResources,
       Phase::Body,
       "our own trouble"},
      {"no trust store",
       {.curl_code = CURLE_SSL_CACERT_BADFILE,
        .error_text = "no trusted certificates",
        .stage = Stage::Tls,
        .tls = true},
       Cause::LocalResources,
       Phase::Tls,
       "no trusted certificates"},
      {"url",
       {.curl_code = CURLE_URL_MALFORMAT, .error_text = "bad", .stage = Stage::Connected},
       Cause::TargetInvalid,
       Phase::Request,
       "bad"},
  };
  for (const Case& one : cases) {
    const Verdict verdict = judge_end(one.end);
    EXPECT_EQ(core::to_string(verdict.cause), core::to_string(one.cause))
        << one.what << ": " << verdict.detail;
    EXPECT_EQ(core::to_string(verdict.phase), core::to_string(one.phase)) << one.what;
    EXPECT_THAT(verdict.detail, HasSubstr(one.detail)) << one.what;
  }
}

// Whatever code libcurl comes up with, a transfer that did not come to its end is not Ok, and nothing of ours is told of the site.
TEST(CauseMap, NoCodeIsTakenForSuccess) {
  for (int code = 1; code < CURL_LAST; ++code) {
    for (const Stage stage :
         {Stage::Connected, Stage::Tls, Stage::Request, Stage::Head, Stage::Body}) {
      const Verdict verdict =
          judge_end({.curl_code = code, .error_text = "text", .stage = stage, .tls = true});
      EXPECT_NE(verdict.cause, Cause::Ok) << code;
      EXPECT_FALSE(verdict.detail.empty()) << code;
    }
  }
  for (const Stage stage : {Stage::Connected, Stage::Tls, Stage::Request, Stage::Head}) {
    EXPECT_NE(
        judge_end({.curl_code = CURLE_OK, .error_text = "", .stage = stage, .tls = true}).cause,
        Cause::Ok);
  }
}

TEST(CauseMap, TimeoutsAreThoseOfTheStage) {
  const auto at = [](Stage stage, std::uint64_t head_bytes = 0) {
    return judge_timeout({.curl_code = CURLE_OPERATION_TIMEDOUT,
                          .error_text = "",
                          .stage = stage,
                          .head_bytes = head_bytes,
                          .body_bytes = 3,
                          .body_expected = 10},
                         10s);
  };
  EXPECT_EQ(at(Stage::Tls).cause, Cause::TlsTimeout);
  EXPECT_EQ(at(Stage::Tls).phase, Phase::Tls);
  EXPECT_EQ(at(Stage::Connected).cause, Cause::HttpTimeout);
  EXPECT_EQ(at(Stage::Request).phase, Phase::Request);
  EXPECT_EQ(at(Stage::Head).cause, Cause::HttpTimeout);
  EXPECT_EQ(at(Stage::Head).phase, Phase::FirstByte);
  EXPECT_THAT(at(Stage::Head).detail, HasSubstr("no answer within 10s"));
  EXPECT_THAT(at(Stage::Head, 17).detail, HasSubstr("17 bytes"));
  EXPECT_EQ(at(Stage::Body).cause, Cause::BodyTimeout);
  EXPECT_THAT(at(Stage::Body).detail, HasSubstr("3 of 10 bytes"));
}

TEST(CauseMap, ReasonsAreReadFromTheErrorText) {
  EXPECT_EQ(ssl_reason_in("OpenSSL/3.0.22: error:0A00010B:SSL routines::wrong version number"),
            SSL_R_WRONG_VERSION_NUMBER);
  EXPECT_EQ(ssl_reason_in("error:0A00010B"), SSL_R_WRONG_VERSION_NUMBER);
  EXPECT_EQ(ssl_reason_in("error:0A0"), 0);
  EXPECT_EQ(ssl_reason_in("error:zzzzzzzz:"), 0);
  EXPECT_EQ(ssl_reason_in("error:16000069:STORE routines"), 0);
  EXPECT_EQ(ssl_reason_in("Recv failure: Connection reset by peer"), 0);
  EXPECT_EQ(ssl_reason_in(""), 0);
}

TEST(CauseMap, AlertsHaveNames) {
  EXPECT_EQ(alert_name(112), "unrecognized_name (112)");
  EXPECT_EQ(alert_name(250), "number 250");
}

}  // namespace
}  // namespace watchwheel::checker
