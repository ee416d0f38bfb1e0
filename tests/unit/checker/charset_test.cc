// SPDX-License-Identifier: Apache-2.0
#include "checker/charset.h"

#include <gtest/gtest.h>

namespace watchwheel::checker {
namespace {

std::string name_of(std::string_view label) {
  const Charset* charset = find_charset(label);
  return charset == nullptr ? "" : std::string(charset->name);
}

std::string declared(std::string_view content_type, std::string_view head) {
  const Declaration said = declared_charset(content_type, head);
  return said.charset == nullptr ? "" : std::string(said.charset->name);
}

std::string to_utf8(std::string_view label, std::string_view bytes, std::size_t piece = 1000) {
  Decoders decoders;
  Decoders::Decoder* decoder = decoders.decoder(*find_charset(label));
  if (decoder == nullptr) return "no decoder";
  ToUtf8 convert(*decoder);
  ToUtf8::Buffer buffer;
  std::string out;
  while (!bytes.empty()) {
    std::string_view part = bytes.substr(0, piece);
    bytes.remove_prefix(part.size());
    while (!part.empty()) out += convert.next(part, buffer);
  }
  return out + std::string(convert.finish());
}

TEST(Charset, LabelsMeanWhatTheHtmlStandardSays) {
  EXPECT_EQ(name_of("utf-8"), "UTF-8");
  EXPECT_EQ(name_of("UTF8"), "UTF-8");
  EXPECT_EQ(name_of("ISO-8859-1"), "windows-1252");
  EXPECT_EQ(name_of("latin1"), "windows-1252");
  EXPECT_EQ(name_of("us-ascii"), "windows-1252");
  EXPECT_EQ(name_of("iso8859-15"), "ISO-8859-15");
  EXPECT_EQ(name_of("ISO_8859-9:1989"), "windows-1254");
  EXPECT_EQ(name_of("gb2312"), "gb18030");
  EXPECT_EQ(name_of("x-sjis"), "Shift_JIS");
  EXPECT_EQ(name_of("Windows-31J"), "Shift_JIS");
  EXPECT_EQ(name_of("ks_c_5601-1987"), "EUC-KR");
  EXPECT_EQ(name_of("utf-16"), "UTF-16LE");
  EXPECT_EQ(name_of("UTF-16BE"), "UTF-16BE");
  EXPECT_EQ(name_of(""), "");
  EXPECT_EQ(name_of("---"), "");
  EXPECT_EQ(name_of("iso-2022-jp"), "");
  EXPECT_EQ(name_of("iso-2022-cn-ext"), "");
  EXPECT_EQ(name_of("klingon"), "");
  EXPECT_EQ(name_of("utf"), "");
}

TEST(Charset, EveryOneOfTheListCanBeDecodedHere) {
  for (const char* label :
       {"windows-1252", "iso-8859-2",   "iso-8859-3",   "iso-8859-4",   "iso-8859-5",
        "iso-8859-6",   "iso-8859-7",   "iso-8859-8",   "iso-8859-10",  "iso-8859-13",
        "iso-8859-14",  "iso-8859-15",  "iso-8859-16",  "koi8-r",       "koi8-u",
        "macintosh",    "ibm866",       "windows-874",  "windows-1250", "windows-1251",
        "windows-1253", "windows-1254", "windows-1255", "windows-1256", "windows-1257",
        "windows-1258", "gbk",          "big5",         "euc-jp",       "shift_jis",
        "euc-kr"}) {
    EXPECT_EQ(to_utf8(label, "<p>plain ASCII, \"quoted\"</p>"), "<p>plain ASCII, \"quoted\"</p>")
        << label;
  }
}

TEST(Charset, DecodesWhatPagesHold) {
  EXPECT_EQ(to_utf8("latin1",
                    "Gr\xfc\xdf"
                    "e \x80"),
            "Gr\xc3\xbc\xc3\x9f"
            "e \xe2\x82\xac");
  EXPECT_EQ(to_utf8("iso-8859-15", "\xa4"), "\xe2\x82\xac");
  EXPECT_EQ(to_utf8("windows-1251", "\xcf\xf0\xe8"), "\xd0\x9f\xd1\x80\xd0\xb8");
  EXPECT_EQ(to_utf8("shift_jis", "\x93\xfa\x96\x7b"), "\xe6\x97\xa5\xe6\x9c\xac");
  EXPECT_EQ(to_utf8("euc-jp", "\xc6\xfc\xcb\xdc"), "\xe6\x97\xa5\xe6\x9c\xac");
  EXPECT_EQ(to_utf8("gbk", "\xd6\xd0\xce\xc4"), "\xe4\xb8\xad\xe6\x96\x87");
  EXPECT_EQ(to_utf8("big5", "\xa4\xa4\xa4\xe5"), "\xe4\xb8\xad\xe6\x96\x87");
  EXPECT_EQ(to_utf8("euc-kr", "\xc7\xd1"), "\xed\x95\x9c");
  EXPECT_EQ(to_utf8("utf-16le", std::string_view("h\0i\0\x3d\xd8\x00\xde", 8)),
            "hi\xf0\x9f\x98\x80");
  EXPECT_EQ(to_utf8("utf-16be", std::string_view("\0h\0i", 4)), "hi");
}

TEST(Charset, WhatIsNoCharacterIsReplacedAndTheRestGoesOn) {
  EXPECT_EQ(to_utf8("windows-1252", "a\x81z"), "a\xef\xbf\xbdz");
  EXPECT_EQ(to_utf8("shift_jis", "a\xffz"), "a\xef\xbf\xbdz");
  EXPECT_EQ(to_utf8("gbk", "a\xd6"), "a\xef\xbf\xbd");                           // Cut off.
  EXPECT_EQ(to_utf8("utf-16le", std::string_view("a\0b", 3)), "a\xef\xbf\xbd");  // The same.
  EXPECT_EQ(to_utf8("utf-16le", std::string_view("\x00\xdc"
                                                 "a\0",
                                                 4)),
            "\xef\xbf\xbd"
            "a");  // Half a pair.
}

TEST(Charset, PiecesOfAnySizeGiveTheSame) {
  const std::string text = "\x93\xfa\x96\x7bxx\xff\x93\xfa\x93";
  for (std::size_t piece = 1; piece <= text.size(); ++piece)
    EXPECT_EQ(to_utf8("shift_jis", text, piece), to_utf8("shift_jis", text)) << piece;
}

// Two pages of one charset at once must not see each other's half characters.
// Goal: a pair that the C library names bad and yet steps over (glibc 2.36: 0xA2E8 of UHC) costs one character, not half of the next.
TEST(Charset, APairThatIsSteppedOverCostsNoOther) {
  const std::string text = "\xa2\xe8\xb0\xa1\xa2\xe8";
  for (std::size_t piece = 1; piece <= text.size(); ++piece)
    EXPECT_EQ(to_utf8("euc-kr", text, piece), "\xef\xbf\xbd\xea\xb0\x80\xef\xbf\xbd") << piece;
}
TEST(Charset, BodiesShareADecoderWithoutSharingState) {
  Decoders decoders;
  Decoders::Decoder* decoder = decoders.decoder(*find_charset("shift_jis"));
  ASSERT_NE(decoder, nullptr);
  ASSERT_EQ(decoder, decoders.decoder(*find_charset("sjis")));
  ToUtf8 one(*decoder);
  ToUtf8 other(*decoder);
  ToUtf8::Buffer buffer;
  std::string_view piece = "\x93";
  EXPECT_EQ(one.next(piece, buffer), "");
  piece = "abc";
  EXPECT_EQ(other.next(piece, buffer), "abc");
  piece = "\xfa";
  EXPECT_EQ(one.next(piece, buffer), "\xe6\x97\xa5");
}

TEST(Charset, MarkWinsOverHeaderWinsOverPage) {
  const std::string meta = "<html><head><meta charset=shift_jis>";
  EXPECT_EQ(declared("text/html", meta), "Shift_JIS");
  EXPECT_EQ(declared("text/html; charset=iso-8859-2", meta), "ISO-8859-2");
  EXPECT_EQ(declared("text/html; charset=iso-8859-2", "\xef\xbb\xbf" + meta), "UTF-8");
  EXPECT_EQ(declared("text/html; charset=iso-8859-2", "\xff\xfe<\0"), "UTF-16LE");
  EXPECT_EQ(declared("", "\xfe\xff"), "UTF-16BE");
  // An unknown one in the header is the word that counts: no guessing on top of it.
  EXPECT_EQ(declared("text/html; charset=klingon", meta), "");
  EXPECT_EQ(declared_charset("text/html; charset=klingon", meta).label, "klingon");
}

TEST(Charset, HeaderIsReadAsItIsWritten) {
  EXPECT_EQ(declared("text/html; charset=\"ISO-8859-15\"", ""), "ISO-8859-15");
  EXPECT_EQ(declared("text/html;Charset=koi8-r; x=y", ""), "KOI8-R");
  EXPECT_EQ(declared("text/html; charset = 'big5'", ""), "Big5");
  EXPECT_EQ(declared("text/html; charset=", ""), "");
  EXPECT_EQ(declared("text/html; charset", ""), "");
}

TEST(Charset, PageIsReadAsTheStandardReadsIt) {
  EXPECT_EQ(declared("", "<META CHARSET='windows-1251' >"), "windows-1251");
  EXPECT_EQ(
      declared("", "<meta http-equiv=\"Content-Type\" content=\"text/html; charset=euc-jp\">"),
      "EUC-JP");
  EXPECT_EQ(declared("", "<meta content='text/html;charset=euc-kr' http-equiv=content-type />"),
            "EUC-KR");
  EXPECT_EQ(declared("", "<?xml version=\"1.0\" encoding=\"iso-8859-2\"?><rss/>"), "ISO-8859-2");
  EXPECT_EQ(declared("", "<meta charset=utf-16>"), "UTF-8");  // It was read as ASCII.
  EXPECT_EQ(declared("", "<meta name=description content='charset=big5'>"), "");
  EXPECT_EQ(declared("", "<!-- <meta charset=big5> --><meta charset=gbk>"), "gb18030");
  EXPECT_EQ(declared("", "<metal charset=big5>"), "");
  EXPECT_EQ(declared("", "<meta charset=big5"), "");  // Cut off.
  EXPECT_EQ(declared("", "<!-- <meta charset=big5>"), "");
  EXPECT_EQ(declared("", "<"), "");
  EXPECT_EQ(declared("", "<meta charset='"), "");
}

TEST(Charset, OnlyMarkupDeclaresInsideItself) {
  EXPECT_EQ(declared("application/json", "{\"a\":\"<meta charset=big5>\"}"), "");
  EXPECT_EQ(declared("text/plain", "<meta charset=big5>"), "");
  EXPECT_EQ(declared("application/xhtml+xml", "<meta charset=big5>"), "Big5");
  EXPECT_EQ(declaration_bytes("text/html"), kDeclarationBytesMax);
  EXPECT_EQ(declaration_bytes("application/json"), 3U);
  EXPECT_EQ(declaration_bytes("text/html; charset=utf-8"), 3U);
}

}  // namespace
}  // namespace watchwheel::checker
