// SPDX-License-Identifier: Apache-2.0
// Bodies: lengths that are kept or not, chunks, and compression (checker/body_decoder.h says what is whole).
#include "cases/http_parts.h"
#include "support/gzip.h"

namespace watchwheel::testing {
namespace {

using core::Cause;
using core::Phase;
using std::chrono::milliseconds;

const core::SiteOptions kKeyword{{"keyword", "hello"}};

class BodyCases final : public HttpPart {
 public:
  BodyCases() {
    add_lengths();
    add_chunks();
    add_gzip();
    add_other_codings();
  }

 private:
  CheckCase& fine(std::string_view name, std::string text) {
    return healthy(name, {send(std::move(text))}, kKeyword);
  }
  CheckCase& chunks(std::string_view name, std::string_view body) {
    return fine(name, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string(body));
  }
  CheckCase& coded(std::string_view name, std::string_view coding, std::string_view body) {
    return healthy(name, ok(body, "Content-Encoding: " + std::string(coding) + "\r\n"), kKeyword);
  }
  static void truncated(CheckCase& one, std::string_view detail = "") {
    fails(one, Cause::BodyTruncated, Phase::Body, detail);
  }
  static void malformed(CheckCase& one, std::string_view detail = "") {
    fails(one, Cause::BodyMalformed, Phase::Body, detail);
  }

  void add_lengths() {
    truncated(fine("short-body", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"),
              "5 of 9 bytes");
    truncated(
        healthy("reset-in-the-body", {send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"),
                                      pause(milliseconds{50}), reset()}),
        "reset by the server");
    truncated(fine("no-body", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), "0 of 9 bytes");
    fine("body-until-the-end", "HTTP/1.1 200 OK\r\n\r\nhello");
    fine("body-beyond-its-length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more");
    healthy("empty-body", ok(""));
    healthy("endless-body-is-cut",
            {send("HTTP/1.1 200 OK\r\n\r\nhello"), endless(std::string(16384, 'x'))},
            {{"keyword", "hello"}, {"max_body", "256KiB"}});
  }

  void add_chunks() {
    chunks("chunks", "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n");
    chunks("chunk-extensions", "5;a=b;c=\"d\"\r\nhello\r\n0;e\r\n\r\n");
    chunks("chunk-sizes-padded", "00000005\r\nhello\r\n000\r\n\r\n");
    chunks("trailers", "5\r\nhello\r\n0\r\nX-Checksum: 1\r\nX-More: 2\r\n\r\n");
    chunks("bytes-behind-the-last-chunk", "5\r\nhello\r\n0\r\n\r\nmore");
    malformed(chunks("chunk-size-garbage", "zz\r\nhello\r\n0\r\n\r\n"), "chunked body is broken");
    malformed(chunks("chunk-size-negative", "-5\r\nhello\r\n0\r\n\r\n"), "chunked body is broken");
    malformed(chunks("chunk-size-too-large", "fffffffffffffffff\r\nhello\r\n"),
              "chunked body is broken");
    malformed(chunks("chunk-longer-than-its-size", "5\r\nhello!!\r\n0\r\n\r\n"),
              "chunked body is broken");
    malformed(chunks("chunk-size-missing", "\r\nhello\r\n0\r\n\r\n"), "chunked body is broken");
    malformed(chunks("trailer-without-colon", "5\r\nhello\r\n0\r\ngarbage\r\n\r\n"));
    malformed(
        healthy("endless-trailers",
                {send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"),
                 endless("X: y\r\n")},
                kKeyword),
        "200 lines");
    truncated(chunks("last-chunk-missing", "5\r\nhello\r\n"), "ended early");
    truncated(chunks("closed-in-a-chunk", "9\r\nhello"), "ended early");
    truncated(chunks("closed-before-the-last-line", "5\r\nhello\r\n0\r\n"), "ended early");
  }

  void add_gzip() {
    const std::string gz = gzip("well, hello there");
    coded("gzip", "gzip", gz);
    coded("x-gzip", "x-gzip", gz);
    coded("gzip-twice", "gzip, gzip", gzip(gz));
    coded("gzip-members", "gzip", gzip("well, hel") + gzip("lo there"));
    coded("gzip-and-junk", "gzip", gz + "\r\n");
    coded("gzip-without-trailer", "gzip", gz.substr(0, gz.size() - 8));
    coded("gzip-empty", "gzip", "").options = on_loopback();
    truncated(coded("gzip-cut", "gzip", gz.substr(0, gz.size() - 12)), "ends in the middle");
    truncated(coded("gzip-cut-in-its-head", "gzip", gz.substr(0, 6)), "ends in the middle");
    std::string damaged = gz;
    damaged[gz.size() - 6] = static_cast<char>(damaged[gz.size() - 6] ^ 1);
    malformed(coded("gzip-wrong-checksum", "gzip", damaged), "checksum");
    malformed(coded("gzip-that-is-none", "gzip", "well, hello there"), "does not begin as gzip");
    malformed(coded("gzip-broken-inside", "gzip", gz.substr(0, 10) + "\xff\xff\xff\xff"),
              "cannot be decoded");
    truncated(
        fine("gzip-short-by-length",
             "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5000\r\n\r\n" + gz),
        "of 5000 bytes");
    healthy("gzip-bomb-is-cut",
            {send("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip_bomb(64UL << 20U)),
             hold()},
            {{"keyword", "yyyyyyyy"}, {"max_body", "256KiB"}})
        .within = milliseconds{2500};
  }

  void add_other_codings() {
    // The text stored by hand in zlib's wrapper, and bare.
    const std::string gz = gzip("well, hello there");
    const std::string bare = gz.substr(10, gz.size() - 18);
    coded("deflate-bare", "deflate", bare);
    coded("deflate-wrapped", "deflate", "\x78\x01" + bare);
    malformed(coded("deflate-wrong-checksum", "deflate", "\x78\x01" + bare + "nope"), "checksum");
    malformed(coded("deflate-garbage", "deflate", "\xff\xff\xff\xff hello"), "cannot be decoded");
    coded("identity", "identity", "well, hello there");
    // What we cannot read is no failure of the site, unless a text is to be found in it.
    coded("brotli-unread", "br", "\x0b\x02\x80hello\x03").options = on_loopback();
    malformed(coded("brotli-unsearchable", "br", "\x0b\x02\x80hello\x03"), "coding we do not know");
    coded("coding-nobody-knows", "frob", "hello").options = on_loopback();
    truncated(fine("brotli-short",
                   "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 50\r\n\r\nhello"),
              "5 of 50 bytes");
  }
};

}  // namespace

std::unique_ptr<CaseArea> http_body_cases() {
  return std::make_unique<BodyCases>();
}

}  // namespace watchwheel::testing
