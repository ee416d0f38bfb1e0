// SPDX-License-Identifier: Apache-2.0
#include "checker/body_decoder.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <string>
#include <vector>

#include "support/gzip.h"

namespace watchwheel::checker {
namespace {

using Coding = ContentCoding;
using Step = BodyDecoder::Step;

// What zlib makes of `text`: 31 gzip, 15 zlib, -15 bare. `flush`: Z_FINISH, or Z_SYNC_FLUSH and never an end.
std::string packed(std::string_view text, int window_bits, int flush = Z_FINISH) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  std::string in(text);
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, flush);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

struct Sink final : ByteSink {
  void take(std::string_view bytes) noexcept override { text += bytes; }
  std::string text;
};

struct Decoded {
  Step step = Step::More;
  bool finished = false;
  std::string text;
  std::string problem;
  friend bool operator==(const Decoded&, const Decoded&) = default;
};

Decoded decode_in(std::size_t piece, std::string_view bytes, const std::vector<Coding>& codings,
                  std::uint64_t bytes_max) {
  BodyDecoder decoder(codings, bytes_max);
  Sink sink;
  Decoded out;
  while (!bytes.empty() && out.step == Step::More) {
    out.step = decoder.feed(bytes.substr(0, piece), sink);
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
  out.finished = out.step == Step::More && decoder.finished();
  out.text = sink.text;
  out.problem = decoder.problem();
  return out;
}

// All at once, and byte by byte, which must not matter.
Decoded decode(std::string_view bytes, const std::vector<Coding>& codings = {Coding::Gzip},
               std::uint64_t bytes_max = 1024 * 1024) {
  Decoded whole = decode_in(bytes.size() + 1, bytes, codings, bytes_max);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{3}, std::size_t{1000}})
    EXPECT_EQ(whole, decode_in(piece, bytes, codings, bytes_max)) << "in pieces of " << piece;
  return whole;
}

std::string page() {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += "line " + std::to_string(i * i) + "\n";
  return text;
}

void expect_whole(const Decoded& decoded, std::string_view text) {
  EXPECT_EQ(decoded.step, Step::More) << decoded.problem;
  EXPECT_TRUE(decoded.finished);
  EXPECT_TRUE(decoded.text == text) << decoded.text.size() << " of " << text.size();
}

TEST(BodyDecoder, KnowsItsCodings) {
  EXPECT_EQ(parse_codings("gzip"), std::vector{Coding::Gzip});
  EXPECT_EQ(parse_codings("X-GZip"), std::vector{Coding::Gzip});
  EXPECT_EQ(parse_codings(" deflate "), std::vector{Coding::Deflate});
  EXPECT_EQ(parse_codings("deflate, gzip"), (std::vector{Coding::Deflate, Coding::Gzip}));
  for (const char* nothing : {"", "identity", "none", ",", " , identity"})
    EXPECT_EQ(parse_codings(nothing), std::vector<Coding>{}) << nothing;
  for (const char* unknown :
       {"br", "zstd", "gzip, br", "compress", "utf-8", "gzip, gzip, gzip", "gzip;q=1"})
    EXPECT_EQ(parse_codings(unknown), std::nullopt) << unknown;
}

TEST(BodyDecoder, DecodesEveryWrapper) {
  expect_whole(decode(packed(page(), 31)), page());
  expect_whole(decode(testing::gzip("stored by hand")), "stored by hand");
  expect_whole(decode(packed(page(), 15), {Coding::Deflate}), page());
  expect_whole(decode(packed(page(), -15), {Coding::Deflate}), page());
  expect_whole(decode(packed("", -15), {Coding::Deflate}), "");
  expect_whole(decode(packed(packed(page(), 31), 15), {Coding::Gzip, Coding::Deflate}), page());
  expect_whole(decode(""), "");
  expect_whole(decode("", {Coding::Deflate}), "");
}

TEST(BodyDecoder, ReadsAllOfAGzipHeader) {
  const std::string plain = packed("hello", 31);
  std::string full("\x1f\x8b\x08\x1e", 4);
  full += plain.substr(4, 6);
  full += std::string(
      "\x03\x00"
      "abc",
      5);  // Extra.
  full += std::string("name\0comment\0", 13);
  full += "##";  // Its checksum, which nobody checks.
  full += plain.substr(10);
  expect_whole(decode(full), "hello");
}

