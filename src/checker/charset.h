// SPDX-License-Identifier: Apache-2.0
// checker/charset.h - which characters the bytes of a page are, and those characters in UTF-8.
//
// Decoders Owns     one iconv descriptor or one table for each charset that was met, kept until it is destroyed.
//          Thread   the lane's.
//          Bounded  by the closed list of charsets: about 35 KiB for each of the seven of more than one byte a character, 1 KiB
//                   for each other. Other charsets of iconv are never opened: some have a history of bugs.
//          Cost     the first page of a charset loads its module: 0.1 to 0.5 ms when the file is in memory, up to 20 ms from a
//                   busy disk; once a process for each lane and charset.
// ToUtf8   one body's. A value; keeps at most kRestMax bytes between pieces. 0.8 ms a MiB for one byte a character, 1.5 to 2.6
//          for the others.
// Fails    a charset that this machine has no module for is like one that is not known. What is no character is U+FFFD.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/pinned.h"

namespace watchwheel::checker {

struct Charset {
  std::string_view name;   // As the HTML standard calls it: "windows-1252".
  const char* iconv = "";  // As iconv does.
  std::uint8_t unit = 1;   // Bytes of its shortest character.
  bool one_byte = false;   // Every character is one byte.
};

// By the labels of the HTML standard, in any case: "latin1" is windows-1252. Null: not known. Not known on purpose are ISO-2022-JP
// and x-user-defined.
[[nodiscard]] const Charset* find_charset(std::string_view label);
[[nodiscard]] bool is_utf8(const Charset& charset);
// ASCII bytes are ASCII characters.
[[nodiscard]] bool is_ascii_based(const Charset& charset);

// How much of a page is looked at for a declaration.
inline constexpr std::size_t kDeclarationBytesMax = 1024;

struct Declaration {
  enum class Source : std::uint8_t { None, ByteOrderMark, Header, Page };
  Source source = Source::None;
  std::string label;                 // As it was declared, printable; "" when it was not.
  const Charset* charset = nullptr;  // Null: none was declared, or one that is not known.
  std::size_t mark_bytes = 0;        // Of the byte order mark.
};

// What a page says of itself: a byte order mark, else the header's charset, else (HTML, XML or no type at all) a meta element or XML
// declaration. `head`: its first kDeclarationBytesMax bytes, or all of it. A meta element that says UTF-16 is in ASCII
// itself, so it means UTF-8.
[[nodiscard]] Declaration declared_charset(std::string_view content_type, std::string_view head);
// How many bytes of the page must be there before it is asked.
[[nodiscard]] std::size_t declaration_bytes(std::string_view content_type);

class Decoders : core::Pinned {
 public:
  Decoders();
  ~Decoders();
  struct Decoder;
  // Null: this machine does not have it.
  [[nodiscard]] Decoder* decoder(const Charset& charset);

 private:
  std::vector<std::pair<const Charset*, std::unique_ptr<Decoder>>> known_;
};

class ToUtf8 {
 public:
  static constexpr std::size_t kRestMax = 8;
  static constexpr std::size_t kPieceMax = 2048;
  using Buffer = std::array<char, 4 * (kPieceMax + kRestMax)>;

  explicit ToUtf8(Decoders::Decoder& decoder) : decoder_(&decoder) {}

  // Takes up to kPieceMax bytes from the front of `piece` and gives them in UTF-8, as a part of `buffer`. The same for
  // every cutting into pieces.
  [[nodiscard]] std::string_view next(std::string_view& piece, Buffer& buffer);
  // What half of a character at the very end is: "" or one U+FFFD.
  [[nodiscard]] std::string_view finish();

 private:
  Decoders::Decoder* decoder_;
  std::array<char, kRestMax> rest_{};  // The begin of a character that is not whole.
  std::size_t rest_bytes_ = 0;
};

}  // namespace watchwheel::checker
