// SPDX-License-Identifier: Apache-2.0
// HTTP/2 over TLS, and what can be wrong with it.
#include "cases/http_parts.h"
#include "support/certs.h"
#include "support/gzip.h"
#include "support/h2_frames.h"

namespace watchwheel::testing {
namespace {

using core::Cause;
using core::Phase;
using std::chrono::milliseconds;

constexpr std::uint32_t kNoError = 0, kProtocolError = 1, kInternalError = 2, kRefusedStream = 7,
                        kHttp11Required = 13;

// Each case has a server of its own: all requests of HTTP/2 look alike before they are decoded.
class TwoCases final : public HttpPart {
 public:
  TwoCases() {
    add_healthy();
    add_heads();
    add_bodies();
    add_violations();
  }

 private:
  core::SiteOptions two(core::SiteOptions more = {}) {
    more.emplace_back("http_version", "2");
    more.emplace_back("ca_file", root_.ca_file());
    return more;
  }
  FaultServer& server(std::string alpn) {
    return servers_.emplace_back(TlsOptions{.certificate = leaf_, .alpn = std::move(alpn)});
  }
  // After the hello, the server sends `frames`, then does `after`.
  CheckCase& answers(std::string_view name, std::string frames, Step after = hold(),
                     core::SiteOptions options = {}) {
    return does(name, {send(h2_hello() + std::move(frames)), std::move(after)}, std::move(options));
  }
  CheckCase& does(std::string_view name, Script script, core::SiteOptions options = {}) {
    FaultServer& one = server("h2");
    one.on("*", std::move(script));
    return ask("h2-" + std::string(name), one.url("/x"), two(std::move(options)));
  }
  // The header and the body's beginning, and when these have been read, the end: what comes with an error is not looked at.
  CheckCase& breaks_off(std::string_view name, std::string frames, std::string end,
                        Step after = hold()) {
    return does(name, {send(h2_hello() + std::move(frames)), pause(milliseconds{100}),
                       send(std::move(end)), std::move(after)});
  }
  static Step close() { return pause(milliseconds{0}); }

  void add_healthy() {
    const core::SiteOptions keyword{{"keyword", "hello"}};
    answers("get", h2_head(200, {{"content-type", "text/html"}}) + h2_data("hello", true), hold(),
            keyword);
    answers("with-length", h2_head(200, {{"content-length", "5"}}) + h2_data("hello", true), hold(),
            keyword);
    answers("in-pieces",
            h2_head(200) + h2_data("he", false) + h2_frame(H2Frame::Ping, 0, 0, "12345678") +
                h2_data("llo", false) + h2_data("", true),
            hold(), keyword);
    answers("gzip", h2_head(200, {{"content-encoding", "gzip"}}) + h2_data(gzip("hello"), true),
            hold(), keyword);
    answers("interim", h2_head(103) + h2_head(200) + h2_data("hello", true), hold(), keyword);
    answers("no-body", h2_head(204, {}, true));
    answers("head", h2_head(200, {{"content-length", "5000"}}, true), hold(), {{"method", "HEAD"}});
    answers("goodbye-afterwards", h2_head(200) + h2_goaway(1, kNoError) + h2_data("hello", true),
            hold(), keyword);
    answers("unknown-frames",
            h2_frame(static_cast<H2Frame>(0x42), 0xff, 0, "what?") + h2_head(200) +
                h2_data("hello", true),
            hold(), keyword);
    answers("trailers",
            h2_head(200) + h2_data("hello", false) +
                h2_frame(H2Frame::Headers, kH2EndHeaders | kH2EndStream, 1,
                         std::string(1, '\0') + h2_text("x-sum") + h2_text("1")),
            hold(), keyword);
    // The server does not agree, or was not asked to.
    FaultServer& old = server("");
    old.on("/x", "GET /x HTTP/1.1\r\n", ok("hello"));
    ask("h2-falls-back", old.url("/x"), two(keyword));
    FaultServer& one = server("http/1.1");
    one.on("/x", "GET /x HTTP/1.1\r\n", ok("hello"));
    ask("h2-falls-back-by-alpn", one.url("/x"), two(keyword));
    FaultServer& both = server("h2");
    both.on("/x", "GET /x HTTP/1.1\r\n", ok("hello"));
    ask("h2-not-asked-for", both.url("/x"), {{"ca_file", root_.ca_file()}});
  }

