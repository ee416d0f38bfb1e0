// SPDX-License-Identifier: Apache-2.0
// HTTP/1.x as it is spoken on the wire: where a response ends, how its connection ends, and in which pieces it comes. Each case
// is asked twice, in clear text and over TLS: "http/NAME" and "http/NAME-tls".
#include <openssl/ssl.h>

#include "cases/http_parts.h"

namespace watchwheel::testing {
namespace {

using core::Cause;
using core::Phase;
using std::chrono::milliseconds;

// As the product has them (checker/head_check.h).
constexpr std::size_t kLinesMax = 200;
constexpr std::size_t kBytesMax = 64UL * 1024;

constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\n";
constexpr std::string_view kChunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
constexpr std::string_view kHello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const core::SiteOptions kKeyword{{"keyword", "hello"}};
const core::SiteOptions kHead{{"method", "HEAD"}};

std::string text(std::string_view a, std::string_view b) {
  return std::string(a) + std::string(b);
}

// A good answer whose header has `lines` lines and `bytes` bytes, both with the empty line.
std::string hello_with_head(std::size_t lines, std::size_t bytes) {
  std::string head(kOk);
  head += "Content-Length: 5\r\n";
  for (std::size_t line = 2; line + 2 < lines; ++line) head += "X: y\r\n";
  constexpr std::string_view kLast = "X: \r\n\r\n";
  return head + "X: " + std::string(bytes - head.size() - kLast.size(), 'z') + "\r\n\r\nhello";
}

class WireCases final : public HttpPart {
 public:
  WireCases() {
    for (FaultServer* server : {&server_, &secure_, &elder_}) server->on("/end", ok("hello"));
    add_ends_by_the_header();
    add_ends_by_length();
    add_ends_by_chunks();
    add_ends_by_the_connection();
    add_connections();
    add_beginnings();
    add_pieces();
    add_limits();
  }

 private:
  enum class Over { Clear, Tls, Tls12 };

  CheckCase& over(Over how, std::string_view name, Script script, core::SiteOptions options) {
    FaultServer& server = how == Over::Clear ? server_ : how == Over::Tls ? secure_ : elder_;
    const std::string full = std::string(name) + (how == Over::Clear ? ""
                                                  : how == Over::Tls ? "-tls"
                                                                     : "-tls-1.2");
    if (how != Over::Clear) options.emplace_back("ca_file", root_.ca_file());
    server.on("/" + full, std::move(script));
    return ask(full, server.url("/" + full), std::move(options));
  }
  void fine(std::string_view name, const Script& script,
            const core::SiteOptions& options = kKeyword) {
    for (const Over how : {Over::Clear, Over::Tls}) over(how, name, script, options);
  }
  void fine(std::string_view name, std::string answer,
            const core::SiteOptions& options = kKeyword) {
    fine(name, {send(std::move(answer))}, options);
  }
  void bad(std::string_view name, const Script& script, Cause cause, Phase phase,
           std::string_view detail = "", const core::SiteOptions& options = kKeyword) {
    for (const Over how : {Over::Clear, Over::Tls})
      fails(over(how, name, script, options), cause, phase, detail);
  }
  void malformed(std::string_view name, std::string answer, std::string_view detail = "") {
    bad(name, {send(std::move(answer))}, Cause::HttpMalformed, Phase::FirstByte, detail);
  }
  void truncated(std::string_view name, const Script& script, std::string_view detail = "") {
    bad(name, script, Cause::BodyTruncated, Phase::Body, detail);
  }

