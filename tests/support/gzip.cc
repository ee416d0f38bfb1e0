// SPDX-License-Identifier: Apache-2.0
#include "support/gzip.h"

#include <cstdint>

namespace watchwheel::testing {
namespace {

constexpr std::string_view kHeader{"\x1f\x8b\x08\0\0\0\0\0\0\xff",
                                   10};  // RFC 1952: deflate, no name, no time.

void put_little_endian(std::string& out, std::uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>((value >> (8 * i)) & 0xffU));
}

std::uint32_t crc32(std::string_view text) {
  std::uint32_t crc = 0xffffffffU;
  for (const char c : text) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0xedb88320U : 0U);
  }
  return ~crc;
}

// Bits in the order of RFC 1951: into each byte from the lowest up.
class Bits {
 public:
  explicit Bits(std::string& out) : out_(out) {}
  void put(std::uint32_t value, int count) {  // Lowest bit first.
    for (int i = 0; i < count; ++i) {
      byte_ |= ((value >> i) & 1U) << filled_;
      if (++filled_ == 8) {
        out_.push_back(static_cast<char>(byte_));
        byte_ = 0;
        filled_ = 0;
      }
    }
  }
  void put_code(std::uint32_t code, int count) {  // A Huffman code: highest bit first.
    for (int i = count - 1; i >= 0; --i) put((code >> i) & 1U, 1);
  }

 private:
  std::string& out_;
  std::uint32_t byte_ = 0;
  int filled_ = 0;
};

}  // namespace

std::string gzip(std::string_view text) {
  std::string out(kHeader);
  out.push_back('\x01');  // The last block, stored.
  const auto size = static_cast<std::uint32_t>(text.size());
  put_little_endian(out, size, 2);
  put_little_endian(out, ~size, 2);
  out.append(text);
  put_little_endian(out, crc32(text), 4);
  put_little_endian(out, size, 4);
  return out;
}

std::string gzip_bomb(std::size_t bytes) {
  std::string out(kHeader);
  Bits bits(out);
  bits.put(0, 1);  // Not the last block.
  bits.put(1, 2);  // Fixed Huffman codes.
  bits.put_code(0x30 + 'y', 8);
  for (std::size_t done = 0; done < bytes; done += 258) {
    bits.put_code(0xc5, 8);  // Length 258 …
    bits.put_code(0, 5);     // … from one byte back.
  }
  bits.put(0, 16);
  return out;
}

}  // namespace watchwheel::testing
