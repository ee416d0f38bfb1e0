// SPDX-License-Identifier: Apache-2.0
// fleet/replies.h - the bytes of each answer, healthy or broken, and how the connection ends.
//
// A reply is made again from the same wish when a send was cut short, so no connection ever holds a
// copy of its answer: the same wish always gives the same bytes.
//
// Owns     the text that all pages share (`body_bytes` of it), made in the constructor.
// Cost     make: one snprintf into the caller's buffer, no memory.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "fleet/faults.h"

namespace watchwheel::fleet {

enum class ReplyEnd : std::uint8_t {
  Keep,  // The next request may come.
  Close,
  Reset,  // RST instead of FIN.
  Hold,   // Say nothing more and wait for the client to give up.
  Drip,   // One byte a second.
  Again,  // The shared part from its beginning, kLapsMax times.
};

struct ReplyWish {
  std::uint32_t site = kNoSite;  // kNoSite: a request for nobody's name, answered 421.
  FaultKind kind = FaultKind::None;
  bool is_hop = false;     // The target is one that we redirected to.
  bool head_only = false;  // HEAD: lengths as for GET, no body.
  bool keep_alive = false;
};

struct Reply {
  std::array<char, 1536> front;  // Status line, fields, and the part of the body that differs.
  std::size_t front_length = 0;
  std::string_view shared;  // The rest of the body.
  ReplyEnd end = ReplyEnd::Close;
  [[nodiscard]] std::uint64_t size() const noexcept { return front_length + shared.size(); }
};

inline constexpr std::size_t kLapBytes = 64 * 1024;
inline constexpr std::uint32_t kLapsMax = 4096;  // 256 MiB: whoever takes that much has no limit of his own.

// Targets below this are the second hop of a redirect, never a fresh asking.
inline constexpr std::string_view kHopPrefix = "/hop/";

class ReplyMaker {
 public:
  explicit ReplyMaker(std::uint32_t body_bytes);

  void make(const ReplyWish& wish, Reply& out) const;

 private:
  void make_page(const ReplyWish& wish, Reply& out) const;
  void make_chunked(const ReplyWish& wish, Reply& out) const;

  std::uint32_t body_bytes_;
  std::string filler_;   // Text that pads a page to its size, its closing tags last.
  std::string chunked_;  // The filler as one chunk with the end mark.
  std::string endless_head_, endless_body_, bomb_;  // What is sent again and again; kLapBytes at the least.
};

}  // namespace watchwheel::fleet
