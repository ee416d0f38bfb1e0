// SPDX-License-Identifier: Apache-2.0
// Response headers: what is a violation, and what every browser takes without a word (checker/head_check.h says why).
#include "cases/http_parts.h"

namespace watchwheel::testing {
namespace {

using core::Cause;
using core::Phase;

constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\n";
constexpr std::string_view kHello = "Content-Length: 5\r\n\r\nhello";
const core::SiteOptions kKeyword{{"keyword", "hello"}};

std::string times(std::size_t count, std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < count; ++i) out += text;
  return out;
}

class HeadCases final : public HttpPart {
 public:
  HeadCases() {
    add_status_lines();
    add_lines();
    add_lengths();
    add_interim();
    add_limits();
  }

 private:
  CheckCase& fine(std::string_view name, std::string text) {
    return healthy(name, {send(std::move(text))}, kKeyword);
  }
  CheckCase& bad(std::string_view name, std::string text, std::string_view detail = "") {
    return failing(name, {send(std::move(text))}, Cause::HttpMalformed, Phase::FirstByte, detail);
  }
  // A 200 with these lines in its header.
  CheckCase& fine_with(std::string_view name, std::string_view lines) {
    return fine(name, std::string(kOk) + std::string(lines) + std::string(kHello));
  }
  CheckCase& bad_with(std::string_view name, std::string_view lines, std::string_view detail) {
    return bad(name, std::string(kOk) + std::string(lines) + "\r\nhello", detail);
  }

  void add_status_lines() {
    const auto line = [](std::string_view text) {
      return std::string(text) + "\r\n" + std::string(kHello);
    };
    bad("ssh", "SSH-2.0-OpenSSH_9.2\r\n", "not HTTP");
    bad("http-0.9", "<html><title>Hello</title>hello</html>\r\n", "not HTTP");
    bad("icecast", line("ICY 200 OK"), "not HTTP");
    bad("version-9.9", line("HTTP/9.9 200 OK"));
    bad("status-of-two-digits", line("HTTP/1.1 20 OK"));
    bad("status-of-four-digits", line("HTTP/1.1 1000 OK"));
    bad("status-099", line("HTTP/1.1 099 OK"));
    bad("status-negative", line("HTTP/1.1 -20 OK"));
    bad("no-status", line("HTTP/1.1"));
    bad("switching-protocols", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        "nobody asked for");
    fine("no-reason", line("HTTP/1.1 200"));
    fine("odd-reason", line("HTTP/1.1 200 \xe4\xf6 \x01!"));
    fine("long-reason", line("HTTP/1.1 200 " + std::string(8000, 'x')));
    fine("small-letters", line("http/1.1 200 ok"));
    fine("answers-http-1.0", line("HTTP/1.0 200 OK"));
    fine("bare-line-feeds", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello");
  }

  void add_lines() {
    bad_with("line-without-colon", "garbage\r\n", "colon");
    bad_with("zero-byte", std::string_view("X: a\0b\r\n", 8), "");
    bad_with("zero-bytes-in-a-long-line", "X: " + std::string(20'000, '\0') + "\r\n", "");
    bad_with("begins-folded", " folded: x\r\n", "");
    fine_with("folded-line", "X: a\r\n and b\r\n");
    fine_with("bare-cr", "X: a\rb\r\n");
    fine_with("double-cr", "X: a\r\r\n");
    fine_with("space-before-colon", "X : a\r\n");
    fine_with("odd-names", ": a\r\nX Y: b\r\n\xe4: c\r\n");
    fine_with("bytes-beyond-ascii", "X: \xc3\xa4 \xff\r\n");
  }

  void add_lengths() {
    bad_with("lengths-differ", "Content-Length: 5\r\nContent-Length: 3\r\n", "differ: 5 and 3");
    bad_with("lengths-differ-in-a-list", "Content-Length: 5, 6\r\n", "differ");
    bad_with("length-with-a-sign", "Content-Length: +5\r\n", "no length");
    bad_with("length-negative", "Content-Length: -5\r\n", "Content-Length");
    bad_with("length-with-garbage", "Content-Length: 5abc\r\n", "no length");
    bad_with("length-hex", "Content-Length: 0x5\r\n", "no length");
    bad_with("length-too-large", "Content-Length: 99999999999999999999\r\n", "no length");
    bad_with("length-empty", "Content-Length:\r\n", "");
    bad_with("length-folded", "Content-Length: 5\r\n 0\r\n", "folded");
    bad_with("space-before-the-length", "Content-Length : 5\r\n", "before the colon");
    bad_with("coding-unknown", "Transfer-Encoding: frob\r\n", "nobody asked for");
    bad_with("chunked-not-last", "Transfer-Encoding: chunked, gzip\r\n", "nobody asked for");
    bad_with("coding-folded", "Transfer-Encoding:\r\n chunked\r\n", "folded");
    fine_with("length-twice", "Content-Length: 5\r\n");
    fine("length-listed-twice", std::string(kOk) + "Content-Length: 5, 5\r\n\r\nhello");
    fine_with("coding-identity", "Transfer-Encoding: identity\r\n");
    fine("length-beside-chunked", std::string(kOk) +
                                      "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
                                      "5\r\nhello\r\n0\r\n\r\n");
    fine("chunked-twice", std::string(kOk) +
                              "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"
                              "5\r\nhello\r\n0\r\n\r\n");
  }

  void add_interim() {
    const std::string answer = std::string(kOk) + std::string(kHello);
    fine("early-hints", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + answer);
    fine("20-interim-responses", times(20, "HTTP/1.1 100 Continue\r\n\r\n") + answer);
    bad("21-interim-responses", times(21, "HTTP/1.1 100 Continue\r\n\r\n") + answer,
        "more than 20 interim");
    failing("interim-flood", {endless("HTTP/1.1 103 Early Hints\r\n\r\n")}, Cause::HttpMalformed,
            Phase::FirstByte, "more than 20 interim");
  }

  void add_limits() {
    fine_with("197-lines", times(195, "X-Filler: 1\r\n"));
    failing("endless-lines", {send(std::string(kOk)), endless("X-Filler: 1\r\n")},
            Cause::HttpMalformed, Phase::FirstByte, "200 lines");
    failing("endless-header",
            {send(std::string(kOk)), endless("X-Filler: " + std::string(8000, 'x') + "\r\n")},
            Cause::HttpMalformed, Phase::FirstByte, "64 KiB");
    failing("endless-line", {send(std::string(kOk) + "X: "), endless(std::string(8000, 'x'))},
            Cause::HttpMalformed, Phase::FirstByte, "too long");
    failing("endless-status-line", {send("HTTP/1.1 200 "), endless(std::string(8000, 'x'))},
            Cause::HttpMalformed, Phase::FirstByte, "too long");
    failing("endless-garbage", {endless("no line end ")}, Cause::HttpMalformed, Phase::FirstByte);
  }
};

}  // namespace

std::unique_ptr<CaseArea> http_head_cases() {
  return std::make_unique<HeadCases>();
}

}  // namespace watchwheel::testing