TEST(BodyDecoder, TakesWhatBrowsersTake) {
  const std::string gz = packed(page(), 31);
  expect_whole(decode(gz + packed("more", 31)), page() + "more");
  expect_whole(decode(gz + "\n"), page());
  expect_whole(decode(gz + std::string(5000, '\0')), page());
  expect_whole(decode(gz + "\x1f"), page());
  expect_whole(decode(gz.substr(0, gz.size() - 8)), page());
  expect_whole(decode(gz.substr(0, gz.size() - 3)), page());
  expect_whole(decode(packed(page(), 15) + "junk", {Coding::Deflate}), page());
  const std::string zlib = packed(page(), 15);
  expect_whole(decode(zlib.substr(0, zlib.size() - 4), {Coding::Deflate}), page());
  // Flushed and never finished.
  expect_whole(decode(packed(page(), 31, Z_SYNC_FLUSH)), page());
}

TEST(BodyDecoder, ACutStreamIsNotFinished) {
  const std::string gz = packed(page(), 31);
  for (const std::size_t kept : {std::size_t{1}, std::size_t{5}, std::size_t{10}, std::size_t{11},
                                 gz.size() / 2, gz.size() - 9}) {
    const Decoded decoded = decode(gz.substr(0, kept));
    EXPECT_EQ(decoded.step, Step::More) << kept;
    EXPECT_FALSE(decoded.finished) << kept;
  }
  EXPECT_FALSE(decode(packed(page(), 15).substr(0, 1), {Coding::Deflate}).finished);
  EXPECT_FALSE(decode(gz + gz.substr(0, gz.size() / 2)).finished);
  const std::string twice = packed(gz, 31);
  EXPECT_FALSE(decode(twice.substr(0, twice.size() / 2), {Coding::Gzip, Coding::Gzip}).finished);
}

TEST(BodyDecoder, WhatIsDamagedIsBroken) {
  const std::string gz = packed(page(), 31);
  const auto damaged = [&](std::size_t at) {
    std::string bad = gz;
    bad[at] = static_cast<char>(bad[at] ^ 0x55);
    return decode(bad);
  };
  EXPECT_EQ(damaged(0).problem, "it does not begin as gzip does");
  EXPECT_EQ(damaged(1).step, Step::Broken);
  EXPECT_EQ(damaged(2).step, Step::Broken);
  EXPECT_EQ(damaged(3).step, Step::Broken);
  EXPECT_EQ(damaged(gz.size() - 8).problem, "its checksum does not fit");
  EXPECT_EQ(damaged(gz.size() - 1).problem, "its length does not fit");
  EXPECT_EQ(decode(page()).step, Step::Broken);
  EXPECT_EQ(decode(packed(page(), 15)).step, Step::Broken);  // Not what was declared.
  EXPECT_EQ(decode(std::string("\xff\xff\xff\xff garbage", 12), {Coding::Deflate}).step,
            Step::Broken);
  std::string zlib = packed(page(), 15);
  zlib.back() = static_cast<char>(zlib.back() ^ 1);
  EXPECT_EQ(decode(zlib, {Coding::Deflate}).problem, "its checksum does not fit");
}

TEST(BodyDecoder, GivesOutNoMoreThanItMay) {
  const std::string bomb = testing::gzip_bomb(10'000'000);
  const Decoded decoded = decode_in(16384, bomb, {Coding::Gzip}, 100'000);
  EXPECT_EQ(decoded.step, Step::Full);
  EXPECT_EQ(decoded.text, std::string(100'000, 'y'));
  // Exactly as much as it may is not too much.
  expect_whole(decode(packed(page(), 31), {Coding::Gzip}, page().size()), page());
  EXPECT_EQ(decode(packed(page(), 31), {Coding::Gzip}, page().size() - 1).step, Step::Full);
  EXPECT_EQ(decode(packed(page(), 31), {Coding::Gzip}, 0).text, "");
}

// A stream of empty blocks yields nothing for ever, and in an outer layer it does that a thousand times as long.
TEST(BodyDecoder, ABombOfNothingEndsToo) {
  std::string nothing("\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
  for (int i = 0; i < 400'000; ++i) nothing.append("\0\0\0\xff\xff", 5);
  EXPECT_EQ(decode_in(16384, nothing, {Coding::Gzip}, 100'000).step, Step::Full);
  EXPECT_EQ(decode_in(16384, packed(nothing, 31), {Coding::Gzip, Coding::Gzip}, 100'000).step,
            Step::Full);
}

}  // namespace
}  // namespace watchwheel::checker