  // Whatever the header promises: no body.
  void add_ends_by_the_header() {
    fine("wire-head-chunked", text(kChunked, "5\r\nhello\r\n0\r\n\r\n"), kHead);
    fine("wire-head-short", text(kOk, "Content-Length: 5000\r\n\r\nhello"), kHead);
    fine("wire-head-until-the-end", {send(text(kOk, "\r\nhello")), hold()}, kHead);
    fine("wire-204-chunked",
         {send("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"
               "zz\r\nhello"),
          hold()},
         {});
    fine("wire-204-length-and-silent",
         {send("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"), hold()}, {});
    fine("wire-304-with-body",
         {send("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello"), hold()},
         {{"expect_status", "304"}});
    fine("wire-205-has-a-body", "HTTP/1.1 205 Reset Content\r\nContent-Length: 5\r\n\r\nhello");
    fine("wire-redirect-with-a-broken-body",
         "HTTP/1.1 302 Found\r\nLocation: /end\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
  }

  // The server keeps the connection, or says more: neither matters.
  void add_ends_by_length() {
    fine("wire-length-zero-and-more", {send(text(kOk, "Content-Length: 0\r\n\r\nmore")), hold()},
         {});
    fine("wire-length-and-silent", {send(std::string(kHello)), hold()});
    fine("wire-length-keep-alive",
         {send(text(kOk,
                    "Connection: keep-alive\r\nKeep-Alive: timeout=600\r\nContent-Length: "
                    "5\r\n\r\nhello")),
          hold()});
    fine("wire-length-http-1.0-keep-alive",
         {send("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello"),
          hold()});
    fine("wire-second-response", {send(text(kHello, "HTTP/1.1 500 Oops\r\n\r\n")), hold()});
    fine("wire-garbage-behind", {send(text(kHello, std::string(20'000, '\xff'))), hold()});
    fine("wire-length-then-reset", {send(std::string(kHello)), pause(milliseconds{50}), reset()});
    fine("wire-length-then-cut-off", {send(std::string(kHello)), cut_off()});
    truncated("wire-length-cut-off",
              {send(text(kOk, "Content-Length: 9\r\n\r\nhello")), cut_off()});
  }

  void add_ends_by_chunks() {
    fine("wire-chunks-and-silent", {send(text(kChunked, "5\r\nhello\r\n0\r\n\r\n")), hold()});
    fine("wire-chunks-then-cut-off", {send(text(kChunked, "5\r\nhello\r\n0\r\n\r\n")), cut_off()});
    fine("wire-chunks-second-response",
         {send(text(kChunked, "5\r\nhello\r\n0\r\n\r\nHTTP/1.1 500 Oops\r\n\r\n")), hold()});
    fine("wire-chunks-line-feeds",
         "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n5\nhello\n0\nX: y\n\n");
    fine("wire-chunks-http-1.0",
         "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    fine("wire-chunk-size-in-capitals", text(kChunked, "000A\r\nwell hello\r\n0\r\n\r\n"));
    fine("wire-chunk-size-and-space", text(kChunked, "5 \t\r\nhello\r\n0 \r\n\r\n"));
    fine("wire-chunk-extension-quoted", text(kChunked, "5;a=\"\r;\"\r\nhello\r\n0\r\n\r\n"));
    fine("wire-trailer-folded", text(kChunked, "5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n"));
    bad("wire-chunk-size-behind-a-space", {send(text(kChunked, " 5\r\nhello\r\n0\r\n\r\n"))},
        Cause::BodyMalformed, Phase::Body, "chunked body is broken");
    bad("wire-chunk-size-hex-prefix", {send(text(kChunked, "0x5\r\nhello\r\n0\r\n\r\n")), hold()},
        Cause::BodyMalformed, Phase::Body);
    truncated("wire-chunks-cut-off", {send(text(kChunked, "5\r\nhello\r\n")), cut_off()});
    truncated("wire-chunks-closed-before-the-last-line",
              {send(text(kChunked, "5\r\nhello\r\n0\r\nX: y\r\n"))}, "ended early");
  }

  void add_ends_by_the_connection() {
    const std::string endless_hello = text(kOk, "\r\nhello");
    fine("wire-no-body-at-all", text(kOk, "\r\n"), {});
    fine("wire-until-the-end-http-1.0", "HTTP/1.0 200 OK\r\n\r\nhello");
    fine("wire-until-half-closed", {send(endless_hello), half_close(), hold()});
    for (const Over how : {Over::Clear, Over::Tls}) {
      at_deadline(
          fails(over(how, "wire-keep-alive-without-length",
                     {send(text(kOk, "Connection: keep-alive\r\n\r\nhello")), hold()}, kKeyword),
                Cause::BodyTimeout, Phase::Body, "5 bytes came"));
    }
    // Over TLS close_notify would tell an end from a loss. So many servers never send it that nobody insists on it where the
    // header promises no length; browsers neither.
    fine("wire-until-cut-off", {send(endless_hello), cut_off()});
    over(Over::Tls12, "wire-until-cut-off", {send(endless_hello), cut_off()}, kKeyword);
    over(Over::Tls12, "wire-length-then-cut-off", {send(std::string(kHello)), cut_off()}, kKeyword);
    over(Over::Tls12, "wire-until-the-end", {send(endless_hello)}, kKeyword);
    truncated("wire-until-reset", {send(endless_hello), pause(milliseconds{50}), reset()},
              "by the server after 5 bytes");
  }

  void add_connections() {
    bad("wire-cut-off-without-an-answer", {cut_off()}, Cause::HttpClosed, Phase::FirstByte);
    bad("wire-closed-without-an-answer", Script{}, Cause::HttpClosed, Phase::FirstByte,
        "without an answer");
    bad("wire-cut-off-in-the-header", {send(text(kOk, "Content-Ty")), cut_off()}, Cause::HttpClosed,
        Phase::FirstByte);
    bad("wire-closed-before-the-empty-line", {send(text(kOk, "Content-Length: 5\r\n"))},
        Cause::HttpClosed, Phase::FirstByte, "middle of the response header");
    bad("wire-reset-in-the-header",
        {send(text(kOk, "Content-Ty")), pause(milliseconds{50}), reset()}, Cause::HttpClosed,
        Phase::FirstByte, "by the server in the middle of the response header");
    bad("wire-closed-after-two-letters", {send("HT")}, Cause::HttpClosed, Phase::FirstByte);
    bad("wire-half-closed-without-an-answer", {half_close(), hold()}, Cause::HttpClosed,
        Phase::FirstByte);
    for (const Over how : {Over::Clear, Over::Tls}) {
      at_deadline(fails(over(how, "wire-silent-after-two-letters", {send("HT"), hold()}, {}),
                        Cause::HttpTimeout, Phase::FirstByte, "not even its first line"));
      at_deadline(
          fails(over(how, "wire-silent-in-the-header", {send(std::string(kOk)), hold()}, {}),
                Cause::HttpTimeout, Phase::FirstByte, "17 bytes came"));
    }
  }

  void add_beginnings() {
    fine("wire-version-in-small-letters", "http/1.0 200 ok\r\nContent-Length: 5\r\n\r\nhello");
    fine("wire-two-spaces", "HTTP/1.1  200  OK\r\nContent-Length: 5\r\n\r\nhello");
    fine("wire-interim-with-length",
         text("HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n", kHello));
    fine("wire-interim-http-1.0", text("HTTP/1.0 100 Continue\n\n", kHello));
    fine("wire-interim-then-204", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
         {});
    bad("wire-http-0.9-and-silent", {send("<html>hello"), hold()}, Cause::HttpMalformed,
        Phase::FirstByte, "not HTTP");
    bad("wire-interim-then-garbage", {send("HTTP/1.1 100 Continue\r\n\r\n<html>hello"), hold()},
        Cause::HttpMalformed, Phase::FirstByte);
    malformed("wire-line-before", text("\r\n", kHello), "not HTTP");
    malformed("wire-space-before", text(" ", kHello), "not HTTP");
    malformed("wire-version-1.2", "HTTP/1.2 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    malformed("wire-version-1.10", "HTTP/1.10 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    malformed("wire-version-and-tab", "HTTP/1.1\t200 OK\r\nContent-Length: 5\r\n\r\nhello");
    malformed("wire-version-s", "HTTPS/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    malformed("wire-status-and-letter", "HTTP/1.1 2x0 OK\r\nContent-Length: 5\r\n\r\nhello");
    // Absolute, as HTTP/1.0 wanted it.
    for (FaultServer* server : {&server_, &secure_}) {
      const bool clear = server == &server_;
      over(clear ? Over::Clear : Over::Tls, "wire-redirect-absolute",
           redirect(301, server->url("/end")), kKeyword);
    }
  }

  void add_pieces() {
    const auto each = [](std::string answer) {
      return Script{drip(std::move(answer), milliseconds{1})};
    };
    fine("wire-byte-by-byte", each(std::string(kHello)));
    fine("wire-chunks-byte-by-byte",
         each(text(kChunked, "2;x\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n")));
    fine("wire-interim-byte-by-byte", each(text("HTTP/1.1 100 Continue\r\n\r\n", kHello)));
    bad("wire-broken-chunk-byte-by-byte", each(text(kChunked, "5\r\nhello!\r\n0\r\n\r\n")),
        Cause::BodyMalformed, Phase::Body, "chunked body is broken");
    fine("wire-cut-between-cr-and-lf",
         {send(text(kOk, "Content-Length: 5\r")), pause(milliseconds{20}), send("\n\r"),
          pause(milliseconds{20}), send("\nhello")});
    fine("wire-body-with-the-last-line", {send(text(kOk, "Content-Length: 5\r\n\r")),
                                          pause(milliseconds{20}), send("\nhello"), hold()});
    fine("wire-large",
         {send(text(kOk, "Content-Length: 300005\r\n\r\n") + std::string(300'000, 'x') + "hello"),
          hold()});
    fine("wire-large-chunks", {send(text(kChunked, "493e0\r\n") + std::string(300'000, 'x') +
                                    "\r\n5\r\nhello\r\n0\r\n\r\n"),
                               hold()});
  }

  void add_limits() {
    fine("wire-head-of-all-lines", hello_with_head(kLinesMax, 2000));
    malformed("wire-head-of-a-line-more", hello_with_head(kLinesMax + 1, 2000), "200 lines");
    fine("wire-head-of-all-bytes", hello_with_head(100, kBytesMax));
    malformed("wire-head-of-a-byte-more", hello_with_head(100, kBytesMax + 1), "64 KiB");
    fine("wire-one-line-of-60-KiB", hello_with_head(4, 60UL * 1024));
    malformed("wire-one-line-of-80-KiB", hello_with_head(4, 80UL * 1024));
    malformed("wire-one-line-of-120-KiB", hello_with_head(4, 120UL * 1024));
  }

  const Authority root_{"Wire Root"};
  const Certificate certificate_ = root_.issue({.ips = {"127.0.0.1"}});
  FaultServer secure_{TlsOptions{.certificate = certificate_}};
  FaultServer elder_{TlsOptions{.certificate = certificate_, .version_max = TLS1_2_VERSION}};
};

}  // namespace

std::unique_ptr<CaseArea> http_wire_cases() {
  return std::make_unique<WireCases>();
}

}  // namespace watchwheel::testing