  void add_heads() {
    fails(answers("status", h2_head(503, {}, true)), Cause::HttpStatus, Phase::FirstByte, "503");
    // A server that did nothing with the stream is asked once more, by HTTP/1.1, and that answer counts.
    for (const auto& [name, error] :
         {std::pair{"refused", kRefusedStream}, std::pair{"wants-http1", kHttp11Required}}) {
      const auto resets = [&, error = error](Script again) -> FaultServer& {
        FaultServer& one = server("h2");
        one.on("*", {send(h2_hello() + h2_reset(error)), hold()});
        one.on("/x", "GET /x HTTP/1.1\r\n", std::move(again));
        return one;
      };
      const std::string prefix = "h2-" + std::string(name);
      ask(prefix + "-then-fine", resets(ok("hello")).url("/x"), two({{"keyword", "hello"}}));
      fails(ask(prefix + "-then-503", resets(status(503, "Away")).url("/x"), two()),
            Cause::HttpStatus, Phase::FirstByte, "503");
      fails(ask(prefix + "-then-nothing", resets({close()}).url("/x"), two()), Cause::HttpClosed,
            Phase::FirstByte);
    }
    fails(answers("reset-before-the-head", h2_reset(kInternalError)), Cause::HttpClosed,
          Phase::FirstByte);
    fails(answers("goodbye-before-the-head", h2_goaway(0, kNoError), close()), Cause::HttpClosed,
          Phase::FirstByte);
    fails(answers("closed-before-the-head", "", close()), Cause::HttpClosed, Phase::FirstByte);
    fails(does("reset-connection", {send(h2_hello()), pause(milliseconds{100}), reset()}),
          Cause::HttpClosed, Phase::FirstByte);
    at_deadline(fails(answers("silent", ""), Cause::HttpTimeout, Phase::FirstByte));
    FaultServer& mute = server("h2");
    mute.on("*", {hold()});
    at_deadline(fails(ask("h2-without-hello", mute.url("/x"), two()), Cause::HttpTimeout,
                      Phase::FirstByte));
  }

  void add_bodies() {
    const auto cut = [](CheckCase& one, std::string_view detail) {
      fails(one, Cause::BodyTruncated, Phase::Body, detail);
    };
    const std::string begun = h2_head(200) + h2_data("hel", false);
    const std::string of_nine = h2_head(200, {{"content-length", "9"}}) + h2_data("hel", false);
    cut(breaks_off("reset-in-the-body", begun, h2_reset(kInternalError)), "INTERNAL_ERROR");
    cut(breaks_off("closed-in-the-body", begun, "", close()), "after 3 bytes");
    cut(breaks_off("goodbye-in-the-body", begun, h2_goaway(1, kInternalError), close()), "3 bytes");
    cut(breaks_off("shorter-than-its-length", of_nine, h2_data("lo", true)), "of 9 bytes");
    cut(breaks_off("longer-than-its-length", of_nine, h2_data("lo and much more", true)),
        "of 9 bytes");
    at_deadline(fails(answers("stalled-body", begun), Cause::BodyTimeout, Phase::Body, "3 bytes"));
  }

  void add_violations() {
    fails(answers("broken-header-block",
                  h2_frame(H2Frame::Headers, kH2EndHeaders, 1, "\xff\xff\xff\xff\xff\xff")),
          Cause::HttpMalformed, Phase::FirstByte);
    fails(answers("frame-too-large", h2_frame(H2Frame::Data, 0, 1, std::string(64, 'x'), 0xffffff)),
          Cause::HttpMalformed, Phase::FirstByte);
    fails(answers("capital-names", h2_head(200, {{"X-Capital", "1"}}) + h2_data("hello", true)),
          Cause::HttpMalformed, Phase::FirstByte);
    fails(answers("no-status", h2_frame(H2Frame::Headers, kH2EndHeaders, 1,
                                        std::string(1, '\0') + h2_text("x") + h2_text("1"))),
          Cause::HttpMalformed, Phase::FirstByte);
    fails(answers("settings-on-a-stream", h2_frame(H2Frame::Settings, 0, 1, "")),
          Cause::HttpMalformed, Phase::FirstByte);
    fails(answers("data-of-nobody", h2_frame(H2Frame::Data, 0, 99, "hello")), Cause::HttpMalformed,
          Phase::FirstByte);
    fails(answers("two-lengths", h2_head(200, {{"content-length", "5"}, {"content-length", "6"}}) +
                                     h2_data("hello", true)),
          Cause::HttpMalformed, Phase::FirstByte);
    fails(answers("window-beyond-its-limit",
                  h2_frame(H2Frame::WindowUpdate, 0, 0, h2_number(0x7fffffff))),
          Cause::HttpMalformed, Phase::FirstByte);
    fails(breaks_off("broken-header-block-in-the-body",
                     h2_head(200, {{"content-length", "9"}}) + h2_data("hel", false),
                     h2_frame(H2Frame::Headers, kH2EndHeaders, 1, "\xff\xff\xff\xff\xff")),
          Cause::BodyTruncated, Phase::Body);
    FaultServer& liar = server("h2");
    liar.on("*", {send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), hold()});
    fails(ask("h2-agreed-and-not-spoken", liar.url("/x"), two()), Cause::HttpMalformed,
          Phase::FirstByte);
    FaultServer& flood = server("h2");
    flood.on("*", {send(h2_hello()), endless(h2_head(103))});
    fails(ask("h2-interim-flood", flood.url("/x"), two()), Cause::HttpMalformed, Phase::FirstByte,
          "20 interim");
  }

  Authority root_{"HTTP/2 cases' root"};
  Certificate leaf_ = root_.issue({.ips = {"127.0.0.1"}});
  std::deque<FaultServer> servers_;
};

}  // namespace

std::unique_ptr<CaseArea> http_two_cases() {
  return std::make_unique<TwoCases>();
}

}  // namespace watchwheel::testing
