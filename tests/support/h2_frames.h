// SPDX-License-Identifier: Apache-2.0
// support/h2_frames.h - HTTP/2 by hand (RFC 9113, RFC 7541), right or wrong, for scripts of the fault server: what a server sends
// on one connection that is asked once.
//
// server.on("*", {send(h2_hello() + h2_head(200) + h2_data("hello", true)), hold()});
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace watchwheel::testing {

enum class H2Frame : std::uint8_t {
  Data = 0,
  Headers = 1,
  RstStream = 3,
  Settings = 4,
  PushPromise = 5,
  Ping = 6,
  GoAway = 7,
  WindowUpdate = 8,
  Continuation = 9
};
inline constexpr std::uint8_t kH2EndStream = 0x1;
inline constexpr std::uint8_t kH2EndHeaders = 0x4;

// `claimed`: the length it says it has; -1: the true one.
inline std::string h2_frame(H2Frame type, std::uint8_t flags, std::uint32_t stream,
                            std::string_view payload, int claimed = -1) {
  const auto size = claimed < 0 ? static_cast<std::uint32_t>(payload.size())
                                : static_cast<std::uint32_t>(claimed);
  std::string out;
  for (const unsigned shift : {16U, 8U, 0U})
    out.push_back(static_cast<char>((size >> shift) & 0xffU));
  out.push_back(static_cast<char>(type));
  out.push_back(static_cast<char>(flags));
  for (const unsigned shift : {24U, 16U, 8U, 0U})
    out.push_back(static_cast<char>((stream >> shift) & 0xffU));
  return out.append(payload);
}

inline std::string h2_number(std::uint32_t value) {
  std::string out;
  for (const unsigned shift : {24U, 16U, 8U, 0U})
    out.push_back(static_cast<char>((value >> shift) & 0xffU));
  return out;
}

// The server's settings, and its word that it knows the client's.
inline std::string h2_hello() {
  return h2_frame(H2Frame::Settings, 0, 0, "") + h2_frame(H2Frame::Settings, 1, 0, "");
}

// A text of HPACK, not compressed. At most 126 bytes.
inline std::string h2_text(std::string_view text) {
  return static_cast<char>(text.size()) + std::string(text);
}

// The response header of the first request. Names in small letters.
inline std::string h2_head(int status,
                           const std::vector<std::pair<std::string, std::string>>& headers = {},
                           bool last = false) {
  std::string block =
      "\x08" + h2_text(std::to_string(status));  // The name is number 8 of the table.
  for (const auto& [name, value] : headers)
    block += std::string(1, '\0') + h2_text(name) + h2_text(value);
  return h2_frame(H2Frame::Headers,
                  static_cast<std::uint8_t>(kH2EndHeaders | (last ? kH2EndStream : 0U)), 1, block);
}

inline std::string h2_data(std::string_view body, bool last) {
  return h2_frame(H2Frame::Data, last ? kH2EndStream : 0, 1, body);
}
inline std::string h2_reset(std::uint32_t error) {
  return h2_frame(H2Frame::RstStream, 0, 1, h2_number(error));
}
// `last_stream`: up to which the server will answer.
inline std::string h2_goaway(std::uint32_t last_stream, std::uint32_t error) {
  return h2_frame(H2Frame::GoAway, 0, 0, h2_number(last_stream) + h2_number(error));
}

}  // namespace watchwheel::testing
